"""Processes of flows start fast: each stage on a cluster has its own process."""

import subprocess
import sys

from lzn_testing import PROJECT


def test_flows_import_neither_torch_nor_prefects_workers() -> None:
    """The imports take 3 s and 0.4 s. Stages import torch in their own processes, and workers run in others."""
    program = (
        "import sys, pipelines.cluster.flows;"
        "sys.exit(bool({'torch', 'prefect.workers.process'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
