"""Parity with torch-fidelity, pytorch-fid (as clean-fid carries it) and clean-fid themselves.

The released weights are not needed: random ones in the same file format lead all of them to the same features.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid.fid import compare_folders
from cleanfid.inception_pytorch import InceptionV3 as PytorchFidNetwork
from cleanfid.inception_torchscript import InceptionV3W
from cleanfid.resize import build_resizer
from lzn_testing.models.random_inception import random_inception
from PIL import Image
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from lzn.metrics import fit_gaussian, frechet_distance, inception_score, precision_recall
from lzn.metrics.inception import (
    InceptionFeatures,
    InceptionNetwork,
    Preprocessing,
    inception_features,
    load_inception,
    prepare_images,
)

pytestmark = pytest.mark.slow  # two copies of Inception, on the CPU

ALL_PREPROCESSING: tuple[Preprocessing, ...] = ("cm", "rf", "clean")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the file format of the released ones."""
    file = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(random_inception().state_dict(), file)
    return file


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Convolutions add in one order only."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def network(weights: Path) -> InceptionNetwork:
    return load_inception(weights)


def random_images(seed: int, *shape: int) -> Tensor:
    """Uint8 images of coarse blocks and noise, black and white among them."""
    generator = torch.Generator().manual_seed(seed)
    n, c, h, w = shape
    blocks = torch.rand(n, c, 4, 4, generator=generator).mul(400).sub(70)
    images = nn.functional.interpolate(blocks, (h, w)) + torch.randn(shape, generator=generator).mul(20)
    return images.round().clamp(0, 255).to(torch.uint8)


def tensorflow_resize_matrix(num_in: int) -> np.ndarray:
    """(299, num_in): ResizeBilinear of TensorFlow 1 along one axis, as its kernel does it, in float32."""
    matrix = np.zeros((299, num_in))
    scale = np.float32(num_in) / np.float32(299)
    for i in range(299):
        position = np.float32(i) * scale
        low = int(np.floor(position))
        high = min(low + 1, num_in - 1)
        fraction = float(position - np.float32(low))
        matrix[i, low] += 1 - fraction
        matrix[i, high] += fraction
    return matrix


def test_features_of_cm_are_those_of_torch_fidelity(network: InceptionNetwork, weights: Path):
    reference = FeatureExtractorInceptionV3(
        "reference", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
    )
    mixed_6_conv: list[Tensor] = []
    reference.Mixed_6d.branch1x1.register_forward_hook(lambda *call: mixed_6_conv.append(call[-1]))
    images = random_images(1, 2, 3, 40, 64)
    pool, logits = reference(images)
    features = inception_features(network, images, preprocessing="cm")
    # The same operations on the same numbers.
    assert_close(features.pool, pool, rtol=0, atol=0)
    assert_close(features.logits, logits, rtol=0, atol=0)
    spatial = np.stack([output[:7].numpy().transpose(1, 2, 0).reshape(-1) for output in mixed_6_conv[0]])
    assert_close(features.spatial, torch.from_numpy(spatial), rtol=0, atol=0)
    assert features.pool.std() > 0.1  # and there is something to compare
    assert features.spatial.std() > 0.1
    assert features.logits.std() > 0.1


