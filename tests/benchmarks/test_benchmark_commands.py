"""The benchmarks' measurements run, at tiny sizes, and their findings become one table. No time is tested."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from lzn_testing import PROJECT

from benchmarks import gpu
from benchmarks.accuracy import draw, measure_errors, unit_anchors
from benchmarks.accuracy import findings as accuracy_findings
from benchmarks.alignment import cost_of_alignment, literal_in_part
from benchmarks.comparison import Comparison
from benchmarks.gpu import finding_of, measure_latents
from benchmarks.latents import EULER, cost_of_label_flow, cost_of_latents, literal, our_labels, ours
from benchmarks.latents import findings as latents_findings
from benchmarks.measuring import NUM_THREADS, Cost, cost_of, in_own_process
from benchmarks.micro_batches import CASES as MICRO_BATCH_CASES
from benchmarks.micro_batches import Case as MicroBatchCase
from benchmarks.micro_batches import cost_of_step
from benchmarks.micro_batches import findings as micro_batch_findings
from benchmarks.reports import Finding, Report
from benchmarks.sampling import DIRECTIONS, RK45, SAMPLERS, measure_one, scipy_rk45
from benchmarks.sampling import ours as our_sampling
from benchmarks.steps import CASES, our_speed, plain_seconds
from benchmarks.table import table
from lzn.training import Compute
from pipelines.check import read_params


def test_measurements_have_a_process_and_threads_of_their_own():
    assert in_own_process(torch.get_num_threads) == NUM_THREADS


def test_extra_memory_is_that_of_the_computation():
    size = 64 * 2**20
    cost = in_own_process(
        cost_of,
        partial(torch.ones, size, dtype=torch.uint8),
        warm_up=partial(torch.ones, 8),
        max_repetitions=2,
    )
    # The rest of the process may give back or take some megabytes meanwhile.
    assert cost.extra_bytes == pytest.approx(size, rel=0.2)
    assert cost.num_repetitions == 2


@pytest.mark.parametrize("version", [literal, ours])
def test_latents_are_measured(version):
    assert cost_of_latents(version, EULER, 16).seconds > 0


def test_label_flow_and_alignment_are_measured():
    assert cost_of_label_flow(our_labels, 16).seconds > 0
    assert cost_of_alignment(literal_in_part, 16).seconds > 0


@pytest.mark.parametrize("name", ["digits_128", "digits_joint_128"])
def test_both_versions_of_a_step_are_measured(name: str):
    case = replace(CASES[name], batch_size=8, num_steps=3, num_plain_steps=2)
    speed = our_speed(case)
    assert speed.seconds > 0
    assert 0 <= speed.share_waiting < 1
    assert plain_seconds(case) > 0


def test_a_step_in_micro_batches_is_measured():
    case = MicroBatchCase("params.yaml", "rf_lzn", 8, (4,))
    assert cost_of_step(case, None).seconds > 0
    assert cost_of_step(case, 4).seconds > 0


def test_every_case_of_micro_batches_is_a_run_and_has_its_goals():
    for name, case in MICRO_BATCH_CASES.items():
        assert case.run in read_params(PROJECT / case.params).runs
        rows = [
            {"case": name, "size": size, "seconds": 1.0, "mib": 100.0 / (size or 1)}
            for size in (None, *case.sizes)
        ]
        goals = [finding.reached for finding in micro_batch_findings(rows) if finding.goal]
        assert goals == [True]


def test_what_is_measured_on_gpus_is_also_measured_on_the_cpu():
    case = replace(CASES["digits_joint_128"], batch_size=8, num_steps=3)
    cost = gpu.cost_of_step(case, Compute(precision="bfloat16", checkpoint_activations=True), "cpu")
    assert cost is not None
    assert cost.seconds > 0
    [row] = measure_latents([16], "cpu")
    assert finding_of(row).measured.endswith("GiB")
    assert finding_of({"what": "a step", "seconds": None, "peak_bytes": None}).measured == "out of memory"


def test_every_case_is_a_run_of_its_size():
    for case in CASES.values():
        assert case.read_run().training.batch_size == case.batch_size


def test_evaluations_are_scipys():
    rk45 = partial(our_sampling, SAMPLERS[RK45])
    for direction in DIRECTIONS:
        measured = [measure_one(solve, direction, 2, trained=None) for solve in (rk45, scipy_rk45)]
        # SciPy's state is float64, and one more step is accepted or rejected where an error is near its limit.
        assert measured[0].num_evaluations == pytest.approx(measured[1].num_evaluations, rel=0.05)


def test_errors_fall_with_the_number_of_steps_and_are_drawn(tmp_path: Path):
    row = {"problem": "few", **measure_errors(unit_anchors()[:6], (20, 100))}
    few, many = (error["to_converged"]["value"] for error in row["errors"]["Euler"])
    assert many < few
    assert row["converged_within"]["value"] < row["euler_500_float64"]["value"]
    assert len(accuracy_findings([row])) == len(row["errors"])
    draw([row], file=tmp_path / "accuracy.png")
    assert (tmp_path / "accuracy.png").stat().st_size > 0


def test_findings_become_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    slow, fast = Cost(10.0, 1000, 1), Cost(0.05, 10, 3)
    comparison = Comparison(what="latents, Euler 20", num_rows=1024, ours=fast, literal=slow)
    Report("latents", "Latents", [comparison.as_row()], latents_findings([comparison])).publish(tmp_path)
    Report("steps", "Steps", [], [Finding.large("a step: times faster", 1.2, 1.5)]).publish(tmp_path)
    assert "NOT REACHED" in capsys.readouterr().out
    assert json.loads((tmp_path / "latents.json").read_text())["machine"]["processor"]
    lines = table(tmp_path).splitlines()
    assert "| latents, Euler 20, n = 1024: times faster than literal | 200 | ≥ 100 | yes |" in lines
    assert "| a step: times faster | 1.2 | ≥ 1.5 | **no** |" in lines
    assert lines[-1].startswith("Measured on ")
