"""Bounds that a data set sets to the parameters of all stages, so that a late stage does not find them after hours.

`lzn check` compares what is known before: numbers of published data sets, ``expected``, and of data sets that are
prepared with the same settings. The stage ``prepare`` compares again as soon as it knows the numbers.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lzn.base.sections import ParamsError, ParamsFile, read_yaml
from lzn.data.prepared import read_description
from lzn.runs.blocks import merge_blocks

Content = Mapping[str, Any]


@dataclass(frozen=True)
class Counts:
    """What is known of a data set; None for what is not.

    Attributes:
        train: number of training images.
        test: number of test images.
        classes: number of classes; 1 without classes.
    """

    train: int | None = None
    test: int | None = None
    classes: int | None = None


_PUBLISHED = {
    "cifar10": Counts(50_000, 10_000, 10),
    "fashion_mnist": Counts(60_000, 10_000, 10),
    "imagenet": Counts(1_281_167, 50_000, 1000),
    "celeba_hq": Counts(30_000, 0, 1),
    "lsun_bedroom": Counts(3_033_042, 300, 1),
    "afhq": Counts(None, None, 1),
}
_NUM_DIGITS = 1797


def known_before(section: Content) -> Counts:
    """Return what the section of a data set says about it: numbers of images are the largest that it can have."""
    kind, fraction = section.get("kind"), section.get("test_fraction")
    counts = _PUBLISHED.get(str(kind), Counts())
    if kind == "digits" and isinstance(fraction, float):
        test = math.ceil(fraction * _NUM_DIGITS)
        counts = Counts(_NUM_DIGITS - test, test, 10)
    elif kind == "folder" and fraction == 0:
        counts = Counts(None, 0, None)
    expected = _section(section, "expected")
    return Counts(
        counts.train if expected.get("train") is None else expected["train"],
        counts.test if expected.get("test") is None else expected["test"],
        counts.classes,
    )


def prepared_counts(params: ParamsFile, data: str) -> Counts | None:
    """Return the counts of a data set that is prepared with the settings of the file; None if there is none.

    ``dvc.lock`` has the settings of the last preparation.
    """
    size, root = params.content["size"], params.path.parent
    try:
        lock = read_yaml(root / "dvc.lock")
        settings = lock["stages"][f"prepare@{data}"]["params"]["params.yaml"]
        if settings != {"size": size, f"data.{data}": params.content["data"][data]}:
            return None
        found = read_description(root / "outputs" / size / "prepare" / data)
    except (ParamsError, KeyError, TypeError):
        return None
    return Counts(found.num_train, found.num_test, found.num_classes)


def runs_on(params: ParamsFile, data: str) -> dict[str, Content]:
    """Return the runs on a data set, merged with their blocks, by keys such as ``runs.rf`` and ``imports.x.run``.

    Runs that cannot be merged are left out: `lzn check` reports them.
    """
    found: dict[str, Content] = {}
    for section, run_key in (("runs", ""), ("imports", "run")):
        for name in _section(params.content, section):
            try:
                merged, _ = merge_blocks(params, f"{section}.{name}", run_key=run_key)
            except ParamsError:
                continue
            run = _section(merged, run_key) if run_key and isinstance(merged, Mapping) else merged
            if isinstance(run, Mapping) and run.get("data") == data:
                found[f"{section}.{name}" + (f".{run_key}" if run_key else "")] = run
    return found


def clashes(content: Content, data: str, counts: Counts, runs: Mapping[str, Content]) -> list[str]:
    """Return one line for each value that the stages cannot use with this data set: key, value and bound.

    Args:
        content: the parameter file.
        data: the data set.
        counts: what is known of it.
        runs: the trained and imported runs on it by their keys, merged with their blocks; see `runs_on`.
    """
    families: Content = content.get("families") or {}
    members = {
        family: [run for run, its in (listed or {}).items() if its == data]
        for family, listed in families.items()
    }
    return [
        *_training(content, data, counts, runs),
        *(_images(content, data, counts) if members.get("generative") else ()),
        *_labels(content, data, counts, members),
        *(_zones(content, data, counts, runs, members["encoding"]) if members.get("encoding") else ()),
    ]


def _at_most(key: str, value: object, bound: int | None, what: str) -> Iterator[str]:
    if isinstance(value, int) and bound is not None and value > bound:
        yield f"{key} is {value}: it must be at most {bound}, {what}"


def _section(content: Content, *keys: str) -> Content:
    found: Any = content
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _training(content: Content, data: str, counts: Counts, runs: Mapping[str, Content]) -> Iterator[str]:
    what = f"the number of training images of {data}"
    for key, settings in runs.items():
        size = _section(settings, "training").get("batch_size")
        if key.startswith("runs."):  # imported runs are not trained
            yield from _at_most(f"{key}.training.batch_size", size, counts.train, what)
    features = _section(content, "features", data)
    if features.get("kind") == "classifier":
        size = _section(features, "training").get("batch_size")
        yield from _at_most(f"features.{data}.training.batch_size", size, counts.train, what)
        if counts.classes == 1 or counts.test == 0:
            yield (
                f"features.{data}.kind is classifier, which needs classes and test images, and {data} has "
                f"{_known(counts)}: set kind to inception or none"
            )


def _images(content: Content, data: str, counts: Counts) -> Iterator[str]:
    """Check the numbers of images of the stages sample, measure and steps."""
    what = f"the number of training images of {data}"
    measure = _section(content, "measure", data)
    reconstructed = _section(measure, "reconstruction").get("num_images")
    yield from _at_most(f"measure.{data}.reconstruction.num_images", reconstructed, counts.train, what)
    if _section(content, "features", data).get("kind") == "none":
        return
    sampled = _section(content, "sample", data).get("num_images")
    compared = [number for number in (sampled, counts.train) if isinstance(number, int)]
    neighbours = measure.get("num_neighbours")
    if isinstance(neighbours, int) and compared and neighbours >= min(compared):
        yield (
            f"measure.{data}.num_neighbours is {neighbours}: it must be below {min(compared)}, the number of compared "
            f"images (sample.{data}.num_images, at most the training images)"
        )


def _labels(content: Content, data: str, counts: Counts, members: Mapping[str, list[str]]) -> Iterator[str]:
    """Check the stages that need classes and test images."""
    for family in ("classifying", "representing"):
        for run in members.get(family, ()):
            if counts.classes == 1 or counts.test == 0:
                yield (
                    f"families.{family}.{run} is {data}, which has {_known(counts)}: the stages of this family need "
                    "two classes and test images (folder: two subfolders, and test_fraction above 0)"
                )
    if members.get("classifying"):
        for size in _section(content, "settings", data).get("batch_sizes") or ():
            yield from _at_most(
                f"settings.{data}.batch_sizes", size, counts.test, f"the number of test images of {data}"
            )
    if members.get("representing"):
        for name in ("method", "along_training"):
            size = _section(content, "probe", data, name).get("batch_size")
            what = f"the number of training images of {data}"
            yield from _at_most(f"probe.{data}.{name}.batch_size", size, counts.train, what)
        yield from _perplexity(_section(content, "tsne", data), data, counts)


def _perplexity(tsne: Content, data: str, counts: Counts) -> Iterator[str]:
    perplexity, each, classes = (tsne.get(name) for name in ("perplexity", "images_per_class", "num_classes"))
    if not (isinstance(each, int) and isinstance(classes, int) and isinstance(perplexity, int | float)):
        return
    points = each * min(classes, counts.classes or classes)
    points = points if counts.test is None else min(points, counts.test)
    if perplexity >= points > 0:
        yield f"tsne.{data}.perplexity is {perplexity:g}: it must be below {points}, the number of shown images"


def _zones(
    content: Content, data: str, counts: Counts, runs: Mapping[str, Content], encoding: list[str]
) -> Iterator[str]:
    stability = _section(content, "zones", data, "stability")
    what = f"the number of training images of {data}"
    key = f"zones.{data}.stability"
    yield from _at_most(f"{key}.bank_samples", stability.get("bank_samples"), counts.train, what)
    for run in encoding:
        batch = _section(runs.get(f"runs.{run}") or runs.get(f"imports.{run}.run") or {}, "training").get(
            "batch_size"
        )
        if isinstance(batch, int) and counts.train is not None:
            bound = counts.train - batch + 1
            what = f"the training images of {data} beside a batch of {batch} of the run {run}"
            yield from _at_most(f"{key}.samples_per_pair", stability.get("samples_per_pair"), bound, what)


def _known(counts: Counts) -> str:
    classes = (
        None if counts.classes is None else f"{counts.classes} class{'' if counts.classes == 1 else 'es'}"
    )
    test = None if counts.test is None else f"{counts.test} test images"
    return " and ".join(part for part in (classes, test) if part is not None)