@pytest.fixture
def pytorch_fid_network(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """pytorch-fid's independent port of the graph, as clean-fid carries it, which finds the weights by their name."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / "pt_inception-2015-12-05-6726825d.pth").symlink_to(weights)
    with warnings.catch_warnings(action="ignore"):  # it asks torchvision for the network in an old way
        network: nn.Module = PytorchFidNetwork(output_blocks=[3], resize_input=False, normalize_input=False)
    return network.eval()


def test_features_of_rf_are_those_of_pytorch_fid_without_its_resize(
    network: InceptionNetwork, pytorch_fid_network: nn.Module
):
    """Inputs are scaled to (x - 127.5) / 127.5; no image is resized."""
    images = random_images(2, 1, 3, 299, 299)
    expected = pytorch_fid_network(images / 127.5 - 1)[0].flatten(1)
    # Inputs rounded at another place, 2e-7 of 1, through 48 layers that keep the size of a deviation.
    assert_close(inception_features(network, images, preprocessing="rf").pool, expected, rtol=1e-4, atol=1e-5)


class Layers(nn.Module):
    """A port's layers up to the pooled features."""

    def __init__(self, port: nn.Module) -> None:
        super().__init__()
        self.all = nn.Sequential(*port.blocks)

    def forward(self, images: Tensor) -> Tensor:
        return self.all(images)


class TorchscriptForm(nn.Module):
    """The form of the torchscript file that clean-fid loads: it calls `layers`."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")  # how TorchScript files are made
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")  # how clean-fid asks for a root
def test_clean_fid_of_png_files_is_that_of_clean_fid(
    network: InceptionNetwork, pytorch_fid_network: nn.Module, tmp_path: Path
):
    """All of clean-fid's own code: reading files, resizing, the torchscript, mean and covariance, root."""
    traced = torch.jit.trace(Layers(pytorch_fid_network), torch.zeros(1, 3, 299, 299), check_trace=False)
    torch.jit.script(TorchscriptForm(traced)).save(tmp_path / "inception-2015-12-05.pt")
    clean_fid_network = InceptionV3W(str(tmp_path), download=False)
    sets = [random_images(20, 10, 3, 32, 40), random_images(21, 10, 3, 32, 40) // 2 + 50]
    folders = [tmp_path / "real", tmp_path / "generated"]
    for folder, images in zip(folders, sets, strict=True):
        folder.mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{number:02d}.png")
    pools = [inception_features(network, images, preprocessing="clean").pool.numpy() for images in sets]
    # Few features, none of them constant: covariances of full rank, as scipy's root needs.
    columns = np.flatnonzero((pools[0].std(axis=0) > 0.1) & (pools[1].std(axis=0) > 0.1))[:6]
    expected = compare_folders(
        *(str(folder) for folder in folders),
        lambda prepared: clean_fid_network(prepared)[:, columns],
        mode="clean",
        device=torch.device("cpu"),
        verbose=False,
    )
    # Grey levels are resized in another precision, by 4e-4 at most; features are float32.
    distance = frechet_distance(*(fit_gaussian(pool[:, columns]) for pool in pools))
    assert distance == pytest.approx(expected, rel=1e-6)
    assert expected > 0.01


def test_scores_are_those_of_torch_fidelity(network: InceptionNetwork, weights: Path):
    class Images(Dataset[Tensor]):
        def __init__(self, images: Tensor) -> None:
            self.images = images

        def __getitem__(self, index: int) -> Tensor:
            return self.images[index]

        def __len__(self) -> int:
            return len(self.images)

    real, generated = random_images(3, 6, 3, 16, 16), random_images(4, 6, 3, 16, 16)
    generated[3:] = torch.tensor([0, 128, 255])[:, None, None, None]  # flat: none of these is precise
    expected = calculate_metrics(
        input1=Images(generated),
        input2=Images(real),
        isc=True,
        isc_splits=2,
        samples_shuffle=False,
        prc=True,
        fid=True,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(weights),
        batch_size=6,
        cuda=False,
        cache=False,
        verbose=False,
        save_cpu_ram=True,
    )
    features = inception_features(network, generated, preprocessing="cm")
    real_features = inception_features(network, real, preprocessing="cm")
    score = inception_score(features.logits.numpy(), split_size=3)
    # The same float32 logits, summed in float64 in two ways.
    assert score == pytest.approx(expected["inception_score_mean"], rel=1e-12)
    assert score > 1.01
    pools = real_features.pool.numpy(), features.pool.numpy()
    distance = frechet_distance(*(fit_gaussian(pool) for pool in pools))
    # Theirs has two thousand eigenvalues under a root that should be 0 and are rounding, which adds up to 3e-5. With
    # covariances of full rank both agree to 1e-6: test_frechet.py, and the features are the same.
    assert distance == pytest.approx(expected["frechet_inception_distance"], rel=1e-5)
    shares = precision_recall(*pools, num_neighbours=3)
    # Exactly so many of 6; they divide in float32.
    assert 6 * shares.precision == round(6 * expected["precision"], 5)
    assert 6 * shares.recall == round(6 * expected["recall"], 5)
    assert 0 < shares.precision < 1


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (64, 48), (299, 299), (512, 400)])
def test_clean_images_are_those_of_clean_fid(size: tuple[int, int]):
    image = random_images(5, 1, 3, *size)[0]
    image[:, ::3, ::2], image[:, 1::3, 1::2] = 0, 255  # overshoots that must be clipped
    resized = build_resizer("clean")(image.permute(1, 2, 0).numpy())
    prepared = prepare_images(image[None], "clean")[0].permute(1, 2, 0) * 128 + 128
    # Grey levels up to 255, rounded to float32 three times by 1.5e-5.
    np.testing.assert_allclose(prepared, resized, rtol=0, atol=5e-5)


