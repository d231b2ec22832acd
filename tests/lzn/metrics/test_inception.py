"""Features of Inception: the same as in torch-fidelity, pytorch-fid (its copy in clean-fid) and clean-fid.

The tests use random weights in the format of the released file, which all implementations read.
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
from lzn_testing.data.block_images import random_block_images
from PIL import Image
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from lzn.metrics import fit_gaussian, frechet_distance, inception_score, precision_recall
from lzn.metrics.inception import (
    InceptionFeatures,
    InceptionNetwork,
    Preprocessing,
    inception_features,
    load_inception,
)
from rehearsal.random_inception import random_inception

pytestmark = pytest.mark.slow  # two copies of Inception on the CPU

ALL_PREPROCESSING: tuple[Preprocessing, ...] = ("cm", "rf", "clean")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights in the format of the released file."""
    file = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(random_inception().state_dict(), file)
    return file


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread, so that convolutions always add in the same order."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def network(weights: Path) -> InceptionNetwork:
    return load_inception(weights)


def test_features_of_cm_equal_those_of_torch_fidelity(network: InceptionNetwork, weights: Path):
    reference = FeatureExtractorInceptionV3(
        "reference", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
    )
    mixed_6_conv: list[Tensor] = []
    reference.Mixed_6d.branch1x1.register_forward_hook(lambda *call: mixed_6_conv.append(call[-1]))
    images = random_block_images(1, 2, 3, 40, 64)
    pool, logits = reference(images)
    features = inception_features(network, images, preprocessing="cm")
    # Both do the same operations on the same numbers.
    assert_close(features.pool, pool, rtol=0, atol=0)
    assert_close(features.logits, logits, rtol=0, atol=0)
    spatial = np.stack([output[:7].numpy().transpose(1, 2, 0).reshape(-1) for output in mixed_6_conv[0]])
    assert_close(features.spatial, torch.from_numpy(spatial), rtol=0, atol=0)
    assert features.pool.std() > 0.1  # the features are not constant
    assert features.spatial.std() > 0.1
    assert features.logits.std() > 0.1


