"""The stage steps: distance against the number of Euler steps, of RF and RF+LZN with the same noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from lzn_testing.projects.small_runs import (
    NUM_TRAIN,
    OUTPUTS,
    call,
    prepare_digits,
    write_params,
    write_run,
)
from torch import Tensor

from lzn.base.sections import ParamsError
from lzn.rectified_flow.ode import EulerSampler, OdeSolution
from lzn.rectified_flow.path import Velocity
from lzn.runs.trained import read_trained
from stages.features import make_features
from stages.measuring.quantity import combine_seeds
from stages.sampling.sampling import Sampling
from stages.steps import measure_steps, write_curve_of_steps

CLASSIFIER = {
    "kind": "classifier", "base_channels": 8, "feature_dim": 8, "seed": 0,
    "training": {
        "num_steps": 30, "batch_size": 64, "learning_rates": {"classifier": 5e-3}, "warmup_steps": 5, "ema_decay": 0.9,
    },
}  # fmt: skip
STEPS: dict[str, Any] = {
    "seed": 0, "num_images": 120, "batch_size": 50, "num_steps": [1, 2, 10]
}  # fmt: skip


def write_steps(**changes: Any) -> None:
    write_params(features={"digits": CLASSIFIER}, steps={"digits": {**STEPS, **changes}})


def distances(run: str, num_steps: list[int], *, run_seed: int = 0, **changes: Any) -> dict[str, float]:
    write_steps(num_steps=num_steps, **changes)
    (found,) = measure_steps(call(run, seed=run_seed))["distance"].values()
    return found


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("steps"))
        write_steps()
        prepare_digits()
        make_features(call("digits", seed=None))
        write_run("rf", num_steps=60)
        write_run("rf_lzn", seeds=[0, 1])
        write_run("joint_no_gen")
        yield


def test_more_steps_give_a_smaller_distance_to_real_images() -> None:
    """One Euler step gives blurred means of digits."""
    measured = measure_steps(call("rf"))
    assert measured["distance"].keys() == {"fd_digits"}
    found = measured["distance"]["fd_digits"]
    assert list(found) == ["1", "2", "10"]
    assert found["1"] > found["2"] > found["10"] > 0


def test_a_distance_does_not_depend_on_other_numbers_of_steps() -> None:
    """Noise and latents are the same for all numbers of steps."""
    assert distances("rf_lzn", [2])["2"] == distances("rf_lzn", [5, 2])["2"]


def test_the_images_depend_on_the_seeds_of_the_stage_and_of_the_run() -> None:
    first = distances("rf_lzn", [2])
    assert distances("rf_lzn", [2]) == first
    assert distances("rf_lzn", [2], run_seed=1) != first
    assert distances("rf_lzn", [2], seed=1) != first


@dataclass(frozen=True)
class Noise:
    """A sampler that returns the noise."""

    def integrate(self, velocity: Velocity, x: Tensor, *, t_start: float, t_end: float) -> OdeSolution:
        return OdeSolution(x=x, num_evaluations=0)


def test_rf_and_rf_lzn_start_from_the_same_noise() -> None:
    labels = torch.zeros(120, dtype=torch.int64)
    starts = []
    for run in ("rf", "rf_lzn"):
        trained = read_trained(OUTPUTS.seed_folder("train", run, 0))
        sampling = Sampling(trained, seed=0, batch_size=50, shape=(1, 8, 8), device=torch.device("cpu"))
        starts.append(torch.cat(list(sampling.batches(labels, Noise()))))
        sampled = torch.cat(list(sampling.batches(labels, EulerSampler(num_steps=1))))
        assert sampled.shape == starts[-1].shape
    assert torch.equal(*starts)


def test_more_images_than_there_are_real_ones_are_compared_with_all_real_ones() -> None:
    assert distances("rf_lzn", [1], num_images=NUM_TRAIN + 21)["1"] > 0


def test_the_curve_has_mean_and_deviation_over_seeds_in_order_of_the_steps() -> None:
    measured = {
        0: {"distance": {"sfid": {"2": 9.0}, "fid": {"10": 1.0, "2": 3.0}, "cmmd": {"2": 7.0}}},
        1: {"distance": {"fid": {"10": 2.0, "2": 3.0}}},
    }
    write_curve_of_steps(call("rf", seed=None), combine_seeds(measured))
    lines = OUTPUTS.plot("steps", "rf.csv").read_text().splitlines()
    assert lines == ["num_steps,distance,std", "2,3.0,0.0", f"10,1.5,{0.5**0.5!r}"]
    write_curve_of_steps(call("rf", seed=None), combine_seeds({0: {"distance": {"fd_digits": {"5": 4.0}}}}))
    assert OUTPUTS.plot("steps", "rf.csv").read_text().splitlines()[1:] == ["5,4.0,"]
    # A data set without a network has no distances.
    write_curve_of_steps(call("rf", seed=None), combine_seeds({0: {"distance": {}}}))
    assert OUTPUTS.plot("steps", "rf.csv").read_text() == "num_steps,distance,std\n"


def test_a_run_without_decoder_is_an_error() -> None:
    write_steps()
    with pytest.raises(ParamsError, match=r"run joint_no_gen has no image decoder: remove it from families"):
        measure_steps(call("joint_no_gen"))