@pytest.mark.parametrize("preprocessing", ["cm", "rf"])
@pytest.mark.parametrize("size", [(8, 8), (32, 32), (64, 48), (512, 400)])
def test_the_other_images_are_resized_as_tensorflow_1_does(
    preprocessing: Preprocessing, size: tuple[int, int]
):
    image = random_images(6, 1, 3, *size)
    rows, columns = (tensorflow_resize_matrix(length) for length in size)
    resized = rows @ image[0].double().numpy() @ columns.T
    middle = 128 if preprocessing == "cm" else 127.5
    prepared = prepare_images(image, preprocessing)[0] * middle + middle
    # Grey levels up to 255 in float32: 6e-8 of that for each of a dozen operations.
    np.testing.assert_allclose(prepared, resized, rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("preprocessing", "black", "white"),
    [("cm", -1, 127 / 128), ("rf", -1, 1), ("clean", -1, 127 / 128)],
)
def test_black_and_white_images_get_the_ends_of_the_networks_range(
    preprocessing: Preprocessing, black: float, white: float
):
    for level, expected in ((0, black), (255, white)):
        prepared = prepare_images(torch.full((1, 3, 20, 30), level, dtype=torch.uint8), preprocessing)
        # One or two roundings of float32.
        assert_close(prepared, torch.full((1, 3, 299, 299), float(expected)), rtol=0, atol=1e-6)


def test_preprocessings_differ_in_the_features(network: InceptionNetwork):
    images = random_images(7, 1, 3, 32, 32)
    cm, rf, clean = (
        inception_features(network, images, preprocessing=preprocessing).pool
        for preprocessing in ALL_PREPROCESSING
    )
    # Half a grey level against another resize; batch size and rounding move features by 1e-5 only.
    assert 1e-4 < (cm - rf).abs().mean() < (cm - clean).abs().mean()


def test_grey_images_are_repeated_to_three_channels(network: InceptionNetwork):
    grey = random_images(8, 1, 1, 16, 16)
    features = inception_features(network, grey, preprocessing="clean")
    repeated = inception_features(network, grey.repeat(1, 3, 1, 1), preprocessing="clean")
    # The same numbers in the same operations.
    assert_close(features.pool, repeated.pool, rtol=0, atol=0)


def test_an_images_features_do_not_depend_on_its_batch(network: InceptionNetwork):
    images = random_images(9, 3, 3, 32, 32)
    together = inception_features(network, images, preprocessing="cm")
    alone = [inception_features(network, image[None], preprocessing="cm") for image in images]
    for kind in ("pool", "spatial", "logits"):
        separate = torch.cat([getattr(features, kind) for features in alone])
        # Convolutions may choose another order of summation: float32 rounding through 48 layers.
        assert_close(getattr(together, kind), separate, rtol=1e-4, atol=1e-5)


def test_features_have_the_documented_shapes_and_the_network_is_frozen(network: InceptionNetwork):
    features = inception_features(network, random_images(10, 2, 3, 10, 12), preprocessing="rf")
    shapes = (features.pool.shape, features.spatial.shape, features.logits.shape)
    assert shapes == ((2, 2048), (2, 2023), (2, 1008))
    for values in (features.pool, features.spatial, features.logits):
        assert values.dtype == torch.float32
        assert not values.requires_grad
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


def test_an_empty_batch_has_no_features(network: InceptionNetwork):
    features: InceptionFeatures = inception_features(
        network, random_images(11, 0, 3, 8, 8), preprocessing="cm"
    )
    assert features.pool.shape == (0, 2048)


def test_settings_of_cudnn_are_left_as_they_were(network: InceptionNetwork):
    def cudnn_settings() -> tuple[bool, ...]:
        cudnn = torch.backends.cudnn
        return cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32

    before = cudnn_settings()
    inception_features(network, random_images(12, 1, 3, 8, 8), preprocessing="cm")
    assert cudnn_settings() == before


def test_malformed_images_are_refused(network: InceptionNetwork):
    for images in (torch.zeros(1, 3, 8, 8), random_images(13, 1, 2, 8, 8), random_images(13, 1, 3, 8, 8)[0]):
        with pytest.raises(ValueError, match=r"uint8 \(b, 1 or 3, h, w\)"):
            inception_features(network, images, preprocessing="cm")


def test_a_network_knows_whether_its_weights_are_the_released_ones(network: InceptionNetwork):
    assert len(network.weights_sha256) == 64
    assert not network.has_released_weights


def test_weights_of_another_network_are_refused_with_what_differs(tmp_path: Path):
    torch.save(
        {"fc.weight": torch.zeros(1000, 2048), "AuxLogits.fc.bias": torch.zeros(1000)}, tmp_path / "w.pth"
    )
    with pytest.raises(ValueError, match=r"(?s)something else than Inception-2015-12-05.*Download") as caught:
        load_inception(tmp_path / "w.pth")
    assert "Conv2d_1a_3x3.conv.weight" in str(caught.value)
    assert len(str(caught.value)) < 1000  # and not the names of all tensors: those are in the cause
    for difference in ("Conv2d_1a_3x3.conv.weight", "AuxLogits.fc.bias", "size mismatch for fc.weight"):
        assert difference in str(caught.value.__cause__)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="something else than Inception-2015-12-05"):
        load_inception(tmp_path / "list.pth")
