"""The library starts fast: it imports slow libraries only where it needs them."""

import subprocess
import sys

from lzn_testing import PROJECT

PROGRAM = """
import sys

def refuse(*names):
    imported = set(names) & set(sys.modules)
    assert not imported, imported

import lzn.inference, lzn.preparation, lzn.runs.configuration, lzn.training
refuse("scipy", "sklearn", "pandas", "matplotlib")

import lzn.metrics, lzn.metrics.inception_weights, lzn.metrics.clip
refuse("torch_fidelity", "transformers", "huggingface_hub")
"""


def test_the_library_imports_no_library_that_one_kind_of_metric_or_data_set_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=PROJECT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
