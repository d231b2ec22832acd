"""Stages that measure one number after the other continue after the last one, with the same numbers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lzn_testing.projects.small_runs import OUTPUTS, call, prepare_digits, write_params, write_run

from lzn.runs.trained import read_trained
from stages.classify import classify
from stages.measuring.classification import ClassifiedImages
from stages.measuring.resumable_numbers import resumable_numbers
from stages.runtime.stage_main import StageCall
from stages.settings import SettingsParams, measure_settings
from stages.zones import measure_zones

SOLVER = {"kind": "euler", "num_steps": 5, "g": 1e-3}
STABILITY = {
    "seed": 0, "latent_solver": SOLVER, "zone_solver": SOLVER, "num_pairs": 2, "samples_per_pair": 3, "bank_samples": 4,
}  # fmt: skip
SECTIONS: dict[str, Any] = {
    "settings": {"digits": {"seed": 0, "batch_sizes": [40, 80], "alphas": [0.0, 1.0]}},
    "classify": {"digits": {"batch_size": 200, "slice_points": 2}},
    "zones": {
        "digits": {"encoding_batch_size": 100, "stability": STABILITY, "classification": {"batch_size": 200}}
    },
}
Accuracy = Callable[..., float]


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("numbers"))
        write_params(**SECTIONS)
        prepare_digits()
        write_run("joint", num_steps=2)
        yield


def unfinished(stage: str) -> list[Path]:
    return sorted(Path(".checkpoints/tiny").glob(f"{stage}-joint-0-*/*.json"))


@pytest.mark.parametrize(
    ("stage", "measure", "calls", "before"),
    [
        ("settings", measure_settings, 4, 2),
        ("classify", classify, 2, 1),
        ("zones", measure_zones, 2, 3),  # both shares of stability are there too
    ],
)
def test_a_killed_stage_measures_only_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, stage: str, measure: Callable[[StageCall], Any], calls: int, before: int
) -> None:
    whole = measure(call("joint"))
    assert unfinished(stage) == []
    accuracy: Accuracy = ClassifiedImages.accuracy
    counts: list[int] = []

    def killed(self: ClassifiedImages, *arguments: Any, **options: Any) -> float:
        if len(counts) == calls // 2:
            raise KeyboardInterrupt
        counts.append(1)
        return accuracy(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(ClassifiedImages, "accuracy", killed)
        with pytest.raises(KeyboardInterrupt):
            measure(call("joint"))
    assert len(unfinished(stage)) == before

    def counted(self: ClassifiedImages, *arguments: Any, **options: Any) -> float:
        counts.append(1)
        return accuracy(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(ClassifiedImages, "accuracy", counted)
        assert measure(call("joint")) == whole
    assert len(counts) == calls
    assert unfinished(stage) == []


def test_other_settings_or_another_network_start_anew() -> None:
    trained = read_trained(OUTPUTS.seed_folder("train", "joint", 0))
    params = call("joint").params.section("settings.digits", SettingsParams)
    folders = set()
    for changed, network in ((params, "a"), (params.model_copy(update={"seed": 1}), "a"), (params, "b")):
        with resumable_numbers(call("joint"), "settings", changed, trained, depends_on=[network]) as numbers:
            folders.add(numbers.folder)
            assert numbers.number("x", lambda: 0.1) == 0.1
            assert numbers.number("x", lambda: 0.2) == 0.1
    assert len(folders) == 3
    assert not any(folder.exists() for folder in folders)
