"""What each command does with a trained run. Outputs and inputs are checked before any computation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lzn.cli.catalogue import ChosenRun
from lzn.cli.options import Conversion, Ode
from lzn.cli.output_files import OutputFile, choose_images_output, write_images
from lzn.cli.terminal import progress_bar
from lzn.data.decoding import DecodingRules
from lzn.inference import classification, embedding, reconstruction
from lzn.inference.class_names import file_names
from lzn.inference.embedding import embeddings_of
from lzn.inference.errors import UserError
from lzn.inference.images import Images, make_grid, to_pil_image
from lzn.inference.input_images import ImageRules, read_image_files
from lzn.inference.loaded_run import LoadedRun, choose_device, open_seed
from lzn.inference.sampling import OdeSettings, SampleRequest, choose_classes, draw_samples

MAX_IMAGES = 10_000
MAX_EVALUATIONS = 20_000_000
"""Largest number of images times Euler steps of a command."""


@dataclass(frozen=True)
class CommandResult:
    """The result of a command as text, and as a payload for JSON."""

    text: str
    payload: object


def sample(
    chosen: ChosenRun,
    *,
    out: Path,
    force: bool,
    num_images: int,
    classes: tuple[str, ...],
    seed: int,
    ode: Ode,
) -> CommandResult:
    """Sample images and write them (``lzn sample``)."""
    output = choose_images_output(out, force=force)
    run = _open(chosen)
    settings = _settings(ode)
    settings.require_work(num_images, max_evaluations=MAX_EVALUATIONS)
    chosen_classes = choose_classes(run, classes)
    request = SampleRequest(num_images=num_images, classes=chosen_classes, seed=seed, ode=settings)
    with progress_bar(run.facts.name, num_images) as on_progress:
        samples = draw_samples(run, request, on_progress=on_progress)
    labels = None if samples.labels is None else samples.labels.tolist()
    named = _names_of(run, labels)
    write_images(output, samples.images, _names_of_files(run, labels, num_images), named)
    payload = {
        **_name_and_seed(run),
        "num_images": num_images,
        "labels": labels,
        "classes": named,
        "out": str(out),
    }
    which = f", of the classes {', '.join(map(run.facts.class_name, chosen_classes))}" if classes else ""
    text = f"{out}: {num_images} images of {run.facts.name}, seed {run.facts.seed}{which}"
    return CommandResult(text, payload)


def classify(chosen: ChosenRun, files: Sequence[Path], *, conversion: Conversion) -> CommandResult:
    """Classify image files (``lzn classify``)."""
    run = _open(chosen)
    images = _read(files, run, conversion)
    with progress_bar(run.facts.name, len(images)) as on_progress:
        found = classification.classify(run, images, on_progress=on_progress)
    lines, results = [], []
    for file, label, shares in zip(files, found.labels.tolist(), found.shares.tolist(), strict=True):
        others = sorted(
            (c for c, share in enumerate(shares) if share > 0 and c != label), key=lambda c: -shares[c]
        )
        name_of = run.facts.class_name
        also = ", ".join(f"{name_of(c)}: {shares[c]:.2f}" for c in others[:2])
        lines.append(
            f"{file}: {name_of(label)} ({shares[label]:.2f} of its zone{'; ' + also if also else ''})"
        )
        results.append({"file": str(file), "label": label, "class": name_of(label), "shares": shares})
    payload = {**_name_and_seed(run), "classes": list(run.facts.class_names), "images": results}
    return CommandResult("\n".join(lines), payload)


def embed(
    chosen: ChosenRun,
    files: Sequence[Path],
    *,
    out: Path,
    force: bool,
    kind: str | None,
    conversion: Conversion,
    seed: int,
) -> CommandResult:
    """Compute representations and write them (``lzn embed``)."""
    output = OutputFile(out, force, (".npy", ".npz"))
    run = _open(chosen)
    kind = _choose_kind(run, kind)
    images = _read(files, run, conversion)
    with progress_bar(run.facts.name, len(images)) as on_progress:
        found = embedding.embed(run, images, seed=seed, on_progress=on_progress)
    if out.suffix.lower() == ".npz":
        output.write(lambda file: np.savez(file, allow_pickle=False, **found))
        shapes = {name: list(array.shape) for name, array in found.items()}
    else:
        output.write(lambda file: np.save(file, found[kind]))
        shapes = {kind: list(found[kind].shape)}
    summary = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in shapes.items())
    return CommandResult(f"{out}: {summary}", {**_name_and_seed(run), "embeddings": shapes, "out": str(out)})


def reconstruct(
    chosen: ChosenRun,
    files: Sequence[Path],
    *,
    out: Path | None,
    force: bool,
    conversion: Conversion,
    label: str | None,
    seed: int,
    ode: Ode,
) -> CommandResult:
    """Reconstruct image files and optionally write the result (``lzn reconstruct``)."""
    output = None if out is None else OutputFile(out, force, (".png", ".npy"))
    run = _open(chosen)
    (index,) = choose_classes(run, (label,)) if label is not None else (None,)
    settings = _settings(ode)
    settings.require_work(2 * len(files), max_evaluations=MAX_EVALUATIONS)  # to noise and back
    images = _read(files, run, conversion)
    with progress_bar(run.facts.name, len(images)) as on_progress:
        found = reconstruction.reconstruct(
            run, images, label=index, seed=seed, ode=settings, on_progress=on_progress
        )
    if output is not None and output.path.suffix.lower() == ".npy":
        output.write(lambda file: np.save(file, found.images))
    elif output is not None:
        output.write(lambda file: to_pil_image(_pairs(images, found.images)).save(file))
    errors = found.errors.tolist()
    labels = [None] * len(files) if found.labels is None else found.labels.tolist()
    name_of = run.facts.class_name
    results = [
        {"file": str(file), "error": error, "label": used, "class": None if used is None else name_of(used)}
        for file, error, used in zip(files, errors, labels, strict=True)
    ]
    mean = sum(errors) / len(errors)
    where = "" if out is None else f"{out}: "
    lines = [f"{file}: distance {error:.4g}" for file, error in zip(files, errors, strict=True)]
    lines.append(f"{where}{len(files)} images, mean distance {mean:.4g}")
    payload = {"mean_error": mean, "images": results, "out": None if out is None else str(out)}
    return CommandResult("\n".join(lines), {**_name_and_seed(run), **payload})


def _open(chosen: ChosenRun) -> LoadedRun:
    return open_seed(
        chosen.folder, prepared_folder=chosen.prepared_folder, device=choose_device(chosen.device)
    )


def _settings(ode: Ode) -> OdeSettings:
    return OdeSettings(
        num_steps=ode.steps,
        tolerance=ode.tolerance,
        max_seconds=ode.max_seconds,
        advice="ask for fewer images or steps, or raise --max-seconds",
    )


def _name_and_seed(run: LoadedRun) -> dict[str, object]:
    return {"run": run.facts.name, "seed": run.facts.seed}


def _names_of(run: LoadedRun, labels: Sequence[int] | None) -> list[str] | None:
    return None if labels is None else [run.facts.class_name(label) for label in labels]


def _names_of_files(run: LoadedRun, labels: Sequence[int] | None, num_images: int) -> list[str]:
    """Return the name of each image's file: its number, and its class if there is one."""
    digits = len(str(num_images - 1))
    numbers = [f"{number:0{digits}}" for number in range(num_images)]
    if labels is None:
        return numbers
    classes = file_names(run.facts.class_names, run.facts.num_classes)
    return [f"{number}_class_{classes[label]}" for number, label in zip(numbers, labels, strict=True)]


def _read(files: Sequence[Path], run: LoadedRun, conversion: Conversion) -> Images:
    decoding = DecodingRules(bit_depth=conversion.bit_depth, first_frame=conversion.first_frame)
    rules = ImageRules(
        shape=run.image_shape, fitting=conversion.fitting, max_images=MAX_IMAGES, decoding=decoding
    )
    return read_image_files(files, rules)


def _choose_kind(run: LoadedRun, kind: str | None) -> str:
    names = embeddings_of(run.facts.study)
    if kind is None:
        return names[0] if run.facts.study == "representation" else names[-1]
    if kind not in names:
        raise UserError(f"--kind {kind}: choose one of run {run.facts.name}: {', '.join(names)}")
    return kind


def _pairs(images: Images, reconstructions: Images) -> Images:
    """Arrange one image (c, height, width) in which each reconstruction is below its original."""
    columns = min(10, len(images))
    cells = []
    for start in range(0, len(images), columns):
        for rows in (images[start : start + columns], reconstructions[start : start + columns]):
            white = np.full((columns - len(rows), *images.shape[1:]), 255, dtype=np.uint8)
            cells.append(np.concatenate([rows, white]))
    return make_grid(np.concatenate(cells), columns=columns)
