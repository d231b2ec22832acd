"""Bring the size's data set into the uniform form."""

from typing import Annotated, Literal

from pydantic import Field

from lzn.datasets import load_digits
from stages.dataset_files import write_data_set
from stages.entry import StageCall, run_stage
from stages.params import Section, load_section


class DigitsParams(Section):
    """scikit-learn's handwritten digits, split at random with the classes in equal shares."""

    name: Literal["digits"]
    test_fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0)]


def prepare(call: StageCall) -> None:
    """Write both splits and their description."""
    params: DigitsParams = load_section(call.params_file, "data", DigitsParams)
    data = load_digits(test_fraction=params.test_fraction, seed=params.seed)
    description = write_data_set(call.workspace.folder("prepare"), params.name, data)
    print(
        f"{description.name}: {description.num_train} training and {description.num_test} test images "
        f"of {description.image_shape}, {description.num_classes} classes"
    )


if __name__ == "__main__":
    run_stage("prepare", prepare, of_a_run=False)