@pytest.fixture
def pytorch_fid_network(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """pytorch-fid's independent port of the graph, from clean-fid; it finds the weights by their file name."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / "pt_inception-2015-12-05-6726825d.pth").symlink_to(weights)
    with warnings.catch_warnings(action="ignore"):  # it calls a deprecated function of torchvision
        network: nn.Module = PytorchFidNetwork(output_blocks=[3], resize_input=False, normalize_input=False)
    return network.eval()


def test_features_of_rf_equal_those_of_pytorch_fid_without_a_resize(
    network: InceptionNetwork, pytorch_fid_network: nn.Module
):
    """Inputs are scaled to (x - 127.5) / 127.5 and not resized."""
    images = random_block_images(2, 1, 3, 299, 299)
    expected = pytorch_fid_network(images / 127.5 - 1)[0].flatten(1)
    # Inputs differ by a rounding of 2e-7, and 48 layers keep the size of a difference.
    assert_close(inception_features(network, images, preprocessing="rf").pool, expected, rtol=1e-4, atol=1e-5)


class Layers(nn.Module):
    """The layers of a port up to the pooled features."""

    def __init__(self, port: nn.Module) -> None:
        super().__init__()
        self.all = nn.Sequential(*port.blocks)

    def forward(self, images: Tensor) -> Tensor:
        return self.all(images)


class TorchscriptModule(nn.Module):
    """The structure of the TorchScript file that clean-fid loads; clean-fid calls `layers`."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")  # making a TorchScript file
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")  # clean-fid's call of sqrtm
def test_clean_fid_of_png_files_equals_that_of_clean_fid(
    network: InceptionNetwork, pytorch_fid_network: nn.Module, tmp_path: Path
):
    """All steps use clean-fid's code: reading files, resizing, the TorchScript network, moments, matrix root."""
    traced = torch.jit.trace(Layers(pytorch_fid_network), torch.zeros(1, 3, 299, 299), check_trace=False)
    torch.jit.script(TorchscriptModule(traced)).save(tmp_path / "inception-2015-12-05.pt")
    clean_fid_network = InceptionV3W(str(tmp_path), download=False)
    sets = [random_block_images(20, 10, 3, 32, 40), random_block_images(21, 10, 3, 32, 40) // 2 + 50]
    folders = [tmp_path / "real", tmp_path / "generated"]
    for folder, images in zip(folders, sets, strict=True):
        folder.mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{number:02d}.png")
    pools = [inception_features(network, images, preprocessing="clean").pool.numpy() for images in sets]
    # A few features that are not constant, because scipy's root needs covariances of full rank.
    columns = np.flatnonzero((pools[0].std(axis=0) > 0.1) & (pools[1].std(axis=0) > 0.1))[:6]
    expected = compare_folders(
        *(str(folder) for folder in folders),
        lambda prepared: clean_fid_network(prepared)[:, columns],
        mode="clean",
        device=torch.device("cpu"),
        verbose=False,
    )
    # The precision of the resize differs, by at most 4e-4 levels; features are float32.
    distance = frechet_distance(*(fit_gaussian(pool[:, columns]) for pool in pools))
    assert distance == pytest.approx(expected, rel=1e-6)
    assert expected > 0.01


def test_scores_equal_those_of_torch_fidelity(network: InceptionNetwork, weights: Path):
    class Images(Dataset[Tensor]):
        def __init__(self, images: Tensor) -> None:
            self.images = images

        def __getitem__(self, index: int) -> Tensor:
            return self.images[index]

        def __len__(self) -> int:
            return len(self.images)

    real, generated = random_block_images(3, 6, 3, 16, 16), random_block_images(4, 6, 3, 16, 16)
    generated[3:] = torch.tensor([0, 128, 255])[:, None, None, None]  # constant images, which are not precise
    expected = calculate_metrics(
        input1=Images(generated),
        input2=Images(real),
        isc=True,
        isc_splits=2,
        samples_shuffle=False,
        prc=True,
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
    # The same float32 logits, summed in float64 in another order.
    assert score == pytest.approx(expected["inception_score_mean"], rel=1e-12)
    assert score > 1.01
    pools = real_features.pool.numpy(), features.pool.numpy()
    # Of 100 features: torch-fidelity takes roots of all eigenvalues, most of which should be 0 with six images, and
    # their rounding errors add up. With covariances of full rank the distances agree to 1e-6 (test_frechet.py).
    statistics = [fid_features_to_statistics(pool[:, :100]) for pool in (real_features.pool, features.pool)]
    distance = frechet_distance(*(fit_gaussian(pool[:, :100]) for pool in pools))
    assert distance == pytest.approx(
        fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"], rel=1e-5
    )
    shares = precision_recall(*pools, num_neighbours=3)
    # Multiples of 1/6; torch-fidelity divides in float32.
    assert 6 * shares.precision == round(6 * expected["precision"], 5)
    assert 6 * shares.recall == round(6 * expected["recall"], 5)
    assert 0 < shares.precision < 1


def test_preprocessings_differ_in_the_features(network: InceptionNetwork):
    images = random_block_images(7, 1, 3, 32, 32)
    cm, rf, clean = (
        inception_features(network, images, preprocessing=preprocessing).pool
        for preprocessing in ALL_PREPROCESSING
    )
    # rf differs from cm by half a level, clean by the resize; rounding changes features only by 1e-5.
    assert 1e-4 < (cm - rf).abs().mean() < (cm - clean).abs().mean()


def test_grey_images_are_repeated_to_three_channels(network: InceptionNetwork):
    grey = random_block_images(8, 1, 1, 16, 16)
    features = inception_features(network, grey, preprocessing="clean")
    repeated = inception_features(network, grey.repeat(1, 3, 1, 1), preprocessing="clean")
    # Both do the same operations on the same numbers.
    assert_close(features.pool, repeated.pool, rtol=0, atol=0)


def test_the_features_of_an_image_do_not_depend_on_its_batch(network: InceptionNetwork):
    images = random_block_images(9, 3, 3, 32, 32)
    together = inception_features(network, images, preprocessing="cm")
    alone = [inception_features(network, image[None], preprocessing="cm") for image in images]
    for kind in ("pool", "spatial", "logits"):
        separate = torch.cat([getattr(features, kind) for features in alone])
        # Convolutions can add in another order; the tolerance is float32 rounding through 48 layers.
        assert_close(getattr(together, kind), separate, rtol=1e-4, atol=1e-5)


def test_features_have_the_documented_shapes_and_the_network_is_frozen(network: InceptionNetwork):
    features = inception_features(network, random_block_images(10, 2, 3, 10, 12), preprocessing="rf")
    shapes = (features.pool.shape, features.spatial.shape, features.logits.shape)
    assert shapes == ((2, 2048), (2, 2023), (2, 1008))
    for values in (features.pool, features.spatial, features.logits):
        assert values.dtype == torch.float32
        assert not values.requires_grad
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


def test_an_empty_batch_has_no_features(network: InceptionNetwork):
    features: InceptionFeatures = inception_features(
        network, random_block_images(11, 0, 3, 8, 8), preprocessing="cm"
    )
    assert features.pool.shape == (0, 2048)


def test_settings_of_cudnn_do_not_change(network: InceptionNetwork):
    def cudnn_settings() -> tuple[bool, ...]:
        cudnn = torch.backends.cudnn
        return cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32

    before = cudnn_settings()
    inception_features(network, random_block_images(12, 1, 3, 8, 8), preprocessing="cm")
    assert cudnn_settings() == before


def test_images_of_a_wrong_dtype_or_shape_are_an_error(network: InceptionNetwork):
    for images in (
        torch.zeros(1, 3, 8, 8),
        random_block_images(13, 1, 2, 8, 8),
        random_block_images(13, 1, 3, 8, 8)[0],
    ):
        with pytest.raises(ValueError, match=r"uint8 \(b, 1 or 3, h, w\)"):
            inception_features(network, images, preprocessing="cm")


def test_a_network_with_other_weights_does_not_have_the_released_weights(network: InceptionNetwork):
    assert len(network.weights_sha256) == 64
    assert not network.has_released_weights


def test_the_error_for_weights_of_another_network_says_what_differs(tmp_path: Path):
    torch.save(
        {"fc.weight": torch.zeros(1000, 2048), "AuxLogits.fc.bias": torch.zeros(1000)}, tmp_path / "w.pth"
    )
    with pytest.raises(ValueError, match=r"(?s)does not contain Inception-2015-12-05.*Download") as caught:
        load_inception(tmp_path / "w.pth")
    assert "Conv2d_1a_3x3.conv.weight" in str(caught.value)
    assert len(str(caught.value)) < 1000  # only the cause names all tensors
    for difference in ("Conv2d_1a_3x3.conv.weight", "AuxLogits.fc.bias", "size mismatch for fc.weight"):
        assert difference in str(caught.value.__cause__)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="does not contain Inception-2015-12-05"):
        load_inception(tmp_path / "list.pth")
