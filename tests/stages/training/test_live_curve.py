"""The curve of a running training is a file that grows, and a resumed training repeats no row."""

from pathlib import Path

from lzn.runs.curves import read_curve, write_curve
from lzn.training import CurvePoint
from stages.training.live_curve import LiveCurve

CURVE = [
    CurvePoint(step, {"loss": 1 / 3 / step, "skipped_steps": 0.0}, unix_time=0.0) for step in (25, 50, 75)
]


def test_rows_are_appended_and_never_written_twice(tmp_path: Path) -> None:
    file = tmp_path / "live/rf/seed_0.csv"
    live = LiveCurve(file)
    live.restart()
    live.update([])
    assert not file.exists()
    live.update(CURVE[:1])
    assert [row["step"] for row in read_curve(file)] == [25]
    live.update(CURVE[:2])
    live.update(CURVE[:2])
    assert [row["step"] for row in read_curve(file)] == [25, 50]


def test_the_complete_file_is_the_curve_that_the_training_writes_at_its_end(tmp_path: Path) -> None:
    live = LiveCurve(tmp_path / "live.csv")
    live.update(CURVE[:2])
    live.update(CURVE)
    write_curve(tmp_path / "curve.csv", [{"step": point.step, **point.values} for point in CURVE])
    assert (tmp_path / "live.csv").read_bytes() == (tmp_path / "curve.csv").read_bytes()


def test_a_resumed_training_drops_the_rows_after_its_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "live.csv"
    LiveCurve(file).update(CURVE)
    resumed = LiveCurve(file)
    resumed.restart()
    resumed.update(CURVE[:1])
    assert [row["step"] for row in read_curve(file)] == [25]
