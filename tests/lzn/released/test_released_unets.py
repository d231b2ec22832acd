"""Our U-Nets equal the released ones with the same weights; errors explain checkpoints that do not match."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lzn_testing.models.released_files import REFERENCE, max_relative_error
from lzn_testing.models.unet_settings import TINY_RELEASES, TinyRelease
from torch import Tensor
from torch.nn import functional

from lzn.networks import LatentEncoder, VelocityUNet
from lzn.released import ReleasedModel, RunModules, load_released, load_weights_into

CIFAR10, _, JOINT = TINY_RELEASES


def load(path: Path, release: TinyRelease, *, ema: bool = True, **changes: Any) -> ReleasedModel:
    settings = {
        "unet": release.unet,
        "latent_dim": release.latent_dim,
        "num_classes": release.num_classes,
        "block_channels": release.block_channels,
        "block_units": release.block_units,
        "latent_resolutions": release.latent_resolutions,
    }
    return load_released(path, ema=ema, **{**settings, **changes})


def checkpoint_of(release: TinyRelease) -> Path:
    return REFERENCE / f"released_{release.name}_tiny.pt"


def outputs_of(release: TinyRelease) -> dict[str, Tensor]:
    outputs: dict[str, Tensor] = torch.load(REFERENCE / f"outputs_{release.name}_tiny.pt", weights_only=True)
    return outputs


@pytest.mark.parametrize("ema", [False, True], ids=["raw", "ema"])
@pytest.mark.parametrize("release", TINY_RELEASES, ids=lambda release: release.name)
@torch.no_grad()
def test_outputs_equal_those_of_the_released_networks(release: TinyRelease, ema: bool) -> None:
    model = load(checkpoint_of(release), release, ema=ema)
    outputs, suffix = outputs_of(release), "_ema" if ema else ""
    one_hot = functional.one_hot(outputs["label"], 10).float() if release.num_classes else None
    anchors = model.encoder(outputs["image"])
    velocity = model.decoder(outputs["xt"], outputs["t"], outputs["latent"], one_hot)
    # Float32 rounding in about twenty layers; measured 1e-6.
    assert max_relative_error(anchors, outputs[f"anchor{suffix}"]) < 1e-5
    assert max_relative_error(velocity, outputs[f"velocity{suffix}"]) < 1e-5


@pytest.mark.parametrize("ema", [False, True], ids=["raw", "ema"])
def test_label_anchors_are_read_without_a_change(ema: bool) -> None:
    label_anchors = load(checkpoint_of(JOINT), JOINT, ema=ema).label_anchors
    assert label_anchors is not None
    expected = outputs_of(JOINT)["label_anchors_ema" if ema else "label_anchors"]
    torch.testing.assert_close(label_anchors, expected, atol=0, rtol=0)


def test_a_run_without_classes_has_no_label_anchors() -> None:
    assert load(checkpoint_of(CIFAR10), CIFAR10).label_anchors is None


def test_loaded_networks_are_in_evaluation_mode() -> None:
    model = load(checkpoint_of(CIFAR10), CIFAR10)
    assert not model.encoder.training
    assert not model.decoder.training


def changed_checkpoint(release: TinyRelease, folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Write the release's checkpoint after ``change``, which works in place, to a new file."""
    checkpoint = torch.load(checkpoint_of(release), weights_only=True)
    change(checkpoint)
    path = folder / "changed.pt"
    torch.save(checkpoint, path)
    return path


def reshape_stem(checkpoint: dict[str, Any]) -> None:
    checkpoint["decoder"]["model.module.all_modules.2.weight"] = torch.zeros(16, 1, 3, 3)


