"""Processes of flows start fast: each stage on a cluster has its own process."""

import subprocess
import sys

from lzn_testing import PROJECT


def test_flows_do_not_import_torch() -> None:
    """The import takes 3 s. Stages import torch in their own processes."""
    program = "import sys, pipelines.cluster.flows; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
