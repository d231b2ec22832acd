"""The readers of the real data sets read the made-up ones, with the numbers of images that the small size expects."""

import io
from pathlib import Path

import numpy as np
import pytest
from lzn_testing import PROJECT
from PIL import Image

from lzn.base.sections import read_yaml, validate
from lzn.preparation.data_sets import AnyData, DataParams
from rehearsal.data_sets import NUM_UNCOUNTED, WNIDS, write_data_sets
from rehearsal.shrinking import shrink

SMALL = shrink(read_yaml(PROJECT / "sizes/paper.yaml"))["data"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_data_sets(SMALL, folder)
    return folder


@pytest.mark.parametrize("name", SMALL)
def test_a_made_up_data_set_is_read_as_the_real_one(
    name: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    params: DataParams = validate(SMALL[name], AnyData, where=name)
    data = params.open()
    expected = params.expected
    assert expected is not None
    assert len(data.train) == expected.train
    without_count = 0 if name == "celeba_hq" else NUM_UNCOUNTED
    assert len(data.test) == (without_count if expected.test is None else expected.test)
    for source in (data.train, data.test):
        for content in (source.read(index) for index in range(len(source))):
            shape = content.shape[-2:] if isinstance(content, np.ndarray) else open_image(content).size
            assert min(shape) >= params.image_size


def open_image(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_every_class_has_training_and_test_images_and_there_are_more_than_five(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    for name, count in (("cifar10", 10), ("imagenet", len(WNIDS))):
        data = validate(SMALL[name], AnyData, where=name).open()
        assert set(data.train.labels.tolist()) == set(data.test.labels.tolist()) == set(range(count))
