"""How distances to real images were measured: written beside the numbers of a seed, compared before numbers are."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from lzn.base.files import write_json
from lzn.base.sections import ParamsError
from lzn.data.prepared import DataDescription
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall


class MadeBy(Protocol):
    """The network of a distance: `stages.feature_extraction.made_by.MadeBy`."""

    @property
    def network(self) -> str:
        """Its name."""

    @property
    def weights_sha256(self) -> str:
        """Hash of its weights."""

    @property
    def preprocessing(self) -> str:
        """How images are prepared for it."""


@dataclass(frozen=True)
class Recipe:
    """What determines the statistics of the real images, besides the code. Distances with one recipe are comparable.

    Attributes:
        data: the data set.
        data_sha256: its hash after the preparation.
        storage: how its images are stored: as ``pixels`` or ``png``, both without loss, or as the ``original`` files.
        image_shape: (channels, height, width).
        cropped_from: with storage ``original``, the shorter side before the centre is cropped; else None.
        num_images: number of real images.
        subset_seed: seed of their choice; None if they are all training images.
        network: the network of the features.
        weights_sha256: hash of its weights.
        preprocessing: how images are resized and scaled for it.
    """

    data: str
    data_sha256: str
    storage: str
    image_shape: tuple[int, ...]
    cropped_from: int | None
    num_images: int
    subset_seed: int | None
    network: str
    weights_sha256: str
    preprocessing: str

    @property
    def text(self) -> str:
        """The recipe in words, for the footnote of a table."""
        _, height, width = self.image_shape
        chosen = "all" if self.subset_seed is None else f"chosen with seed {self.subset_seed}"
        stored = {"pixels": "stored as pixels", "png": "stored as PNG"}.get(self.storage, "original files")
        crop = "" if self.cropped_from is None else f", centre of {self.cropped_from} pixels"
        return (
            f"{self.num_images} training images of {self.data} ({chosen}; {height}x{width}, {stored}{crop}), "
            f"{self.network} {self.weights_sha256[:12]}, {self.preprocessing}"
        )


def write_recipes(
    call: StageCall,
    stage: str,
    made_by: Mapping[str, MadeBy],
    data: DataDescription,
    *,
    num_images: int,
    subset_seed: int,
) -> None:
    """Write the recipes of a seed's distances; without distances there is no file.

    Args:
        call: the call for the seed.
        stage: the stage that measures.
        made_by: the network and preprocessing of each distance.
        data: the data set with the real images.
        num_images: number of real images.
        subset_seed: with which they were chosen.
    """
    file = call.outputs.metrics_folder(stage) / call.item / f"recipes_{call.run_seed}.json"
    file.unlink(missing_ok=True)
    recipes = {
        name: Recipe(
            data=data.name,
            data_sha256=data.sha256,
            storage=data.storage,
            image_shape=tuple(data.image_shape),
            cropped_from=data.shorter_side,
            num_images=num_images,
            subset_seed=None if num_images == data.num_train else subset_seed,
            network=one.network,
            weights_sha256=one.weights_sha256,
            preprocessing=one.preprocessing,
        )
        for name, one in made_by.items()
    }
    if recipes:
        write_json(file, {name: asdict(recipe) for name, recipe in recipes.items()})


def read_recipes(outputs: OutputPaths, stage: str, run: str) -> dict[str, Recipe]:
    """Return the recipes of the distances of a run.

    Raises:
        ParamsError: the seeds of the run have different recipes.
    """
    found: dict[str, tuple[str, Recipe]] = {}
    for file in sorted((outputs.metrics_folder(stage) / run).glob("recipes_*.json")):
        content: dict[str, dict[str, Any]] = json.loads(file.read_text())
        for name, fields in content.items():
            recipe = Recipe(**{**fields, "image_shape": tuple(fields["image_shape"])})
            seed = file.stem.removeprefix("recipes_")
            first, known = found.setdefault(name, (seed, recipe))
            different = _differences(known, recipe)
            if different:
                raise ParamsError(
                    f"seeds {first} and {seed} of {stage}@{run} have different recipes of {name}: {different}. Measure "
                    f"them again: dvc repro --force --single-item {stage}@{run}"
                )
    return {name: recipe for name, (_, recipe) in found.items()}


def common_recipes(outputs: OutputPaths, stage: str, runs: Iterable[str]) -> dict[str, Recipe]:
    """Return the recipes of the distances of runs whose numbers are compared.

    Raises:
        ParamsError: two of them have different recipes for the same distance.
    """
    common: dict[str, tuple[str, Recipe]] = {}
    for run in runs:
        for name, recipe in read_recipes(outputs, stage, run).items():
            other, known = common.setdefault(name, (run, recipe))
            different = _differences(known, recipe)
            if different:
                runs_again = f"{stage}@{other} {stage}@{run}"
                raise ParamsError(
                    f"the {name} of {stage}@{other} and {stage}@{run} cannot be compared: they were measured with "
                    f"different {different}. Measure both again: dvc repro --force --single-item {runs_again}"
                )
    return {name: recipe for name, (_, recipe) in common.items()}


def _differences(recipe: Recipe, other: Recipe) -> str:
    """Return the fields in which two recipes differ, with both values; empty if there are none."""
    return ", ".join(
        f"{name} ({before} and {after})"
        for (name, before), after in zip(asdict(recipe).items(), asdict(other).values(), strict=True)
        if before != after
    )
