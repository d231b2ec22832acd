"""Unconditional generation with a run of case study 3: sampled, measured, and in a grid of its own."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from lzn_testing.projects.small_runs import OUTPUTS, call, prepare_digits, write_params, write_run

from lzn.base.randomness import generator_for
from lzn.data import quantise
from lzn.flow import decode_labels
from lzn.rectified_flow.ode import EulerSampler
from lzn.runs.trained import read_trained
from lzn.studies.generation import generate, velocity_of
from stages.features import make_features
from stages.measure import measure
from stages.sample import sample, write_grids

SIZE = 30
SAMPLE = {"seed": 3, "num_images": SIZE, "batch_size": SIZE, "sampler": {"kind": "euler", "num_steps": 2}}
MEASURE: dict[str, Any] = {
    "seed": 0, "num_neighbours": 3,
    "reconstruction": {
        "num_images": 4, "num_draws": 1, "batch_size": 4, "sampler": {"kind": "euler", "num_steps": 2},
    },
}  # fmt: skip
CLASSIFIER = {
    "kind": "classifier", "base_channels": 8, "feature_dim": 8, "seed": 0,
    "training": {
        "num_steps": 3, "batch_size": 64, "learning_rates": {"classifier": 5e-3}, "warmup_steps": 2, "ema_decay": 0.9,
    },
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder with images of a joint run and of a run without labels."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("unconditional")
        patch.chdir(root)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/mlflow.db")
        write_params(features={"digits": CLASSIFIER}, sample={"digits": SAMPLE}, measure={"digits": MEASURE})
        prepare_digits()
        make_features(call("digits", seed=None))
        for run in ("joint", "rf_lzn"):
            write_run(run, num_steps=4)
            sample(call(run))
        yield


def test_unconditional_images_are_those_of_latents_of_the_prior_and_of_their_decoded_classes() -> None:
    """The literal section 5, with the noise that `generator_for` gives for the first batch."""
    model = read_trained(OUTPUTS.seed_folder("train", "joint", 0)).model
    generator = generator_for(3, "sample", 0, 0, device=torch.device("cpu"))
    noise = torch.randn(SIZE, 1, 8, 8, generator=generator)
    latents = torch.randn(SIZE, model.decoder.latent_dim, generator=generator)
    classes = decode_labels(latents, model.label_anchors.points)
    velocity = velocity_of(model.decoder, latents, classes)
    expected = generate(velocity, noise, sampler=EulerSampler(num_steps=2))
    written = np.load(OUTPUTS.images("joint", 0, unconditional=True))
    np.testing.assert_array_equal(written, quantise(expected))
    assert len(set(classes.tolist())) > 1
    assert (written != np.load(OUTPUTS.images("joint", 0))).any()


def test_a_run_without_labels_has_no_second_file() -> None:
    assert OUTPUTS.images("rf_lzn", 0).exists()
    assert not OUTPUTS.images("rf_lzn", 0, unconditional=True).exists()
    assert "unconditional" not in measure(call("rf_lzn"))


def test_both_kinds_are_measured_and_each_number_is_that_of_its_own_images() -> None:
    measured = measure(call("joint"))
    assert isinstance(measured["unconditional"], dict)
    names = {"fd_digits", "mmd_digits", "precision", "recall"}
    assert set(measured) == {*names, "reconstruction", "unconditional"}
    assert set(measured["unconditional"]) == names
    files = OUTPUTS.images("joint", 0), OUTPUTS.images("joint", 0, unconditional=True)
    contents = [file.read_bytes() for file in files]
    for file, content in zip(files, reversed(contents), strict=True):
        file.write_bytes(content)
    swapped = measure(call("joint"))
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    assert swapped["unconditional"] == {name: measured[name] for name in names}


def test_the_unconditional_images_have_a_grid() -> None:
    write_grids(call("joint", seed=None), [0], start=0.0)
    grids = sorted(file.name for file in OUTPUTS.plots_folder("sample").glob("joint/*.png"))
    assert grids == ["classes.png", "grid.png", "unconditional.png"]
