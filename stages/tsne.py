"""Representations of test images of some classes in a plane, and how far each class spreads there (Figure 18)."""

from dataclasses import asdict
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lzn.base.randomness import derive_seed, generator_for
from lzn.base.sections import ParamsError, Section
from lzn.data import ImageSet, ImageSubset, random_subset
from lzn.data.prepared import read_split
from lzn.metrics import class_spreads, tsne_points
from lzn.runs.configuration import RepresentationRun
from lzn.runs.trained import read_trained
from lzn.studies import FourRepresentations, represent_images
from stages.measuring.plot_rows import write_plot_rows
from stages.measuring.quantity import Nested
from stages.measuring.seed_statistics import run_measuring_stage, trained_seeds
from stages.runtime.stage_main import StageCall


class TsneParams(Section):
    """Which images of a data set are shown, and how."""

    seed: Annotated[int, Field(ge=0)]
    """Of the choice of classes and images, the same for all runs; with the run's seed of latents and the map."""
    representation: Literal["without_head", "with_head", "with_latent", "with_latent_alpha_0"]
    num_classes: Annotated[int, Field(ge=1)]
    """Random classes of the test set; all of them where there are fewer."""
    images_per_class: Annotated[int, Field(ge=1)]
    """Random images of each class; all of them where there are fewer."""
    batch_size: Annotated[int, Field(ge=1)]
    """Images that are encoded at once; latents are computed among them."""
    perplexity: Annotated[float, Field(gt=0)]


def measure_tsne(call: StageCall) -> Nested:
    """Means and standard deviations of one seed, by class and of all; the first seed's points are written for plots."""
    trained = read_trained(call.trained_folder)
    if not isinstance(trained.run, RepresentationRun):
        raise ParamsError(
            f"{call.params.path}: run {call.item} is not of the study 'representation': take it out of "
            "families.representing"
        )
    data_name, run_seed = trained.run.data, trained.run.seed
    params: TsneParams = call.params.section(f"tsne.{data_name}", TsneParams)
    test = read_split(call.outputs.folder("prepare", data_name), "test")
    chosen = choose_images(test, params)
    encoder = trained.model.to(call.device).encoder
    represented = represent_images(
        FourRepresentations(encoder, trained.run.latent.solver.build(), params.batch_size),
        ImageSubset(test.images, chosen),
        generator=generator_for(params.seed, "tsne", run_seed, device=call.device),
        batch_size=params.batch_size,
        device=call.device,
    )
    try:
        points = tsne_points(
            represented[params.representation].numpy(),
            perplexity=params.perplexity,
            seed=derive_seed(params.seed, "tsne", run_seed),
        )
    except ValueError as error:  # fewer images than neighbours
        raise ParamsError(f"{call.params.path}: tsne.{data_name}: {error}") from error
    labels = test.labels[chosen]
    if run_seed == trained_seeds(call)[0]:
        rows = ((x, y, label) for (x, y), label in zip(points.tolist(), labels.tolist(), strict=True))
        write_plot_rows(call.outputs.plot("tsne", f"{call.item}.csv"), ["x", "y", "label"], rows)
    spreads = class_spreads(points, labels)
    classes = {str(label): asdict(spread) for label, spread in spreads.classes.items()}
    return {"classes": classes, "all": asdict(spreads.all), "relative_std": spreads.relative}


def choose_images(test: ImageSet, params: TsneParams) -> NDArray[np.int64]:
    """Indices (m,) of the images that are shown, in the test set's order."""
    present = np.unique(test.labels)
    num_classes = min(params.num_classes, len(present))
    classes = present[
        random_subset(len(present), num_classes, seed=derive_seed(params.seed, "classes")).numpy()
    ]
    chosen = []
    for label in classes:
        (indices,) = np.nonzero(test.labels == label)
        count = min(params.images_per_class, len(indices))
        seed = derive_seed(params.seed, "images", int(label))
        chosen.append(indices[random_subset(len(indices), count, seed=seed).numpy()])
    return np.sort(np.concatenate(chosen))


if __name__ == "__main__":
    run_measuring_stage("tsne", measure_tsne)
