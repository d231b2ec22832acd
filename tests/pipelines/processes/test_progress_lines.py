"""The progress in lines of output."""

import io

import pytest
from tqdm import tqdm

from pipelines.processes.progress_lines import is_bar, read_progress


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("name", ["rf seed 0", ""])
def test_a_bar_of_tqdm_is_progress_with_its_name_and_counts(name: str, ascii_only: bool) -> None:
    output = io.StringIO()
    bar = tqdm(total=40, initial=18, desc=name, unit="step", file=output, ascii=ascii_only, ncols=80)
    bar.close()
    line = output.getvalue().strip("\r\n").split("\r")[-1]

    progress = read_progress(line)

    assert is_bar(line)
    assert progress is not None
    assert progress.percent == 45.0
    assert progress.text.startswith(f"{name}: 18/40 [" if name else "18/40 [")


def test_a_step_of_a_total_is_progress_and_is_logged() -> None:
    progress = read_progress("rf, seed 0: step 450 of 1000: loss 0.3")
    assert progress is not None
    assert progress.percent == 45.0
    assert not is_bar("rf, seed 0: step 450 of 1000: loss 0.3")


@pytest.mark.parametrize(
    "line",
    [
        "rf, seed 0: step 1000: loss 0.3",
        "100% of nothing",
        "accuracy 45%",
        "| 45% | 3/4 |",
        "step 3 of 0",
        "",
    ],
)
def test_other_lines_are_no_progress(line: str) -> None:
    assert read_progress(line) is None
    assert not is_bar(line)
