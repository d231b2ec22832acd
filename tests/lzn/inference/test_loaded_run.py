"""Opening the folder of a trained seed: reference anchors, and messages about missing or wrong files."""

import shutil
from pathlib import Path

import pytest
import torch
from lzn_testing.projects.trained_project import TrainedProject

from lzn.data import dequantise, random_subset
from lzn.data.prepared import read_split
from lzn.inference.classification import classify
from lzn.inference.errors import UserError
from lzn.inference.images import Images
from lzn.inference.loaded_run import LoadedRun, choose_device, open_seed
from lzn.inference.sampling import OdeSettings, SampleRequest, draw_samples


def test_reference_anchors_are_anchors_of_random_training_images(
    opened: dict[str, LoadedRun], project: TrainedProject
) -> None:
    run = opened["joint"]
    data = read_split(project.prepared_folder("digits"), "train").images
    chosen = random_subset(len(data), run.trained.run.training.batch_size - 1, seed=0).numpy()
    expected = run.trained.model.encoder(dequantise(data[chosen]))
    # rounding: the batches are not the same
    torch.testing.assert_close(run.reference_anchors(), expected, rtol=1e-5, atol=1e-5)


def test_a_folder_without_a_trained_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no run\.json and no weights\.safetensors"):
        open_seed(tmp_path, prepared_folder=lambda data: tmp_path / data, device=choose_device("cpu"))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    project = TrainedProject.make(tmp_path)
    joint, rf = project.write_untrained("joint"), project.write_untrained("rf")
    (rf / "weights.safetensors").write_bytes((joint / "weights.safetensors").read_bytes())
    with pytest.raises(UserError, match="does not fit"):
        project.open("rf")
    (rf / "weights.safetensors").write_bytes(b"not tensors")
    with pytest.raises(UserError, match="does not fit"):
        project.open("rf")


def test_without_the_prepared_data_a_run_samples_but_zones_are_refused_with_advice(
    tmp_path: Path, images: Images
) -> None:
    project = TrainedProject.make(tmp_path)
    project.write_untrained("joint")
    run = project.open("joint")
    shutil.rmtree(project.prepared_folder("digits"))
    request = SampleRequest(num_images=1, ode=OdeSettings(num_steps=3))
    assert len(draw_samples(run, request).images) == 1
    with pytest.raises(UserError, match="dvc repro prepare@digits"):
        classify(run, images)


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(UserError, match="there is no device 'warp'"):
        choose_device("warp")
