"""Sample images from a trained run for all metrics and figures; a killed stage resumes after the last batch."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lzn.base.files import file_sha256, write_array, write_json
from lzn.base.sections import Section
from lzn.data import quantise
from lzn.data.prepared import read_description, read_split
from lzn.runs.configuration import JointRun
from lzn.runs.samplers import SamplerParams
from lzn.runs.trained import WEIGHTS, TrainedRun, read_trained
from stages.measuring.seed_statistics import track_measured, trained_seeds
from stages.runtime.exclusive_work import exclusive_work
from stages.runtime.provenance import code_fingerprint
from stages.runtime.stage_main import StageCall, run_stage_of_seeds
from stages.sampling.resumable_images import ResumableImages
from stages.sampling.sampling import Sampling, random_labels, require_decoder
from stages.tracking import import_mlflow


class SampleParams(Section):
    """The section ``sample.<data set>``."""

    seed: Annotated[int, Field(ge=0)]
    """Determines the classes of the images; together with the run's seed, noise and latents."""
    num_images: Annotated[int, Field(ge=1)] | None = None
    """None: as many as there are training images."""
    batch_size: Annotated[int, Field(ge=1)]
    sampler: SamplerParams


def sample(call: StageCall) -> None:
    """Write ``images.npy`` (uint8) and ``labels.npy`` of one seed, for case study 3 also ``unconditional.npy``.

    The images of the latter are drawn with the same noise, for classes that are decoded from latents of the prior.
    """
    trained = read_trained(call.trained_folder)
    require_decoder(call, trained)
    data_name = trained.run.data
    params: SampleParams = call.params.section(f"sample.{data_name}", SampleParams)
    data_folder = call.outputs.folder("prepare", data_name)
    all_labels = torch.from_numpy(read_split(data_folder, "train").labels)
    labels = random_labels(all_labels, params.num_images, seed=params.seed)
    shape = read_description(data_folder).image_shape
    sampling = Sampling(
        trained,
        seed=params.seed,
        batch_size=params.batch_size,
        shape=shape,
        device=call.device,
    )
    file = call.outputs.images(call.item, call.run_seed)
    samplings = {file: sampling}
    if isinstance(trained.run, JointRun):
        unconditional = call.outputs.images(call.item, call.run_seed, unconditional=True)
        samplings[unconditional] = replace(sampling, decodes_classes=True)
    name, key = f"sample-{call.item}-{call.seed}", _key(trained, params, call)
    with exclusive_work(call.outputs.lock(name, key), f"sample {call.item}, seed {call.seed}"):
        arrays = {
            target: ResumableImages.open(
                call.outputs.checkpoints(f"{name}-{target.stem}", key), (len(labels), *shape)
            )
            for target in samplings
        }
        for target, images in arrays.items():
            _sample_batches(samplings[target], labels, params, images, call)
        for (
            target,
            images,
        ) in arrays.items():  # after all are finished: a killed stage does not draw them again
            images.move_to(target)
    write_array(file.with_name("labels.npy"), labels.numpy())


def write_grids(call: StageCall, seeds: Sequence[int], *, start: float) -> None:
    """Write grids of the first seed's images, and log the first grid and the elapsed time to the MLflow runs."""
    from stages.sampling.grids import classes_in_grid, save_columns, save_grid  # noqa: PLC0415 - imports torchvision: two seconds

    folder = call.outputs.seed_folder("sample", call.item, seeds[0])
    images, labels = np.load(folder / "images.npy", mmap_mode="r"), np.load(folder / "labels.npy")
    trained = read_trained(call.outputs.seed_folder("train", call.item, seeds[0]))
    with_classes = trained.model.decoder.num_classes > 0
    grid = call.outputs.plot("sample", f"{call.item}/grid.png")
    names = trained.configuration.class_names
    present = classes_in_grid(labels) if with_classes and names else []
    shown = [names[label] for label in present]
    if shown == [str(label) for label in present]:
        shown = []  # pictures of classes without names have no text
    save_grid(images, labels if with_classes else None, grid, shown)
    unconditional = call.outputs.images(call.item, seeds[0], unconditional=True)
    if unconditional.exists():
        save_grid(np.load(unconditional, mmap_mode="r"), None, grid.with_name("unconditional.png"))
    if with_classes:
        save_columns(images, labels, grid.with_name("classes.png"), shown)
        if shown:
            write_json(grid.with_name("classes.json"), shown)  # the report names the rows of the grid
    seconds = time.monotonic() - start
    track_measured(call, "sample", {}, seeds, seconds=seconds, pictures={"samples/grid.png": grid})


def import_for_grids() -> None:
    """Import what `write_grids` needs."""
    import stages.sampling.grids  # noqa: F401, PLC0415

    import_mlflow()


def _sample_batches(
    sampling: Sampling, labels: Tensor, params: SampleParams, images: ResumableImages, call: StageCall
) -> None:
    """Sample the images that ``images`` does not have yet."""
    with call.progress(total=len(labels), initial=images.num_finished, unit="image") as bar:
        for batch in sampling.batches(labels, params.sampler.build(), first=images.num_finished):
            images.append(quantise(batch))
            bar.update(len(batch))


def _key(trained: TrainedRun, params: SampleParams, call: StageCall) -> str:
    """Return a hash of everything that determines the images: weights, settings and code."""
    content = [
        trained.configuration.key,
        file_sha256(call.trained_folder / WEIGHTS),
        params.model_dump(mode="json"),
        code_fingerprint("stages.sample"),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


if __name__ == "__main__":
    run_stage_of_seeds(
        "sample",
        sample,
        seeds_of=trained_seeds,
        finish=partial(write_grids, start=time.monotonic()),
        import_meanwhile=import_for_grids,
    )
