"""Numbers that are written one by one while a stage measures a seed; a killed stage continues after the last one."""

import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lzn.base.files import file_sha256, write_json
from lzn.base.sections import Section
from lzn.data.prepared import read_description
from lzn.runs.trained import WEIGHTS, TrainedRun
from stages.measuring.quantity import Nested
from stages.runtime.provenance import code_fingerprint
from stages.runtime.stage_main import StageCall

_code_fingerprint = functools.cache(code_fingerprint)  # reads dozens of files


@dataclass(frozen=True)
class ResumableNumbers:
    """A folder of unfinished work with one file for each finished number, or mapping of numbers."""

    folder: Path

    def number(self, name: str, measure: Callable[[], float]) -> float:
        """Return the finished number ``name``, or measure it and write it."""
        found = self._read_or_measure(name, measure)
        assert isinstance(found, int | float)
        return float(found)

    def numbers(self, name: str, measure: Callable[[], Nested]) -> Nested:
        """Return the finished mapping ``name``, or measure it and write it."""
        found = self._read_or_measure(name, measure)
        assert isinstance(found, dict)
        return found

    def _read_or_measure(self, name: str, measure: Callable[[], float | Nested]) -> object:
        file = self.folder / f"{name}.json"
        if not file.exists():
            write_json(file, measure())
        return json.loads(file.read_text())  # also of a new number: the same type whether measured or read


@contextmanager
def resumable_numbers(
    call: StageCall, stage: str, params: Section, trained: TrainedRun, *, depends_on: Sequence[str] = ()
) -> Iterator[ResumableNumbers]:
    """Yield the finished numbers of a seed, and delete them when the block ends without an error.

    The folder is named by a hash of the weights, the data, the settings, the code, the kind of device, and what
    ``depends_on`` adds, so a change of one of them starts anew.
    """
    content = [
        trained.configuration.key,
        file_sha256(call.trained_folder / WEIGHTS),
        read_description(call.outputs.folder("prepare", trained.run.data)).sha256,
        params.model_dump(mode="json"),
        _code_fingerprint(f"stages.{stage}"),
        call.device.type,
        *depends_on,
    ]
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    folder = call.outputs.checkpoints(f"{stage}-{call.item}-{call.seed}", key)
    yield ResumableNumbers(folder)
    shutil.rmtree(folder, ignore_errors=True)
