"""Convert a data set to the uniform form, in parallel processes; an interrupted preparation is continued."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import chdir, contextmanager
from pathlib import Path

import numpy as np

from lzn.base.files import write_text
from lzn.base.sections import ParamsError
from lzn.data.prepared import DataDescription, SplitFiles, write_description
from lzn.datasets import ImageSource, RawDataSet
from lzn.datasets.left_out import as_table
from lzn.preparation import UnusableImageError, WrittenSplit, source_fingerprint, write_split
from lzn.preparation.data_sets import AnyData, DataParams
from lzn.preparation.source_files import SourceFiles, take_fingerprint, write_fingerprint
from stages.runtime.exclusive_work import exclusive_work
from stages.runtime.limits import Counts, clashes, runs_on
from stages.runtime.progress_bars import progress_bar
from stages.runtime.project_root import project_root
from stages.runtime.provenance import code_fingerprint
from stages.runtime.stage_main import StageCall, run_stage

SET_ASIDE = "set_aside.txt"
LEFT_OUT = "left_out.txt"
MAX_NAMES = 20
"""Names of classes that are printed."""
PIXELS_PER_PNG = 4
"""Bytes of the pixels of a photograph for each byte of its PNG file, at most."""
# Settings that change checks but not the written files: unfinished work stays valid after a change of them.
CHECKS = {"expected", "sha256", "on_corrupt"}


def prepare(call: StageCall) -> None:
    """Write both splits to a folder of unfinished work, check them, and move them to the stage's output folder.

    Raises:
        ParamsError: the data set is missing, is not the expected one, or cannot be read or written.
    """
    params: DataParams = call.params.section(f"data.{call.item}", AnyData)
    target = call.outputs.folder("prepare", call.item).absolute()
    # ``root`` of a data set is relative to the project's root, and the names of its images begin with it.
    with _explain_errors(f"{call.params.path}: data.{call.item}"), chdir(project_root()):
        files = take_fingerprint(params.watched)  # before they are read: a later change is noticed
        raw = _open(params)
        _check_limits(call, Counts(len(raw.train), len(raw.test), raw.num_classes))
        key = _key(params, raw)
        work = call.outputs.preparation(call.item, key)
        _report_other_work(work)
        with exclusive_work(call.outputs.lock(f"prepare-{call.item}", key), f"prepare {call.item}"):
            work.mkdir(parents=True, exist_ok=True)
            _require_space(params, raw, files, work)
            description = _prepare(call.item, params, raw, work)
            _check_limits(call, Counts(description.num_train, description.num_test, raw.num_classes))
            _move_output(work, target)
            if files is not None:
                write_fingerprint(call.outputs.source_files(call.item), files)
    print(
        f"{description.name}: {description.num_train} training and {description.num_test} test images "
        f"of {description.image_shape}, {description.num_classes} classes{_named(description.class_names)}"
    )


def _named(class_names: tuple[str, ...]) -> str:
    """Return the first names of classes with their labels; an empty text if the names are the labels."""
    if class_names == tuple(map(str, range(len(class_names)))):
        return ""
    shown = [f"{label} {name}" for label, name in enumerate(class_names[:MAX_NAMES])]
    more = ", ..." if len(class_names) > MAX_NAMES else ""
    return f" ({', '.join(shown)}{more})" if shown else ""


@contextmanager
def _explain_errors(where: str) -> Iterator[None]:
    """Turn errors of the data or the machine into a ParamsError that says what to do."""
    try:
        yield
    except UnusableImageError as error:
        raise ParamsError(
            f"{where}: {error}\nRepair the image and run the stage again, or set on_corrupt to set_aside to leave out "
            "and list such images; finished work is kept"
        ) from error
    except BrokenProcessPool as error:
        raise ParamsError(
            f"{where}: a process that writes images was killed, perhaps for lack of memory; run the stage again: "
            "finished work is kept"
        ) from error
    except (_UnexpectedDataError, OSError) as error:
        raise ParamsError(f"{where}: {error}") from error


class _UnexpectedDataError(ValueError):
    """The data set is missing or is not the expected one."""


def _check_limits(call: StageCall, counts: Counts) -> None:
    """Raise an error if another stage cannot use its settings with these numbers of images and classes."""
    lines = clashes(call.params.content, call.item, counts, runs_on(call.params, call.item))
    if lines:
        found = f"{counts.train} training and {counts.test} test images, {counts.classes} classes"
        raise _UnexpectedDataError("\n  ".join([f"the data set has {found}; change these settings:", *lines]))


def _sources(raw: RawDataSet) -> dict[str, ImageSource]:
    return {"train": raw.train, "test": raw.test}


def _open(params: DataParams) -> RawDataSet:
    """Open the data set and check the numbers of images."""
    try:
        raw = params.open()
    except ValueError as error:  # a file is missing or damaged; the message says what to do
        raise _UnexpectedDataError(str(error)) from error
    for split, source in _sources(raw).items():
        expected = None if params.expected is None else getattr(params.expected, split)
        if expected is not None and len(source) != expected:
            raise _UnexpectedDataError(
                f"there are {len(source)} {split} images instead of the expected {expected}; complete the data set, "
                f"or change expected.{split} (null: any number)"
            )
    return raw


def _key(params: DataParams, raw: RawDataSet) -> str:
    """Return a hash of settings, code and source, which identifies unfinished work. It does not read all images."""
    parts = [
        params.model_dump_json(exclude=CHECKS),
        code_fingerprint("stages.prepare"),
        *(source_fingerprint(source) for source in _sources(raw).values()),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _require_space(params: DataParams, raw: RawDataSet, files: SourceFiles | None, work: Path) -> None:
    """Raise an error if the disk has no space for the shards that are not written yet."""
    pixels = sum(map(len, _sources(raw).values())) * math.prod(params.build_fit().image_shape)
    original = 0 if files is None else files.num_bytes
    size = {"pixels": pixels, "png": pixels // PIXELS_PER_PNG, "original": original}[params.storage]
    missing = size - sum(file.stat().st_size for file in work.rglob("*") if file.is_file())
    free = shutil.disk_usage(work).free
    if missing > free:
        raise _UnexpectedDataError(
            f"the prepared data set needs about {missing / 1e9:,.1f} GB more in {work.parent}, where {free / 1e9:,.1f} "
            "GB are free; DVC's cache needs the same again where the file system can only copy. Free disk space, or "
            "choose another storage"
        )


def _report_other_work(work: Path) -> None:
    """Print the folders of unfinished work with other settings or code, because they can be large."""
    name, key = work.name.rsplit("-", 1)
    others = sorted(str(path) for path in work.parent.glob(f"{name}-{'?' * len(key)}") if path != work)
    if others:
        print(
            f"unfinished work with other settings, code or images, which you may delete: {', '.join(others)}"
        )


def _prepare(name: str, params: DataParams, raw: RawDataSet, work: Path) -> DataDescription:
    """Write all files of the data set to ``work/data``."""
    folder = work / "data"
    written = _write_splits(name, params, raw, work)
    if not written["train"].num_images:
        raise _UnexpectedDataError(f"no training image is usable; {_describe_unusable(written['train'])}")
    _check_classes(raw, written["train"])
    description = DataDescription.of(
        name,
        num_classes=raw.num_classes,
        class_names=raw.class_names,
        decoding=params.decoding,
        image_shape=params.build_fit().image_shape,
        storage=params.storage,
        shorter_side=params.view_shorter_side,
        files={split: SplitFiles(files.shards, files.labels_sha256) for split, files in written.items()},
    )
    if params.sha256 not in (None, description.sha256):
        raise _UnexpectedDataError(
            f"the prepared data set has sha256 {description.sha256}, not {params.sha256}: the source has other images, "
            "or other versions of libraries decode them; correct sha256 (null: any data set)"
        )
    write_description(folder, description)
    _list_set_aside(folder / SET_ASIDE, written)
    _list_left_out(folder / LEFT_OUT, raw)
    return description


def _check_classes(raw: RawDataSet, written: WrittenSplit) -> None:
    """Raise an error if all training images of a class are set aside."""
    labels = raw.train.labels
    left = np.delete(labels, [image.index for image in written.set_aside])
    lost = sorted(set(np.unique(labels).tolist()) - set(np.unique(left).tolist()))
    if not lost:
        return
    names = ", ".join(raw.class_names[label] if raw.class_names else str(label) for label in lost[:5])
    first = next(image for image in written.set_aside if labels[image.index] == lost[0])
    raise _UnexpectedDataError(
        f"no training image of the class {names} is usable; repair its images or remove the class. The first is "
        f"{first.name}: {first.reason}"
    )


def _write_splits(name: str, params: DataParams, raw: RawDataSet, work: Path) -> Mapping[str, WrittenSplit]:
    folder, records = work / "data", work / "records"
    for place in (folder, records):
        place.mkdir(exist_ok=True)
    num_images = sum(map(len, _sources(raw).values()))
    written = {}
    with progress_bar(name, total=num_images, unit="image") as bar:
        for split, source in _sources(raw).items():
            written[split] = write_split(
                source,
                folder,
                split=split,
                records=records,
                fit=params.build_fit(),
                storage=params.storage,
                num_processes=_num_cpus(),
                on_corrupt=params.on_corrupt,
                on_progress=bar.update,
            )
    return written


def _num_cpus() -> int:
    """Return the number of CPUs that this process may use, or of all CPUs if the system does not report it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _describe_unusable(written: WrittenSplit) -> str:
    if not written.set_aside:
        return "there are no images"
    first = written.set_aside[0]
    return f"the first is {first.name}: {first.reason}"


def _list_set_aside(file: Path, written: Mapping[str, WrittenSplit]) -> None:
    """Write one line for each image that is left out: split, name and reason, separated by tabs."""
    lines = [
        "\t".join([split, image.name, " ".join(image.reason.split())])
        for split, files in written.items()
        for image in files.set_aside
    ]
    file.unlink(missing_ok=True)
    if lines:
        write_text(file, "\n".join(lines) + "\n")
        print(f"{len(lines)} unusable images are left out; {file.name} lists them")


def _list_left_out(file: Path, raw: RawDataSet) -> None:
    """Write and print the numbers of files beside the images that are not read."""
    file.unlink(missing_ok=True)
    if raw.left_out:
        table = as_table(raw.left_out)
        write_text(file, f"{table}\n")
        print(f"{sum(raw.left_out.values())} files or folders are left out ({file.name}):\n{table}")


def _move_output(work: Path, target: Path) -> None:
    if target.is_symlink():
        target.unlink()
    elif target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(work / "data", target)
    shutil.rmtree(work)


if __name__ == "__main__":
    run_stage("prepare", prepare, has_items=True)
