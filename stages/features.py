"""Train or read the network with whose features the images of a data set are compared."""

import numpy as np
import torch

from lzn.base.files import write_json
from lzn.base.randomness import derive_seed
from lzn.base.sections import ParamsError
from lzn.data import ImageSet, dequantise
from lzn.data.prepared import read_description, read_split
from lzn.metrics import accuracy
from lzn.networks import ImageClassifier
from lzn.training import ClassifierModel, ImageBatches, TrainingCallbacks, cross_entropy_step, train
from stages.feature_extraction.networks import (
    ClassifierFeatures,
    ClassifierShape,
    FeaturesParams,
    InceptionFeatures,
    write_classifier,
    write_inception,
    write_none,
)
from stages.feature_extraction.read import read_comparison
from stages.runtime.outputs import feature_cache
from stages.runtime.stage_main import StageCall, run_stage

BATCH_SIZE = 1000


def make_features(call: StageCall) -> None:
    """Write the network of a data set, and its metrics if it was trained here."""
    params = call.params.section(f"features.{call.item}", FeaturesParams)
    folder = call.outputs.folder("features", call.item)
    measured: dict[str, float] = {}
    if isinstance(params, ClassifierFeatures):
        measured = _train_classifier(call, params)
    elif isinstance(params, InceptionFeatures):
        write_inception(folder, params)
    else:
        write_none(folder)
    write_json(call.outputs.metrics("features", call.item), measured)


def _train_classifier(call: StageCall, params: ClassifierFeatures) -> dict[str, float]:
    """Train a classifier, and measure its accuracy and the distance between training and test images."""
    data_folder = call.outputs.folder("prepare", call.item)
    data = read_description(data_folder)
    train_set, test_set = read_split(data_folder, "train"), read_split(data_folder, "test")
    if data.num_classes < 2 or len(test_set) == 0:
        raise ParamsError(
            f"{call.params.path}: features.{call.item}: a classifier needs classes and test images, but {call.item} "
            f"has {data.num_classes} classes and {len(test_set)} test images: set kind to inception or none"
        )
    channels, size, _ = data.image_shape
    shape = ClassifierShape(size, channels, data.num_classes, params.base_channels, params.feature_dim)
    torch.manual_seed(derive_seed(params.seed, "initial weights"))
    model = ClassifierModel(shape.build())
    with call.progress(total=params.training.num_steps, unit="step") as bar:
        train(
            model,
            cross_entropy_step,
            ImageBatches(data=train_set, schedule=params.training, seed=params.seed),
            params.training,
            seed=params.seed,
            device=call.device,
            callbacks=TrainingCallbacks(on_step=lambda step: bar.update(step - bar.n)),
        )
    classifier = model.classifier.eval()
    folder = call.outputs.folder("features", call.item)
    write_classifier(folder, shape, classifier)
    compare = read_comparison(folder, device=call.device, cache=feature_cache())
    measured = {"accuracy": _accuracy(classifier, test_set, call.device)}
    try:
        (distance,) = compare.distance(train_set.images, test_set.images, data_name=call.item).values()
        measured["fd_of_test_images"] = distance
    except ValueError as error:
        print(f"features {call.item}: fd_of_test_images is not measured: {error}")
    print(f"features {call.item}: test accuracy {measured['accuracy']:.4f}")
    return measured


@torch.no_grad()
def _accuracy(classifier: ImageClassifier, test_set: ImageSet, device: torch.device) -> float:
    predicted = [
        classifier(dequantise(test_set.images[start : start + BATCH_SIZE]).to(device))
        .argmax(dim=1)
        .cpu()
        .numpy()
        for start in range(0, len(test_set), BATCH_SIZE)
    ]
    return accuracy(np.concatenate(predicted), test_set.labels)


if __name__ == "__main__":
    run_stage("features", make_features, has_items=True)
