"""Map representations of test images to a plane with t-SNE, and measure how far each class spreads (Figure 18)."""

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
from stages.measuring.seed_files import note_not_measured
from stages.measuring.seed_statistics import run_measuring_stage, trained_seeds
from stages.runtime.families import require_study
from stages.runtime.stage_main import StageCall


class TsneParams(Section):
    """The section ``tsne.<data set>``: which test images are shown, and how."""

    seed: Annotated[int, Field(ge=0)]
    """Determines the classes and images, the same for all runs; together with the run's seed, latents and map."""
    representation: Literal["without_head", "with_head", "with_latent", "with_latent_alpha_0"]
    num_classes: Annotated[int, Field(ge=1)]
    """Random classes of the test set; all classes if there are fewer."""
    images_per_class: Annotated[int, Field(ge=1)]
    """Random images of each class; all its images if there are fewer."""
    batch_size: Annotated[int, Field(ge=1)]
    """Images that are encoded together; latents are computed among them."""
    perplexity: Annotated[float, Field(gt=0)]


def measure_tsne(call: StageCall) -> Nested:
    """Measure means and standard deviations of one seed's points, by class and of all points.

    Also writes the points of the first seed, for DVC's plot.
    """
    trained = read_trained(call.trained_folder)
    run = require_study(call, trained, RepresentationRun, family="representing")
    data_name, run_seed = run.data, run.seed
    params: TsneParams = call.params.section(f"tsne.{data_name}", TsneParams)
    test = read_split(call.outputs.folder("prepare", data_name), "test")
    chosen = choose_images(test, params)
    encoder = trained.model.to(call.device).encoder
    represented = represent_images(
        FourRepresentations(encoder, run.latent.solver.build(), params.batch_size),
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
    except ValueError as error:  # the perplexity is too large for the number of images
        raise ParamsError(f"{call.params.path}: tsne.{data_name}: {error}") from error
    labels = test.labels[chosen]
    if run_seed == trained_seeds(call)[0]:
        rows = ((x, y, label) for (x, y), label in zip(points.tolist(), labels.tolist(), strict=True))
        write_plot_rows(call.outputs.plot("tsne", f"{call.item}.csv"), ["x", "y", "label"], rows)
    spreads = class_spreads(points, labels)
    classes = {str(label): asdict(spread) for label, spread in spreads.classes.items()}
    measured: dict[str, Nested | float] = {"classes": classes, "all": asdict(spreads.all)}
    if spreads.all.std_1 + spreads.all.std_2 == 0:
        note_not_measured(call, "tsne", {"relative_std": "all points are equal"})
    else:
        measured["relative_std"] = spreads.relative
    return measured


def choose_images(test: ImageSet, params: TsneParams) -> NDArray[np.int64]:
    """Return the indices (m,) of the images that are shown, in the order of the test set."""
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
