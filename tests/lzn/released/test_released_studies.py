"""Full-size checkpoints are loaded by study: every tensor is used once, and errors name the matching study."""

import re
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import get_args

import pytest
import torch
from lzn_testing.models.released_files import (
    NOT_READ,
    is_trained,
    numbered_weights,
    released_shapes,
    write_released,
)
from lzn_testing.models.unet_settings import PAPER_32, PAPER_256, PAPER_256_LATENT_RESOLUTIONS
from torch import Tensor, nn

from lzn.flow.label_anchors import LabelAnchors
from lzn.released import (
    MODULES,
    STUDIES,
    ResNetRelease,
    RunModules,
    Study,
    UNetRelease,
    load_released,
    load_weights_into,
)
from lzn.released.run_modules import released_names, tensors_by_released_name

LAYOUTS = ("cifar10", "afhq_cat", "imagenet", "cifar10_joint")
"""One study for each layout. The three 256x256 studies have the same layout."""


def modules_of(study: Study) -> RunModules:
    """Build the study's modules on the meta device, without memory for weights."""
    with torch.device("meta"):
        return STUDIES[study].build()


def named_modules(modules: RunModules) -> Iterator[tuple[str, nn.Module]]:
    for name in MODULES:
        module = modules[name]
        if module is not None:
            yield name, module


def tensors_by_full_name(modules: RunModules) -> dict[str, Tensor]:
    """Return all tensors, keyed by module and released name."""
    return {
        f"{module_name}.{name}": tensor
        for module_name, module in named_modules(modules)
        for name, tensor in tensors_by_released_name(module).items()
    }


def test_there_are_settings_for_every_study() -> None:
    assert tuple(STUDIES) == get_args(Study)


def test_the_settings_of_the_studies_are_those_in_the_paper() -> None:
    paper_256 = UNetRelease(unet=PAPER_256, latent_dim=200, latent_resolutions=PAPER_256_LATENT_RESOLUTIONS)
    assert {
        "cifar10": UNetRelease(unet=PAPER_32, latent_dim=200),
        "afhq_cat": paper_256,
        "celeba_hq": paper_256,
        "lsun_bedroom": paper_256,
        "imagenet": ResNetRelease(depth=50, base_channels=64, head_dim=256, head_layers=2),
        "cifar10_joint": UNetRelease(unet=PAPER_32, latent_dim=200, num_classes=10),
    } == STUDIES


@pytest.mark.parametrize("study", LAYOUTS)
def test_our_tensors_have_the_released_names_and_shapes(study: Study) -> None:
    released = {
        f"{module}.{name}": shape
        for module, shapes in released_shapes(study).items()
        for name, shape in shapes.items()
        if f"{module}.{name}" != NOT_READ
    }
    # Attention projections are square, so transposition does not change their shapes.
    modules = modules_of(study)
    ours = {name: tuple(tensor.shape) for name, tensor in tensors_by_full_name(modules).items()}
    assert ours == released
    assert len(ours) == sum(len(module.state_dict()) for _, module in named_modules(modules))


@pytest.mark.parametrize("study", LAYOUTS)
def test_our_parameters_are_the_tensors_that_have_an_average(study: Study) -> None:
    for module_name, module in named_modules(modules_of(study)):
        names = released_names(module)
        ours = {names[name] for name, _ in module.named_parameters()}
        shapes = released_shapes(study)[module_name]
        assert ours == {name for name in shapes if is_trained(f"{module_name}.{name}")}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write a file per layout. Every tensor is filled with its own number; averages start at 10 000."""
    folder = tmp_path_factory.mktemp("released")
    paths = {study: folder / f"{study}.pt" for study in LAYOUTS}
    for study, path in paths.items():
        write_released(path, study, raw=numbered_weights(), average=numbered_weights(10_000))
    return paths


def expected_values(study: str) -> dict[str, int]:
    """Return the number of each tensor: the number of its average if it has one."""
    raw, average, values = 0, 10_000, {}
    for module, shapes in released_shapes(study).items():
        for name in shapes:
            key = f"{module}.{name}"
            values[key] = average if is_trained(key) else raw
            raw, average = raw + 1, average + is_trained(key)
    return values


@pytest.mark.parametrize("study", LAYOUTS)
def test_every_released_tensor_is_loaded_into_the_tensor_of_its_name(
    files: dict[str, Path], study: Study
) -> None:
    model = load_released(files[study], study=study)
    assert (model.decoder is None) == (study == "imagenet")
    assert (model.label_anchors is not None) == (study == "cifar10_joint")
    assert not model.encoder.training
    anchors = None if model.label_anchors is None else LabelAnchors(*model.label_anchors.shape)
    if anchors is not None:
        anchors.points.data = model.label_anchors
    modules = RunModules(encoder=model.encoder, decoder=model.decoder, label_anchors=anchors)
    values = expected_values(study)
    loaded = tensors_by_full_name(modules)
    assert set(loaded) == set(values) - {NOT_READ}
    assert [name for name, tensor in loaded.items() if not (tensor == values[name]).all()] == []


MATCHING_STUDIES = {
    "cifar10": "'cifar10'",
    "afhq_cat": "'afhq_cat' or 'celeba_hq' or 'lsun_bedroom'",
    "imagenet": "'imagenet'",
    "cifar10_joint": "'cifar10_joint'",
}


@pytest.mark.parametrize(("study_of_file", "requested"), list(permutations(LAYOUTS, 2)))
def test_the_error_for_another_study_names_the_matching_studies(
    files: dict[str, Path], study_of_file: str, requested: Study
) -> None:
    matching = MATCHING_STUDIES[study_of_file]
    with pytest.raises(ValueError, match=rf"does not match .*It matches study {matching}$") as caught:
        load_weights_into(files[study_of_file], modules_of(requested))
    assert len(str(caught.value)) < 3000


def test_the_error_lists_the_mismatches_of_each_module(files: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"does not match") as caught:
        load_weights_into(files["cifar10_joint"], modules_of("cifar10"))
    assert re.search(
        r"decoder: wrong shape: all_modules.0.weight \(512, 338\) instead of \(512, 328\); "
        r"label_anchor: is in the checkpoint, but",
        str(caught.value),
    )


def test_the_error_has_no_hint_if_no_study_matches(tmp_path: Path) -> None:
    path = tmp_path / "encoder.pt"
    torch.save({"encoder": {"model.module.other": torch.zeros(1)}}, path)
    with pytest.raises(ValueError, match=r"which has encoder$"):
        load_weights_into(path, modules_of("cifar10"))


def test_the_error_for_an_unknown_study_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="study is 'mnist': it must be one of cifar10, afhq_cat, celeba_hq"):
        load_released("x.pt", study="mnist")


def test_a_study_together_with_settings_is_refused() -> None:
    with pytest.raises(ValueError, match="give either study or the settings"):
        load_released("x.pt", study="cifar10", block_units=100)


def test_a_call_without_study_and_settings_is_refused() -> None:
    with pytest.raises(ValueError, match="give the study of the checkpoint, or unet and latent_dim"):
        load_released("x.pt", unet=PAPER_32)


def test_loading_does_not_change_the_global_generator(files: dict[str, Path]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_released(files["imagenet"], study="imagenet")
    assert torch.equal(torch.rand(3), expected)
