"""Check a whole parameter file, so that a mistake in it shows before the hours of training and not after them."""

import argparse
import sys
from pathlib import Path

from pydantic import model_validator

from stages.classify import ClassifyParams
from stages.entry import Hardware
from stages.features import FeaturesParams
from stages.measure import MeasureParams
from stages.paper_tables import TablesParams
from stages.params import ParamsError, Section, read_yaml, validate
from stages.prepare import DigitsParams
from stages.probe import ProbeParams
from stages.report import ReportParams
from stages.runs import AnyRun, GenerationRun, JointRun, RepresentationRun
from stages.sample import SampleParams


class Layout(Section):
    """Where a size's files are, seen from its dvc.yaml."""

    root: str
    params_file: str


class Families(Section):
    """Which runs go through which stages."""

    generative: tuple[str, ...]
    classifying: tuple[str, ...]
    representing: tuple[str, ...]


class Params(Section):
    """A whole parameter file."""

    size: str
    layout: Layout
    hardware: Hardware
    data: DigitsParams
    families: Families
    features: FeaturesParams
    runs: dict[str, AnyRun]
    sample: SampleParams
    measure: MeasureParams
    classify: ClassifyParams
    probe: ProbeParams
    tables: TablesParams
    report: ReportParams

    @model_validator(mode="after")
    def _families_are_of_the_runs(self) -> "Params":
        able = {
            "generative": {name for name, run in self.runs.items() if _generates(run)},
            "classifying": {name for name, run in self.runs.items() if isinstance(run, JointRun)},
            "representing": {name for name, run in self.runs.items() if isinstance(run, RepresentationRun)},
        }
        for family, names in able.items():
            listed = set(getattr(self.families, family))
            if listed - names:
                raise ValueError(
                    f"families.{family} lists {', '.join(sorted(listed - names))}; the runs that can be listed are "
                    f"{', '.join(sorted(names))}"
                )
        return self


def read_params(file: Path) -> Params:
    """The whole of a parameter file.

    Raises:
        ParamsError: with one line for each thing that is wrong.
    """
    params: Params = validate(read_yaml(file), Params, where=f"{file}: ")
    return params


def _generates(run: AnyRun) -> bool:
    return isinstance(run, GenerationRun) or (isinstance(run, JointRun) and run.generate)


def main() -> None:
    """Check the files named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.check", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="parameter files")
    for file in parser.parse_args().files:
        try:
            params = read_params(file)
        except ParamsError as error:
            sys.exit(str(error))
        print(f"{file}: size {params.size}, {len(params.runs)} runs: {', '.join(params.runs)}")


if __name__ == "__main__":
    main()
