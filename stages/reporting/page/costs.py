"""The table of costs: time and memory of trainings, from MLflow, beside the paper's hours."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stages.measuring.quantity import Quantity
from stages.reporting.metrics import NOT_RUN_YET
from stages.reporting.tables import paper_numbers
from stages.reporting.tables.names import DATA_SETS, METHODS, NOT_REPORTED
from stages.reporting.tables.table import Cell, Column, Row, Table
from stages.tracking import TrackedRun

UNKNOWN = "unknown: not in MLflow"
STAGE_TIME = "seconds/"
MEMORY = "memory/"
"""How the names of two kinds of metrics in MLflow begin; the name of a stage follows."""
HOUR, DAY = 3600.0, 24.0
"""Seconds of an hour, and hours of a day."""
COLUMNS = {
    "hours": Column("Training, h"),
    "devices": Column("Devices"),
    "device_days": Column("Device days"),
    "images": Column("Images/s and device"),
    "memory": Column("Memory, GB"),
    "other_hours": Column("Other stages, h"),
}
PAPER_METHODS = {
    "generation": METHODS["rf_lzn"],
    "joint": f"{METHODS['rf_lzn']}, joint",
    "representation": "LZN",
}
Configurations = Mapping[tuple[str, int], Mapping[str, Any]]
"""Content of ``run.json`` by run and seed."""


def training_seconds(run: TrackedRun) -> float | None:
    """Return the time that the stage logged, or else the time from the start to the end of the MLflow run."""
    noted = run.metrics.get(f"{STAGE_TIME}train")
    if noted is not None:
        return noted
    return None if run.ended_at is None else run.ended_at - run.started_at


def cost_table(
    runs: Sequence[str], configurations: Configurations, tracked: Mapping[tuple[str, int], TrackedRun]
) -> Table:
    """Return the table of all ``runs``; ``tracked`` are the seeds that MLflow has."""
    rows = [
        _paper_row(data, study, cost)
        for data, studies in paper_numbers()["costs"].items()
        for study, cost in studies.items()
    ]
    for run in runs:
        seeds = [seed for name, seed in configurations if name == run]
        content = {seed: configurations[run, seed] for seed in seeds}
        found = {seed: tracked[run, seed] for seed in seeds if (run, seed) in tracked}
        rows.append(Row(run, "ours", _our_cells(content, found)))
    remarks = [
        "The paper's rows: A100 GPUs with 40 GB, training without evaluation. Ours: for one seed, ± over seeds.",
        "A device is a process of a training, on the hardware that is named at the top of the page.",
        "Memory: the peak of one process of the training; on GPUs, of one device.",
        "Other stages: sampling and all measurements. The time of a killed training includes that until its "
        "continuation.",
    ]
    return Table("cost", "Cost", COLUMNS, rows, remarks)


def _paper_row(data: str, study: str, cost: Mapping[str, float]) -> Row:
    device_hours = cost["hours"] * cost["gpus"]
    images = cost["num_steps"] * cost["batch_size"] / (device_hours * HOUR)
    cells = {
        "hours": Cell(cost["hours"]),
        "devices": Cell(cost["gpus"]),
        "device_days": Cell(device_hours / DAY),
        "images": Cell(images),
        "memory": Cell(None, NOT_REPORTED),
        "other_hours": Cell(None, NOT_REPORTED),
    }
    return Row(f"{PAPER_METHODS[study]}, {DATA_SETS[data]}", "paper", cells)


def _our_cells(content: Mapping[int, Mapping[str, Any]], found: Mapping[int, TrackedRun]) -> dict[str, Cell]:
    """Return the cells of a run; ``content`` has its trained seeds, ``found`` those of them that MLflow has."""

    def cell(number: Callable[[int, TrackedRun], float | None]) -> Cell:
        values = {seed: value for seed, run in found.items() if (value := number(seed, run)) is not None}
        return Cell.of(Quantity(values)) if values else Cell(None, UNKNOWN if content else NOT_RUN_YET)

    def hours(_: int, run: TrackedRun) -> float | None:
        seconds = training_seconds(run)
        return None if seconds is None else seconds / HOUR

    def devices(_: int, run: TrackedRun) -> float:
        return float(run.tags.get("processes", "1"))

    def device_hours(seed: int, run: TrackedRun) -> float | None:
        time = hours(seed, run)
        return None if time is None else time * devices(seed, run)

    def device_days(seed: int, run: TrackedRun) -> float | None:
        time = device_hours(seed, run)
        return None if time is None else time / DAY

    def images(seed: int, run: TrackedRun) -> float | None:
        schedule, time = content[seed]["run"].get("training", {}), device_hours(seed, run)
        if not time or "num_steps" not in schedule:
            return None
        return float(schedule["num_steps"] * schedule["batch_size"] / (time * HOUR))

    def other_hours(_: int, run: TrackedRun) -> float | None:
        times = [value for name, value in run.metrics.items() if _is_time_of_other_stage(name)]
        return math.fsum(times) / HOUR if times else None

    return {
        "hours": cell(hours),
        "devices": cell(devices),
        "device_days": cell(device_days),
        "images": cell(images),
        "memory": cell(lambda _, run: run.metrics.get(f"{MEMORY}train")),
        "other_hours": cell(other_hours),
    }


def _is_time_of_other_stage(name: str) -> bool:
    return name.startswith(STAGE_TIME) and name != f"{STAGE_TIME}train"
