"""For a full-size checkpoint its study is enough: every tensor has one place, and another study is named."""

import re
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from lzn_testing.models.released_files import NOT_READ, is_trained, numbered, released_shapes, write_released
from lzn_testing.models.unet_settings import PAPER_32, PAPER_256, PAPER_256_LATENT_RESOLUTIONS

from lzn.networks.label_anchors import LabelAnchors
from lzn.released import STUDIES, Parts, ResNetRelease, Study, UNetRelease, fill_from_released, load_released
from lzn.released.parts import released_names, tensors_by_released_name

EVERY_STUDY = get_args(Study)
LAYOUTS = ("cifar10", "afhq_cat", "imagenet", "cifar10_joint")
"""One study for each layout: the 256x256 ones have the same."""


def parts_of(study: str) -> Parts:
    """The study's modules, without memory for their weights."""
    with torch.device("meta"):
        return STUDIES[study].build()


def modules_of(parts: Parts) -> Iterator[tuple[str, Any]]:
    for module in ("encoder", "decoder", "label_anchor"):
        part = parts[module]
        if part is not None:
            yield module, part


def test_there_are_settings_for_every_study() -> None:
    assert tuple(STUDIES) == EVERY_STUDY


def test_the_settings_are_the_papers() -> None:
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
def test_our_tensors_are_the_released_ones_one_to_one(study: Study) -> None:
    released = {
        f"{module}.{name}": shape
        for module, shapes in released_shapes(study).items()
        for name, shape in shapes.items()
        if f"{module}.{name}" != NOT_READ
    }
    # attention projections are square, so their transposition does not show in the shapes
    ours = [
        (f"{module}.{name}", tuple(tensor.shape))
        for module, part in modules_of(parts_of(study))
        for name, tensor in tensors_by_released_name(part).items()
    ]
    assert sorted(ours) == sorted(released.items())


@pytest.mark.parametrize("study", LAYOUTS)
def test_our_trained_parameters_are_those_that_were_averaged(study: Study) -> None:
    for module, part in modules_of(parts_of(study)):
        names = released_names(part)
        ours = {names[name] for name, _ in part.named_parameters()}
        assert ours == {name for name in released_shapes(study)[module] if is_trained(f"{module}.{name}")}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each layout a file in which every tensor has one value of its own: averages from 10 000 on."""
    folder = tmp_path_factory.mktemp("released")
    paths = {study: folder / f"{study}.pt" for study in LAYOUTS}
    for study, path in paths.items():
        write_released(path, study, raw=numbered(), average=numbered(10_000))
    return paths


def expected_values(study: str) -> dict[str, int]:
    """The number of each tensor: of its average where there is one."""
    raw, average, values = 0, 10_000, {}
    for module, shapes in released_shapes(study).items():
        for name in shapes:
            key = f"{module}.{name}"
            values[key] = average if is_trained(key) else raw
            raw, average = raw + 1, average + is_trained(key)
    return values


@pytest.mark.parametrize("study", LAYOUTS)
def test_every_released_tensor_lands_in_its_place(files: dict[str, Path], study: Study) -> None:
    model = load_released(files[study], study=study)
    assert (model.decoder is None) == (study == "imagenet")
    assert (model.label_anchors is not None) == (study == "cifar10_joint")
    assert not model.encoder.training
    anchors = None if model.label_anchors is None else LabelAnchors(*model.label_anchors.shape)
    if anchors is not None:
        anchors.points.data = model.label_anchors
    parts = Parts(encoder=model.encoder, decoder=model.decoder, label_anchors=anchors)
    values = expected_values(study)
    filled = {
        f"{module}.{name}": tensor
        for module, part in modules_of(parts)
        for name, tensor in tensors_by_released_name(part).items()
    }
    assert set(filled) == set(values) - {NOT_READ}
    assert [name for name, tensor in filled.items() if not (tensor == values[name]).all()] == []


FITS = {
    "cifar10": "'cifar10'",
    "afhq_cat": "'afhq_cat' or 'celeba_hq' or 'lsun_bedroom'",
    "imagenet": "'imagenet'",
    "cifar10_joint": "'cifar10_joint'",
}


@pytest.mark.parametrize(("given", "asked"), list(permutations(LAYOUTS, 2)))
def test_a_checkpoint_of_another_study_is_told_which_it_fits(
    files: dict[str, Path], given: str, asked: Study
) -> None:
    with pytest.raises(ValueError, match=rf"does not fit .*It does fit study {FITS[given]}$") as caught:
        fill_from_released(files[given], parts_of(asked))
    assert len(str(caught.value)) < 3000


def test_the_error_lists_what_keeps_each_module_from_fitting(files: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"does not fit") as caught:
        fill_from_released(files["cifar10_joint"], parts_of("cifar10"))
    assert re.search(
        r"decoder: misshapen: all_modules.0.weight \(512, 338\) instead of \(512, 328\); "
        r"label_anchor: is in the checkpoint, but",
        str(caught.value),
    )


def test_modules_of_no_study_get_no_hint(tmp_path: Path) -> None:
    path = tmp_path / "encoder.pt"
    torch.save({"encoder": {"model.module.other": torch.zeros(1)}}, path)
    with pytest.raises(ValueError, match=r"which has encoder$"):
        fill_from_released(path, parts_of("cifar10"))


def test_an_unknown_study_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match="study is 'mnist': it must be one of cifar10, afhq_cat, celeba_hq"):
        load_released("x.pt", study="mnist")


def test_settings_beside_a_study_are_refused() -> None:
    with pytest.raises(ValueError, match="give either study or the settings"):
        load_released("x.pt", study="cifar10", block_units=100)


def test_neither_study_nor_settings_is_refused() -> None:
    with pytest.raises(ValueError, match="give the study of the checkpoint, or else unet and latent_dim"):
        load_released("x.pt", unet=PAPER_32)


def test_loading_takes_no_randomness_from_the_caller(files: dict[str, Path]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_released(files["imagenet"], study="imagenet")
    assert torch.equal(torch.rand(3), expected)
