"""Answers are printed on every terminal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lzn_testing import PROJECT

PROGRAM = r"""
import subprocess, sys
sys.stdout.reconfigure(encoding=sys.argv[1], errors="strict")
from lzn.base.streams import escape_other_characters
escape_other_characters()
print("0.9 \xb1 0.1", "\udcff", flush=True)
print("\xb1", file=sys.stderr, flush=True)
subprocess.run([sys.executable, "-c", r"print('child \xb1', '\udcff')"], check=True)
"""


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_characters_that_the_terminal_lacks_become_escapes(encoding: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "LC_ALL": "C", "PYTHONUTF8": "0"}
    environment["PYTHONCOERCECLOCALE"] = "0"
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="ascii")
    done = subprocess.run(
        [sys.executable, str(program), encoding],
        env={name: value for name, value in environment.items() if name != "PYTHONIOENCODING"},
        capture_output=True, check=True,
    )  # fmt: skip
    sign = {"ascii": b"\\xb1", "utf-8": "±".encode(), "latin-1": b"\xb1"}[encoding]
    assert done.stdout.splitlines()[0] == b"0.9 " + sign + b" 0.1 \\udcff"
    assert b"child" in done.stdout