def reshape_average(checkpoint: dict[str, Any]) -> None:
    checkpoint["encoder_ema"]["shadow_params"][0] = torch.zeros(2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("encoder"), "encoder: is not in the checkpoint, which has decoder, optimizer"),
        (lambda c: c["decoder"].update(note="text"), "'decoder' must be a dict of tensors"),
        (lambda c: c["decoder"].pop("model.module.all_modules.2.bias"), "missing: all_modules.2.bias$"),
        (lambda c: c["decoder"].update(more=torch.zeros(1)), "unexpected: more$"),
        (reshape_stem, r"wrong shape: all_modules.2.weight \(16, 1, 3, 3\) instead of \(16, 3, 3, 3\)$"),
        (lambda c: c.pop("decoder_ema"), "decoder_ema has no list of tensors, shadow_params"),
        (lambda c: c["encoder_ema"]["shadow_params"].pop(), "encoder_ema has 95 tensors for 96 trained"),
        (reshape_average, r"encoder_ema: wrong shape: spatial_transformations.0.0.weight \(2,\) instead"),
    ],
)
def test_the_error_explains_a_checkpoint_that_does_not_match(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(changed_checkpoint(CIFAR10, tmp_path, change), CIFAR10)


def test_the_error_for_settings_of_another_run_is_short() -> None:
    with pytest.raises(ValueError, match=r"missing: .* and \d+ more; .*wrong shape") as caught:
        load(checkpoint_of(CIFAR10), TINY_RELEASES[1])
    assert len(str(caught.value)) < 2000


def test_raw_weights_are_loaded_from_a_checkpoint_without_averages(tmp_path: Path) -> None:
    path = changed_checkpoint(CIFAR10, tmp_path, lambda c: (c.pop("encoder_ema"), c.pop("decoder_ema")))
    model = load(path, CIFAR10, ema=False)
    with torch.no_grad():
        anchors = model.encoder(outputs_of(CIFAR10)["image"])
    assert max_relative_error(anchors, outputs_of(CIFAR10)["anchor"]) < 1e-5  # float32 rounding


def test_a_file_in_the_older_format_of_torch_is_read(tmp_path: Path) -> None:
    path = tmp_path / "older.pt"
    content = torch.load(checkpoint_of(CIFAR10), weights_only=True)
    torch.save(content, path, _use_new_zipfile_serialization=False)
    with torch.no_grad():
        anchors = load(path, CIFAR10).encoder(outputs_of(CIFAR10)["image"])
    assert max_relative_error(anchors, outputs_of(CIFAR10)["anchor_ema"]) < 1e-5  # float32 rounding


def test_no_module_is_changed_if_one_does_not_match(tmp_path: Path) -> None:
    encoder = LatentEncoder(CIFAR10.unet, latent_dim=10, block_channels=4, block_units=12)
    decoder = VelocityUNet(CIFAR10.unet, latent_dim=10)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    path = changed_checkpoint(CIFAR10, tmp_path, lambda c: c["decoder_ema"]["shadow_params"].pop())
    with pytest.raises(ValueError, match="decoder_ema has 153 tensors for 154 trained"):
        load_weights_into(path, RunModules(encoder=encoder, decoder=decoder))
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


def test_a_decoder_without_latents_is_loaded_without_an_encoder(tmp_path: Path) -> None:
    """In the rectified flow baseline, the time embedding is the only input of the conditioning; it comes last."""

    def remove_latents(checkpoint: dict[str, Any]) -> None:
        del checkpoint["encoder"]
        weight = checkpoint["decoder"]["model.module.all_modules.0.weight"]
        checkpoint["decoder"]["model.module.all_modules.0.weight"] = weight[:, 10:]

    decoder = VelocityUNet(CIFAR10.unet)
    path = changed_checkpoint(CIFAR10, tmp_path, remove_latents)
    load_weights_into(path, RunModules(decoder=decoder), ema=False)
    weights = torch.load(path, weights_only=True)["decoder"]
    assert torch.equal(decoder.conditioning.dense_in.weight, weights["model.module.all_modules.0.weight"])


@pytest.mark.parametrize("stored_shape", ["classes first", "latent dimension first"])
def test_label_anchors_have_one_row_per_class(tmp_path: Path, stored_shape: str) -> None:
    rows = torch.arange(50.0).view(5, 10)  # (c, q)

    def store(checkpoint: dict[str, Any]) -> None:
        # With five classes instead of ten, the first layer has five fewer inputs.
        weight = checkpoint["decoder"]["model.module.all_modules.0.weight"]
        checkpoint["decoder"]["model.module.all_modules.0.weight"] = weight[:, 5:]
        stored = rows if stored_shape == "classes first" else rows.T
        checkpoint["label_anchor"] = {"model.module.anchor": stored.contiguous()}

    path = changed_checkpoint(JOINT, tmp_path, store)
    label_anchors = load(path, JOINT, ema=False, num_classes=5).label_anchors
    assert label_anchors is not None
    assert torch.equal(label_anchors, rows)


def rename_anchors(checkpoint: dict[str, Any]) -> None:
    checkpoint["label_anchor"] = {"model.module.other": torch.zeros(10, 10)}


def reshape_anchors(checkpoint: dict[str, Any]) -> None:
    checkpoint["label_anchor"] = {"model.module.anchor": torch.zeros(3, 10)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("label_anchor"), "label_anchor: is not in the checkpoint"),
        (rename_anchors, "label_anchor: missing: anchor; label_anchor: unexpected: other$"),
        (reshape_anchors, r"label_anchor: wrong shape: anchor \(3, 10\) instead of \(10, 10\)$"),
    ],
)
def test_the_error_explains_label_anchors_that_do_not_match(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load(changed_checkpoint(JOINT, tmp_path, change), JOINT, ema=False)


def test_label_anchors_are_refused_for_settings_without_classes(tmp_path: Path) -> None:
    anchors = {"model.module.anchor": torch.zeros(10, 10)}
    path = changed_checkpoint(CIFAR10, tmp_path, lambda c: c.update(label_anchor=anchors))
    with pytest.raises(ValueError, match="label_anchor: is in the checkpoint, but not in a run"):
        load(path, CIFAR10)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 a broken archive"])
def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.pt is not a file of PyTorch tensors"):
        load(path, CIFAR10)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "half.pt"
    whole = checkpoint_of(CIFAR10).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"half\.pt is not a file of PyTorch tensors"):
        load(path, CIFAR10)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "code.pt"
    torch.save({"encoder": Path("x")}, path)  # neither a tensor nor a plain container
    with pytest.raises(ValueError, match=r"it holds pathlib.*only tensors and plain containers are read"):
        load(path, CIFAR10)


def test_a_file_of_one_tensor_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tensor.pt"
    torch.save(torch.zeros(3), path)
    with pytest.raises(ValueError, match="holds a Tensor, not the dict"):
        load(path, CIFAR10)


def test_the_error_names_a_missing_file() -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(Path("nowhere.pt"), CIFAR10)
