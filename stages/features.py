"""Train the small classifier in whose features the distances of this size are measured."""

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from tqdm import tqdm

from lzn.data import ImageSet, dequantise
from lzn.metrics import accuracy, fit_gaussian, frechet_distance
from lzn.networks import ImageClassifier
from lzn.randomness import derive_seed
from lzn.training import ClassifierModel, TrainingSchedule, cross_entropy_step, train
from stages.dataset_files import read_description, read_split, write_json
from stages.entry import StageCall, run_stage
from stages.in_domain_features import ClassifierShape, extract_features, write_classifier
from stages.params import Section, load_section


class FeaturesParams(Section):
    """The classifier and its training, for which only the training split is used."""

    base_channels: Annotated[int, Field(ge=8)]
    feature_dim: Annotated[int, Field(ge=2)]
    seed: Annotated[int, Field(ge=0)]
    training: TrainingSchedule


def train_features(call: StageCall) -> None:
    """Train, and measure what a perfect generator would get: the test images' distance to the training images."""
    params: FeaturesParams = load_section(call.params_file, "features", FeaturesParams)
    data_folder = call.workspace.folder("prepare")
    data = read_description(data_folder)
    train_set, test_set = read_split(data_folder, "train"), read_split(data_folder, "test")
    channels, size, _ = data.image_shape
    shape = ClassifierShape(size, channels, data.num_classes, params.base_channels, params.feature_dim)
    torch.manual_seed(derive_seed(params.seed, "initial weights"))
    model = ClassifierModel(shape.build())
    with tqdm(total=params.training.num_steps, desc="features", unit="step", disable=None) as bar:
        train(
            model,
            cross_entropy_step,
            train_set,
            params.training,
            seed=params.seed,
            device=call.device,
            on_step=lambda step: bar.update(step - bar.n),
        )
    classifier = model.classifier.cpu().eval()
    folder = call.workspace.folder("features")
    write_classifier(folder, shape, classifier)
    measured = {
        "accuracy": _accuracy(classifier, test_set),
        "fd_of_test_images": _distance_of_test_images(classifier, train_set, test_set, call.device),
    }
    write_json(folder / "metrics.json", measured)
    print(f"features: test accuracy {measured['accuracy']:.4f}")


@torch.no_grad()
def _accuracy(classifier: ImageClassifier, images: ImageSet) -> float:
    predicted = classifier.cpu()(dequantise(images.images)).argmax(dim=1).numpy()
    return accuracy(predicted, images.labels)


def _distance_of_test_images(
    classifier: ImageClassifier, train_set: ImageSet, test_set: ImageSet, device: torch.device
) -> float:
    features = [
        np.asarray(extract_features(classifier, split.images, device)) for split in (train_set, test_set)
    ]
    return frechet_distance(fit_gaussian(features[0]), fit_gaussian(features[1]))


if __name__ == "__main__":
    run_stage("features", train_features, of_a_run=False)
