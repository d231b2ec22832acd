"""Check a whole parameter file, so that mistakes are found before hours of training."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import model_validator

from lzn.base.sections import KEY_RULE, Key, ParamsError, ParamsFile, Section, is_key, validate
from lzn.base.streams import escape_other_characters
from lzn.preparation.data_sets import AnyData
from lzn.runs.blocks import BLOCKS, KeyInFile, merge_blocks
from lzn.runs.configuration import AnyRun, GenerationRun, JointRun, RepresentationRun
from pipelines.memory import lack_of_memory
from pipelines.resources import DEFAULT, Resources
from pipelines.sizes import NO_GIT, lacks_git
from stages.classify import ClassifyParams
from stages.feature_extraction.networks import FeaturesParams
from stages.import_run import ImportParams
from stages.measure import MeasureParams
from stages.probe import ProbeParams
from stages.report import ReportParams
from stages.reporting.tables import TablesParams
from stages.runtime.limits import clashes, known_before, prepared_counts, runs_on
from stages.runtime.stage_main import Hardware
from stages.sample import SampleParams
from stages.settings import SettingsParams
from stages.steps import StepsParams
from stages.training.resumption import CheckpointParams
from stages.tsne import TsneParams
from stages.zones import ZonesParams

NAMING_SECTIONS = ("data", "runs", "imports", "networks", "latents", "schedules")
"""Sections whose keys are names that the user chooses; the keys of other sections refer to them."""


class Families(Section):
    """The runs of each family of stages, each with its data set. DVC cannot look up the data set of a run itself."""

    generative: dict[str, str]
    classifying: dict[str, str]
    representing: dict[str, str]
    encoding: dict[str, str]


class Params(Section):
    """A whole parameter file. Settings of stages are listed by data set."""

    size: Key
    hardware: Hardware
    data: dict[Key, AnyData]
    families: Families
    features: dict[Key, FeaturesParams]
    networks: dict[Key, dict[str, Any]]
    latents: dict[Key, dict[str, Any]]
    schedules: dict[Key, dict[str, Any]]
    runs: dict[Key, AnyRun]
    imports: dict[Key, ImportParams]
    sample: dict[Key, SampleParams]
    measure: dict[Key, MeasureParams]
    classify: dict[Key, ClassifyParams]
    probe: dict[Key, ProbeParams]
    steps: dict[Key, StepsParams]
    settings: dict[Key, SettingsParams]
    tsne: dict[Key, TsneParams]
    zones: dict[Key, ZonesParams]
    tables: TablesParams
    report: ReportParams
    resources: dict[str, Resources]
    checkpoints: CheckpointParams = CheckpointParams()

    @property
    def all_runs(self) -> dict[str, AnyRun]:
        """Return trained and imported runs by name."""
        return {**self.runs, **{name: imported.run for name, imported in self.imports.items()}}

    @property
    def stages(self) -> dict[str, frozenset[str]]:
        """Return the families of stages in dvc.yaml, each with its instances (``rf`` of ``train@rf``)."""
        families = self.families
        instances: dict[str, Mapping[str, object]] = {
            "prepare": self.data,
            "features": self.features,
            "train": self.runs,
            "import": self.imports,
            **dict.fromkeys(("sample", "measure", "steps"), families.generative),
            **dict.fromkeys(("classify", "settings"), families.classifying),
            **dict.fromkeys(("probe", "tsne"), families.representing),
            "zones": families.encoding,
            **{stage: {self.size: None} for stage in ("tables", "report", "results")},
        }
        return {stage: frozenset(names) for stage, names in instances.items()}

    @model_validator(mode="after")
    def _run_names_are_unique(self) -> "Params":
        shared = sorted(set(self.runs) & set(self.imports))
        if shared:
            raise ValueError(f"imports and runs both have {', '.join(shared)}: rename one of them")
        return self

    @model_validator(mode="after")
    def _runs_have_data(self) -> "Params":
        for name, run in self.all_runs.items():
            if run.data not in self.data:
                raise ValueError(
                    f"run {name} has data {run.data}; the section data has {', '.join(sorted(self.data))}"
                )
        return self

    @model_validator(mode="after")
    def _families_list_suitable_runs(self) -> "Params":
        runs = self.all_runs
        suitable = {
            "generative": {name for name, run in runs.items() if _generates(run)},
            "classifying": {name for name, run in runs.items() if isinstance(run, JointRun)},
            "representing": {name for name, run in runs.items() if isinstance(run, RepresentationRun)},
            "encoding": {name for name, run in runs.items() if run.latent is not None},
        }
        for family, names in suitable.items():
            listed: dict[str, str] = getattr(self.families, family)
            if set(listed) - names:
                raise ValueError(
                    f"families.{family} lists {', '.join(sorted(set(listed) - names))}; the runs that can be listed "
                    f"are {', '.join(sorted(names))}"
                )
            for name, data in listed.items():
                if runs[name].data != data:
                    raise ValueError(
                        f"families.{family}.{name} is {data}, and the run's data is {runs[name].data}"
                    )
        return self

    @model_validator(mode="after")
    def _stages_have_settings(self) -> "Params":
        stages = {
            "generative": ("features", "sample", "measure", "steps"),
            "classifying": ("classify", "settings"),
            "representing": ("probe", "tsne"),
            "encoding": ("zones",),
        }
        for family, sections in stages.items():
            data_sets = sorted(set(getattr(self.families, family).values()))
            for section in sections:
                missing = [data for data in data_sets if data not in getattr(self, section)]
                if missing:
                    raise ValueError(
                        f"{section} has no settings for {', '.join(missing)}, which families.{family} needs"
                    )
        return self

    @model_validator(mode="after")
    def _zones_of_labelled_runs_are_classified(self) -> "Params":
        for name, data in self.families.encoding.items():
            if isinstance(self.all_runs[name], JointRun) and self.zones[data].classification is None:
                raise ValueError(
                    f"zones.{data} has no classification, which run {name} of families.encoding needs"
                )
        return self

    @model_validator(mode="after")
    def _probed_runs_are_in_the_family(self) -> "Params":
        for data, params in self.probe.items():
            suitable = sorted(run for run, its_data in self.families.representing.items() if its_data == data)
            unknown = sorted(set(params.of_runs) - set(suitable))
            if unknown:
                raise ValueError(
                    f"probe.{data}.of_runs names {', '.join(unknown)}; the runs of families.representing on {data} "
                    f"are {', '.join(suitable)}"
                )
        return self

    @model_validator(mode="after")
    def _tables_name_runs_of_the_families(self) -> "Params":
        families = self.families
        probed = {"linear_probe": self.tables.linear_probe, "figure19": self.tables.figure19}
        needed: dict[str, tuple[set[str], dict[str, str]]] = {
            "unconditional": (
                {run for methods in self.tables.unconditional.values() for run in methods.values()},
                families.generative,
            ),
            "conditional": (set(self.tables.conditional.values()), families.generative),
            "cutoff": (set(self.tables.cutoff.values()), families.generative),
            "classification": (set(self.tables.classification.values()), families.classifying),
            **{name: ({run}, families.representing) for name, run in probed.items() if run is not None},
        }
        for table, (listed, family) in needed.items():
            unknown = sorted(listed - set(family))
            if unknown:
                raise ValueError(
                    f"tables.{table} names {', '.join(unknown)}; its runs are {', '.join(sorted(family))}"
                )
        picture = self.report.picture
        if picture is not None and not {picture} <= set(families.generative) & set(families.classifying):
            raise ValueError(
                f"report.picture is {picture}: it must be in families.generative and in families.classifying"
            )
        return self

    @model_validator(mode="after")
    def _resources_are_of_stages(self) -> "Params":
        if DEFAULT not in self.resources:
            raise ValueError(f"resources.{DEFAULT} is missing: the resources of stages that are not listed")
        for key in self.resources.keys() - {DEFAULT}:
            family, at, instance = key.partition("@")
            if family not in self.stages:
                raise ValueError(f"resources.{key}: no such stage; the stages are {', '.join(self.stages)}")
            if at and instance not in self.stages[family]:
                instances = (
                    ", ".join(f"{family}@{name}" for name in sorted(self.stages[family])) or f"{family} alone"
                )
                raise ValueError(f"resources.{key}: no such stage; there is {instances}")
        return self


def read_params(file: Path) -> Params:
    """Read and check a whole parameter file.

    Raises:
        ParamsError: the file is wrong; the message has one line per problem.
    """
    params = ParamsFile.read(file)
    _require_keys(params)
    content = dict(params.content)
    origins: dict[str, str] = {}
    for section, run_key in (("runs", ""), ("imports", "run")):
        if isinstance(content.get(section), Mapping):
            merged = {}
            for name in content[section]:
                _require_blocks(params, f"{section}.{name}" + (f".{run_key}" if run_key else ""))
                merged[name], of_run = merge_blocks(params, f"{section}.{name}", run_key=run_key)
                origins |= of_run
            content[section] = merged
    checked: Params = validate(content, Params, where=f"{file}: ", key_in_file=KeyInFile(file, origins))
    lines = []
    for data, section in params.content["data"].items():
        counts = prepared_counts(params, data) or known_before(section)
        lines += clashes(params.content, data, counts, runs_on(params, data))
    if lines:
        raise ParamsError("\n".join(f"{file}: {line}" for line in lines))
    return checked


def require_memory(file: Path, params: Params) -> None:
    """Raise ParamsError if a training needs more memory than ``resources`` say that its GPUs have."""
    lines = lack_of_memory(params.runs, params.data, params.resources)
    message = "\n".join(f"{file}: {line}" for line in lines)
    if message:
        raise ParamsError(message)


def _require_keys(params: ParamsFile) -> None:
    """Raise ParamsError if a name that the file gives does not follow the rule of `Key`."""
    size = params.content.get("size")
    wrong = [] if size is None or is_key(size) else [f"size {size!r}"]
    for section, content in params.content.items():
        if section in NAMING_SECTIONS and isinstance(content, Mapping):
            wrong += [f"{section}: the name {name!r}" for name in content if not is_key(name)]
    if wrong:
        lines = [f"{params.path}: {one} is not allowed: use {KEY_RULE}" for one in wrong]
        raise ParamsError("\n".join(lines))


def _require_blocks(params: ParamsFile, run: str) -> None:
    """Raise ParamsError if a run does not name all of its blocks, which dvc.yaml looks up."""
    for key, section in BLOCKS.items():
        content = params.value(run)
        if isinstance(content, Mapping) and key not in content:
            raise ParamsError(f"{params.path}: {run}.{key} is missing: name a block of {section}")


def _generates(run: AnyRun) -> bool:
    return isinstance(run, GenerationRun) or (isinstance(run, JointRun) and run.generate)


def main() -> None:
    """Check the files named on the command line. All of them are checked before the program ends with the errors."""
    escape_other_characters()
    parser = argparse.ArgumentParser(prog="python -m pipelines.check", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="parameter files")
    errors = [f"error: {NO_GIT}"] if lacks_git() else []
    for file in parser.parse_args().files:
        try:
            params = read_params(file)
            require_memory(file, params)
        except ParamsError as error:
            errors.append(str(error))
        else:
            print(f"{file}: size {params.size}, {len(params.runs)} runs: {', '.join(params.runs)}")
    if errors:
        sys.exit("\n".join(errors))


if __name__ == "__main__":
    main()
