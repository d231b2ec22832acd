"""The training curve as a CSV file that grows during the training, for ``dvc plots show`` and VS Code."""

import csv
from collections.abc import Sequence
from pathlib import Path

from lzn.training import CurvePoint


class LiveCurve:
    """The file of one seed. A resumed training replaces the points after its checkpoint: no point is there twice."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._num_rows = 0

    def restart(self) -> None:
        """Delete the file of an earlier training. A resumed training writes its points again with `update`."""
        self._file.unlink(missing_ok=True)
        self._num_rows = 0

    def update(self, curve: Sequence[CurvePoint]) -> None:
        """Append the points of the curve that the file lacks, each as one complete row."""
        if not curve:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", newline="") as stream:
            writer = csv.DictWriter(stream, ["step", *curve[0].values], lineterminator="\n")
            if self._num_rows == 0:
                writer.writeheader()
            for point in curve[self._num_rows :]:
                writer.writerow({"step": point.step} | {name: repr(x) for name, x in point.values.items()})
                stream.flush()
        self._num_rows = len(curve)
