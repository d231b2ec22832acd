"""Measure the cost of orchestration: the digits DAG, with short trainings, by `dvc repro` and by the flow.

python -m benchmarks.orchestration [--workers 1 2] [--targets measure classify]

The flow, on real servers, does more than `dvc repro`: it runs each stage in its own checkout, pushes its outputs to S3,
and collects all outputs. The command fails if the hashes of outputs differ, except those of `report`, which contains
times and links.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from dvc.utils.serialize import load_yaml

from benchmarks.reports import Finding, Report
from benchmarks.small_project import commit_all, copy_project, run_in, shrink_params
from infra.stack import Stack
from pipelines.dag import read_dependencies


def main() -> None:
    """Measure, compare, and write `orchestration.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orchestration", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="CPU workers of the flow")
    parser.add_argument(
        "--targets", nargs="+", default=["dvc.yaml"], help="as for `dvc repro` (default: all stages)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lzn-orchestration-") as folder:
        rows = measure(Path(folder), options.workers, options.targets)
    plain = rows[0]
    findings = [Finding(f"dvc repro, {plain['stages']} stages", f"{plain['seconds']:.0f} s")]
    for row in rows[1:]:
        over = row["seconds"] - plain["seconds"]
        flow = f"flow, {row['workers']} worker{'s' if row['workers'] > 1 else ''}"
        findings += [
            Finding(flow, f"{row['seconds']:.0f} s"),
            Finding(
                f"{flow}: more than dvc repro, in all and a stage",
                f"{over:+.0f} s, {over / row['stages']:+.1f} s",
            ),
            Finding(f"{flow}, again, with nothing to run", f"{row['again']:.0f} s"),
        ]
    Report("orchestration", "The digits DAG at a few steps, plain and on workers", rows, findings).publish()


def measure(folder: Path, workers: Sequence[int], targets: Sequence[str]) -> list[dict[str, float]]:
    """Measure `dvc repro`, then the flow with each number of workers; nothing is cached at the start of each."""
    project = _repository(folder / "project")
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(project), str(clone)], check=True)
    begin = time.monotonic()
    done = run_in(clone, [sys.executable, "-m", "dvc", "repro", *targets])
    if done.returncode:
        sys.exit(f"dvc repro failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    seconds = time.monotonic() - begin
    with contextlib.chdir(clone):
        concerned = read_dependencies(targets)
    plain = {name: made for name, made in hashes(clone).items() if name in concerned}
    rows: list[dict[str, float]] = [{"workers": 0, "stages": len(plain), "seconds": seconds}]
    for number in workers:
        with tempfile.TemporaryDirectory(prefix="lzn-stack-", dir="/var/tmp") as place:
            Path(place).chmod(0o711)  # PostgreSQL does not run as root
            rows.append(_measure_flow(Path(place) / "stack", project, number, plain, targets))
    return rows


def hashes(project: Path) -> dict[str, list[str]]:
    """Return the hashes of each stage's outputs in dvc.lock, by the stage's name."""
    stages = load_yaml(str(project / "dvc.lock"))["stages"]
    return {name: [out["md5"] for out in stage["outs"]] for name, stage in stages.items()}


def _measure_flow(
    folder: Path, project: Path, workers: int, plain: Mapping[str, list[str]], targets: Sequence[str]
) -> dict[str, float]:
    stack = Stack(folder)
    stack.up(workers=workers, repository=str(project), report=lambda line: None)
    try:
        begin = time.monotonic()
        _run_flow(stack, targets)
        seconds = time.monotonic() - begin
        found = hashes(Path(stack.environment()["LZN_WORK"]) / "collected" / "digits")
        differing = [name for name in plain if name != "report" and found[name] != plain[name]]
        if differing:
            sys.exit(f"the flow's outputs differ from those of dvc repro: {', '.join(differing)}")
        begin = time.monotonic()
        _run_flow(stack, targets)
        again = time.monotonic() - begin
    finally:
        stack.destroy(report=lambda line: None)
    return {"workers": workers, "stages": len(plain), "seconds": seconds, "again": again}


def _run_flow(stack: Stack, targets: Sequence[str]) -> None:
    """Start `reproduce`, and wait until it is completed."""
    wanted = json.dumps(list(targets))
    command = ["prefect", "deployment", "run", "reproduce/reproduce", "--param", f"targets={wanted}"]
    command += ["--watch", "--watch-interval", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "infra.stack", "run", "--folder", str(stack.layout.root), "--", *command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        log = stack.layout.log("worker-control").read_text(encoding="utf-8")
        sys.exit(f"the flow failed:\n{log[-4000:]}{done.stderr[-2000:]}")


def _repository(folder: Path) -> Path:
    """Make a git repository with the reduced project."""
    folder.mkdir()
    copy_project(folder)
    shrink_params(folder, num_steps=3)
    commit_all(folder, "a few steps")
    return folder


if __name__ == "__main__":
    main()
