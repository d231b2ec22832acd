"""CLIP's preprocessing and embeddings: the same as in transformers. The weights are random, in the official format."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lzn_testing.emulated_tf32 import emulated_tf32
from numpy.typing import NDArray
from PIL import Image
from torch.testing import assert_close
from transformers import CLIPImageProcessorPil, CLIPModel

from lzn.metrics import cmmd
from lzn.metrics.clip import ClipNetwork, clip_embeddings, load_clip, prepare_clip_images
from lzn.metrics.clip_weights import MissingWeightsError
from rehearsal.random_clip import IMAGE_SIZE, WIDTH, random_clip, write_as_released


@pytest.fixture(scope="module")
def model() -> CLIPModel:
    return random_clip()


@pytest.fixture(scope="module")
def folder(model: CLIPModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_as_released(model, tmp_path_factory.mktemp("clip") / "released")


@pytest.fixture(scope="module")
def network(folder: Path) -> ClipNetwork:
    return load_clip(folder)


def random_images(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def embed(network: ClipNetwork, images: NDArray[np.uint8]) -> torch.Tensor:
    return clip_embeddings(network, prepare_clip_images(images, image_size=network.image_size))


def processor(size: int) -> CLIPImageProcessorPil:
    return CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size})


@pytest.mark.parametrize("side", [32, 256, 336, 500])
def test_square_images_are_prepared_as_by_transformers(side: int) -> None:
    images = random_images(0, 2, 3, side, side)
    expected = processor(336)([Image.fromarray(image.transpose(1, 2, 0)) for image in images])["pixel_values"]
    # The same levels, normalised in float32 in another order to values up to 2.7.
    assert_close(
        prepare_clip_images(images, image_size=336), torch.tensor(np.array(expected)), rtol=0, atol=2e-6
    )


@pytest.mark.parametrize("size", [(20, 31), (41, 40), (64, 20)])
def test_the_central_square_of_other_images_is_cropped_before_the_resize(size: tuple[int, int]) -> None:
    images = random_images(1, 1, 3, *size)
    side = min(size)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    cropped = images[:, :, top : top + side, left : left + side]
    assert_close(
        prepare_clip_images(images, image_size=28),
        prepare_clip_images(cropped, image_size=28),
        rtol=0,
        atol=0,
    )


def test_grey_images_are_prepared_like_colour_images_of_equal_channels() -> None:
    grey = random_images(2, 3, 1, 8, 8)
    expected = prepare_clip_images(grey.repeat(3, axis=1), image_size=28)
    assert_close(prepare_clip_images(grey, image_size=28), expected, rtol=0, atol=0)


def test_embeddings_equal_those_of_the_whole_model_scaled_to_length_one(
    model: CLIPModel, network: ClipNetwork
) -> None:
    images = random_images(3, 4, 3, 40, 40)
    pixels = processor(IMAGE_SIZE)([Image.fromarray(image.transpose(1, 2, 0)) for image in images])[
        "pixel_values"
    ]
    with torch.no_grad():
        pooled = model.vision_model(torch.tensor(np.array(pixels))).pooler_output
        expected = model.visual_projection(pooled)
    expected = expected / expected.norm(dim=1, keepdim=True)
    # Inputs differ by 1e-6, and there are two layers.
    assert_close(embed(network, images), expected, rtol=0, atol=1e-5)
    assert expected.std(dim=0).mean() > 0.01  # embeddings depend on the image


def test_the_embedding_of_an_image_does_not_depend_on_its_batch(network: ClipNetwork) -> None:
    images = random_images(4, 5, 3, 28, 28)
    alone = torch.cat([embed(network, image[None]) for image in images])
    # Matrix products can add in another order; the tolerance is float32 rounding.
    assert_close(embed(network, images), alone, rtol=0, atol=1e-6)


def test_tf32_changes_no_embedding(network: ClipNetwork) -> None:
    images = random_images(6, 2, 3, 28, 28)
    expected = embed(network, images)
    with emulated_tf32():
        assert torch.equal(embed(network, images), expected)


def test_both_official_formats_give_the_same_embeddings(
    model: CLIPModel, network: ClipNetwork, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    images = random_images(5, 2, 3, 28, 28)
    assert_close(embed(load_clip(tmp_path), images), embed(network, images), rtol=0, atol=0)


def test_the_network_is_frozen_and_is_not_the_released_one(network: ClipNetwork) -> None:
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())
    assert (network.image_size, network.width) == (IMAGE_SIZE, WIDTH)
    assert not network.is_released


def test_another_configuration_has_another_identity_and_other_features(
    folder: Path, network: ClipNetwork, tmp_path: Path
) -> None:
    (tmp_path / "pytorch_model.bin").symlink_to(folder / "pytorch_model.bin")
    changed = (folder / "config.json").read_text().replace("quick_gelu", "gelu")
    (tmp_path / "config.json").write_text(changed)
    other = load_clip(tmp_path)
    assert other.identity != network.identity
    images = random_images(6, 2, 3, 28, 28)
    assert (embed(other, images) - embed(network, images)).abs().max() > 1e-4


def test_noise_increases_cmmd_and_equal_images_have_cmmd_zero(network: ClipNetwork) -> None:
    rng = np.random.default_rng(7)
    real = np.kron(rng.integers(60, 196, (60, 3, 4, 4)), np.ones((7, 7))).astype(np.int64)
    noise = rng.normal(size=real.shape)

    def embeddings(deviation: float) -> NDArray[np.float32]:
        levels = (real + deviation * noise).clip(0, 255).astype(np.uint8)
        return embed(network, levels).numpy()

    distances = [cmmd(embeddings(0), embeddings(deviation)) for deviation in (0, 10, 30, 90)]
    assert distances == sorted(distances)
    assert distances[0] == pytest.approx(0, abs=1e-10)  # three float64 means of size 0.01, times 1000
    assert distances[1] > 1e-6


def test_cmmd_of_two_embeddings_equals_the_closed_form() -> None:
    x, y = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    # 1000 (1 + 1 - 2 exp(-2 / 200)).
    assert cmmd(x, y) == pytest.approx(1000 * (2 - 2 * np.exp(-0.01)), rel=1e-12)


def test_weights_of_another_model_are_an_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    torch.save({"weight": torch.zeros(3)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="does not contain a CLIP model") as caught:
        load_clip(tmp_path)
    assert len(str(caught.value)) < 1000
    torch.save([1, 2], tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="does not contain a CLIP model"):
        load_clip(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"junk", b"<!DOCTYPE html><title>404</title>"])
def test_the_error_for_damaged_weights_says_what_to_download(
    folder: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} is not a .*file.* Download"):
        load_clip(tmp_path)


def test_a_folder_without_a_configuration_is_an_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").symlink_to(folder / "pytorch_model.bin")
    with pytest.raises(MissingWeightsError, match=r"must contain config\.json"):
        load_clip(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"config\.json is not the configuration of a CLIP model"):
        load_clip(tmp_path)


def test_images_of_a_wrong_dtype_or_shape_are_an_error() -> None:
    for images in (np.zeros((1, 3, 8, 8)), random_images(8, 1, 2, 8, 8), random_images(8, 3, 8, 8)):
        with pytest.raises(ValueError, match=r"uint8 \(b, 1 or 3, h, w\)"):
            prepare_clip_images(images, image_size=28)
