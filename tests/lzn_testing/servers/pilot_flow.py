"""A flow for a pilot worker. Its program counts, saves the count on SIGTERM, and continues from it.

``python pilot_flow.py FOLDER`` is the program. It ends when FOLDER contains a file ``enough``.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

from prefect import flow

from pipelines.processes.signals import stop_on_signals

SAVING_SECONDS = 3.0


@flow
def count(folder: str) -> None:
    """Run the program as the project's flows run a stage: a signal to the flow is passed on."""
    with stop_on_signals() as stop:
        program = subprocess.Popen([sys.executable, __file__, folder], start_new_session=True)
        while program.poll() is None:
            time.sleep(0.1)
            if stop.requested.is_set():
                program.terminate()
                program.wait()
    if program.returncode != 0:
        raise RuntimeError(f"the program ended with exit code {program.returncode}")


def _count(folder: Path) -> None:
    stops: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stops.append(number))
    saved = folder / "saved"
    number = int(saved.read_text()) if saved.exists() else 0
    (folder / "started").open("a").write(f"{number}\n")
    while not (folder / "enough").exists():
        number += 1
        time.sleep(0.05)
        if stops:
            time.sleep(SAVING_SECONDS)
            saved.write_text(str(number))
            sys.exit(128 + signal.SIGTERM)
    (folder / "result").write_text(str(number))


if __name__ == "__main__":
    _count(Path(sys.argv[1]))
