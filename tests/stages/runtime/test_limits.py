"""Values that a data set does not allow are refused with key, value and bound."""

import copy
from pathlib import Path
from typing import Any

import pytest
from lzn_testing import PROJECT
from ruamel.yaml import YAML

from lzn.base.sections import ParamsError, ParamsFile
from pipelines.check import read_params
from stages.runtime.limits import Counts, clashes, known_before, runs_on

CONTENT: dict[str, Any] = YAML(typ="safe").load(PROJECT / "params.yaml")


def changed(**values: Any) -> dict[str, Any]:
    """Return params.yaml with values at dotted keys, written with ``__``."""
    content = copy.deepcopy(CONTENT)
    for key, value in values.items():
        *path, last = key.split("__")
        place = content
        for name in path:
            place = place[name]
        place[last] = value
    return content


def found(content: dict[str, Any], counts: Counts) -> str:
    params = ParamsFile(Path("params.yaml"), content)
    return "\n".join(clashes(content, "digits", counts, runs_on(params, "digits")))


def test_the_repositorys_parameters_fit_their_data() -> None:
    counts = known_before(CONTENT["data"]["digits"])
    assert counts == Counts(1437, 360, 10)
    assert found(CONTENT, counts) == ""


@pytest.mark.parametrize(
    ("values", "counts", "message"),
    [
        (
            {"sample__digits__num_images": 3},
            Counts(),
            "measure.digits.num_neighbours is 3: it must be below 3",
        ),
        ({}, Counts(train=3), "measure.digits.num_neighbours is 3: it must be below 3"),
        ({}, Counts(train=100), "runs.rf.training.batch_size is 128: it must be at most 100"),
        ({}, Counts(train=100), "features.digits.training.batch_size is 128: it must be at most 100"),
        ({}, Counts(test=0), "features.digits.kind is classifier, which needs classes and test images"),
        ({}, Counts(classes=1), "features.digits.kind is classifier, which needs classes and test images"),
        ({}, Counts(test=0), "families.classifying.joint is digits, which has 0 test images"),
        ({}, Counts(classes=1), "families.representing.representation is digits, which has 1 class"),
        (
            {"settings__digits__batch_sizes": [64, 361]},
            Counts(test=360),
            "batch_sizes is 361: it must be at most 360",
        ),
        (
            {"measure__digits__reconstruction__num_images": 50},
            Counts(train=40),
            "measure.digits.reconstruction.num_images is 50: it must be at most 40",
        ),
        ({"zones__digits__stability__bank_samples": 50}, Counts(train=40), "stability.bank_samples is 50"),
        ({}, Counts(train=130), "zones.digits.stability.samples_per_pair"),
        (
            {"tsne__digits__perplexity": 30.0},
            Counts(test=20),
            "tsne.digits.perplexity is 30: it must be below 20",
        ),
    ],
)
def test_a_value_is_refused_with_its_key_and_bound(
    values: dict[str, Any], counts: Counts, message: str
) -> None:
    assert message in found(changed(**values), counts)


def test_images_without_a_feature_network_have_no_neighbours() -> None:
    content = changed(features__digits={"kind": "none"}, sample__digits__num_images=3)
    assert "num_neighbours" not in found(content, Counts())


def test_the_check_finds_values_that_clash_with_what_is_known_before(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    YAML(typ="safe").dump(changed(sample__digits__num_images=3), file)
    with pytest.raises(
        ParamsError, match=r"params.yaml: measure\.digits\.num_neighbours is 3: it must be below 3"
    ):
        read_params(file)


def test_expected_numbers_of_images_are_known_before() -> None:
    folder = {"kind": "folder", "test_fraction": 0, "expected": {"train": 7, "test": None}}
    assert known_before(folder) == Counts(7, 0, None)
    assert known_before({"kind": "cifar10"}) == Counts(50_000, 10_000, 10)
    assert known_before({"kind": "folder", "test_fraction": 0.2}) == Counts()
