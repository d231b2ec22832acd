"""The section ``data``: its defaults and its errors."""

from pathlib import Path
from typing import Any

import pytest

from lzn.base.sections import ParamsError, validate
from lzn.preparation import Fit
from lzn.preparation.data_sets import AnyData, DataParams

REQUIRED: dict[str, dict[str, Any]] = {
    "digits": {"test_fraction": 0.2, "seed": 0},
    "cifar10": {"root": "x"},
    "fashion_mnist": {},
    "afhq": {"root": "x", "animal": "cat"},
    "celeba_hq": {"root": "x"},
    "lsun_bedroom": {"root": "x"},
    "imagenet": {"root": "x"},
    "folder": {"root": "x", "image_size": 64, "test_fraction": 0.0, "seed": 0},
}


def data(kind: str, **settings: Any) -> DataParams:
    params: DataParams = validate({"kind": kind, **REQUIRED[kind], **settings}, AnyData, where="data.x")
    return params


@pytest.mark.parametrize(
    ("kind", "fit", "storage"),
    [
        ("digits", Fit(kind="exact", size=8, num_channels=1), "pixels"),
        ("cifar10", Fit(kind="exact", size=32, num_channels=3), "pixels"),
        ("fashion_mnist", Fit(kind="pad", size=28, num_channels=1), "pixels"),
        ("afhq", Fit(kind="crop", size=256, num_channels=3), "pixels"),
        ("celeba_hq", Fit(kind="crop", size=256, num_channels=3), "pixels"),
        ("lsun_bedroom", Fit(kind="crop", size=256, num_channels=3), "pixels"),
        ("imagenet", Fit(kind="crop", size=224, num_channels=3), "original"),
        ("folder", Fit(kind="crop", size=64, num_channels=3), "pixels"),
    ],
)
def test_the_defaults_are_those_of_the_paper(kind: str, fit: Fit, storage: str) -> None:
    params = data(kind)
    assert (params.build_fit(), params.storage) == (fit, storage)
    assert (params.on_corrupt, params.expected, params.sha256) == ("stop", None, None)


def test_the_default_view_of_imagenet_is_a_crop_of_224_after_a_resize_to_256() -> None:
    assert data("imagenet").view_shorter_side == 256
    assert data("imagenet", image_size=64, shorter_side=70).view_shorter_side == 70
    assert data("imagenet", storage="pixels").view_shorter_side is None


def test_a_folder_can_be_grey() -> None:
    assert data("folder", image_channels=1).build_fit().num_channels == 1


def test_a_tilde_in_root_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    photos = tmp_path / "photos"
    photos.mkdir()
    with pytest.raises(ValueError, match=str(photos)):
        data("folder", root="~/photos").open()


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("digits", {"storage": "original"}, "data.x.storage: Input should be 'pixels' or 'png'"),
        ("digits", {"root": "x"}, "data.x.root: unknown key; allowed here: "),
        (
            "cifar10",
            {"fit": "stretch"},
            "data.x.fit: Input should be 'crop', 'pad' or 'exact' (got 'stretch')",
        ),
        ("cifar10", {"sha256": "abc"}, "data.x.sha256: String should match pattern"),
        (
            "cifar10",
            {"expected": {"trian": 1}},
            "data.x.expected.trian: unknown key; allowed here: test, train",
        ),
        ("cifar10", {"expected": {"train": 0}}, "data.x.expected.train: "),
        ("cifar10", {"on_corrupt": "ignore"}, "data.x.on_corrupt: Input should be 'stop' or 'set_aside'"),
        ("afhq", {"animal": "cow"}, "data.x.animal: Input should be 'cat', 'dog' or 'wild'"),
        ("folder", {"test_fraction": 1.0}, "data.x.test_fraction: "),
        ("folder", {"image_channels": 2}, "data.x.image_channels: Input should be 1 or 3"),
        ("folder", {"shorter_side": 70}, "data.x: shorter_side needs storage: original"),
        ("imagenet", {"shorter_side": 200}, "data.x: shorter_side must be at least image_size, 224"),
        (
            "imagenet",
            {"fit": "pad"},
            "data.x: storage: original does not change images; it needs fit: crop",
        ),
        (
            "imagenet",
            {"resize": "bilinear"},
            "data.x: storage: original does not change images, so resize has",
        ),
    ],
)
def test_the_error_names_the_key_of_a_wrong_value(kind: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError) as raised:
        data(kind, **settings)
    assert message in str(raised.value)


def test_the_error_for_an_unknown_kind_lists_the_kinds() -> None:
    with pytest.raises(ParamsError) as raised:
        validate({"kind": "svhn", "root": "x"}, AnyData, where="data.x")
    assert all(f"'{kind}'" in str(raised.value) for kind in REQUIRED)


def test_the_error_for_a_missing_kind_lists_only_the_kinds() -> None:
    with pytest.raises(ParamsError) as raised:
        validate({"root": "x"}, AnyData, where="data.x")
    assert str(raised.value) == f"data.x.kind: Field required, one of {', '.join(sorted(REQUIRED))}"
