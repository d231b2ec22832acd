"""The ``runs`` section: models and training steps of the runs in params.yaml, and messages about wrong runs."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lzn_testing import PROJECT
from torch import nn

from lzn.base.randomness import BatchRandom
from lzn.base.sections import ParamsError, ParamsFile, validate
from lzn.networks import LatentEncoder, ResNetEncoder
from lzn.runs.blocks import merge_blocks
from lzn.runs.configuration import AnyRun, count_parameters
from lzn.training import Batch

PARAMS = ParamsFile.read(PROJECT / "params.yaml")
RUNS: dict[str, dict[str, Any]] = {
    name: merge_blocks(PARAMS, f"runs.{name}")[0] for name in PARAMS.value("runs")
}
"""Runs by name, merged with the blocks that they name."""
NUM_CLASSES = 10


def run_named(name: str, **changes: Any) -> Any:
    return validate({**RUNS[name], **changes}, AnyRun, where=f"params.yaml: runs.{name}")


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    weights, others = one.state_dict(), other.state_dict()
    return weights.keys() == others.keys() and all(
        torch.equal(w, others[name]) for name, w in weights.items()
    )


@pytest.mark.parametrize("name", RUNS)
def test_every_run_has_learning_rates_for_the_parts_of_its_model(name: str) -> None:
    run = run_named(name)
    parts = {part for part, _ in run.build_model(NUM_CLASSES).named_children()}
    assert parts == set(run.training.learning_rates)


@pytest.mark.parametrize("name", RUNS)
def test_every_training_step_has_a_finite_loss_with_gradients_for_all_parts(name: str) -> None:
    run = run_named(name)
    model = run.build_model(NUM_CLASSES)
    generator = torch.Generator().manual_seed(0)
    batch = Batch(torch.rand(20, 1, 8, 8, generator=generator) * 2 - 1, torch.arange(20) % NUM_CLASSES)
    losses = run.build_step()(model, batch, BatchRandom.for_whole_batch(20, generator))
    losses.total.backward()
    assert bool(losses.total.isfinite())
    for _, part in model.named_children():
        assert any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())


@pytest.mark.parametrize("name", ["rf_lzn", "representation", "joint"])
def test_initial_weights_depend_only_on_the_seed(name: str) -> None:
    first = run_named(name).build_model(NUM_CLASSES)
    torch.manual_seed(999)
    assert same_weights(run_named(name).build_model(NUM_CLASSES), first)
    assert not same_weights(run_named(name, seeds=[1]).build_model(NUM_CLASSES), first)


def test_runs_with_and_without_generation_start_with_equal_encoders_and_label_anchors() -> None:
    with_decoder = run_named("joint").build_model(NUM_CLASSES)
    without = run_named("joint_no_gen").build_model(NUM_CLASSES)
    assert without.decoder is None
    assert same_weights(with_decoder.encoder, without.encoder)
    assert same_weights(with_decoder.label_anchors, without.label_anchors)


@pytest.mark.parametrize("name", [name for name, run in RUNS.items() if "unet" in run])
def test_the_decoder_takes_the_latents_and_classes_of_its_run(name: str) -> None:
    run = RUNS[name]
    decoder = run_named(name).build_model(NUM_CLASSES).decoder
    if not run.get("generate", True):
        assert decoder is None
        return
    has_classes = run["study"] == "joint" or run["conditional"]
    assert decoder.num_classes == (NUM_CLASSES if has_classes else 0)
    assert decoder.latent_dim == (run["latent"]["dim"] if run["latent"] else 0)


def test_the_encoder_is_that_of_the_study_with_the_dimension_of_the_latents() -> None:
    latent_encoder = run_named("rf_lzn").build_model(NUM_CLASSES).encoder
    assert isinstance(latent_encoder, LatentEncoder)
    assert latent_encoder.latent_dim == RUNS["rf_lzn"]["latent"]["dim"]
    resnet = run_named("representation").build_model(NUM_CLASSES).encoder
    assert isinstance(resnet, ResNetEncoder)
    assert resnet(torch.zeros(2, 1, 8, 8)).shape == (2, RUNS["representation"]["latent"]["dim"])


def test_only_trainable_parameters_are_counted() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    assert count_parameters(module) == 12 + 4 + 8 + 2
    module[0].requires_grad_(False)
    assert count_parameters(module) == 8 + 2


def error_of(path: str, edit: Callable[[dict[str, Any], str], None]) -> str:
    """Return the message about params.yaml after ``edit(section, key)`` at ``<run>.<keys>``."""
    name, *parents, key = path.split(".")
    run = copy.deepcopy(RUNS[name])
    section = run
    for parent in parents:
        section = section[parent]
    edit(section, key)
    with pytest.raises(ParamsError) as raised:
        validate(run, AnyRun, where=f"params.yaml: runs.{name}")
    return str(raised.value)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (
            "rf.unet.chanels",
            "attention_resolutions, base_channels, blocks_per_level, channel_multipliers, dropout",
        ),
        (
            "rf.training.lr",
            "batch_size, checkpoint_every, ema_decay, freeze_after, learning_rates, log_every",
        ),
        ("rf_lzn.latent.q", "alpha, dim, solver"),
        ("joint.latent.solver.h", "g, kind, num_steps"),
        ("joint.alignment.solver.h", "g, kind, num_steps"),
        (
            "joint.generat",
            "alignment, alignment_weight, compute, data, generate, latent, latent_blocks, seeds, study, training",
        ),
        (
            "representation.augmentation.flip",
            "kind, max_rotation, max_scale, max_shear, max_shift, min_contrast",
        ),
    ],
)
def test_the_message_about_an_unknown_key_lists_the_allowed_keys(path: str, allowed: str) -> None:
    message = error_of(path, lambda section, key: section.__setitem__(key, 1))
    assert message.startswith(f"params.yaml: runs.{path}: unknown key; allowed here: {allowed}")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "rf.training.num_steps",
            "many",
            "rf.training.num_steps: Input should be a valid integer (got 'many')",
        ),
        ("rf.training.learning_rates.decoder", -1.0, "rf.training: learning_rates.decoder must be positive"),
        (
            "rf.training.learning_rates.decoder",
            float("nan"),
            "rf.training: learning_rates.decoder must be positive",
        ),
        ("rf.unet.base_channels", 7, "rf.unet: base_channels is 7: it must be a multiple of 4"),
        (
            "rf.unet.attention_resolutions",
            [5],
            "rf.unet: attention_resolutions is (5,): no level has resolution 5",
        ),
        ("rf.study", "diffusion", "rf: Input tag 'diffusion' found using 'study' does not match any of"),
        ("rf.seeds", [-1], "rf.seeds.0: Input should be greater than or equal to 0 (got -1)"),
        ("rf.seeds", [1, 1], "rf.seeds: seeds must be different, got 1, 1"),
        ("rf.seeds", [], "rf.seeds: Tuple should have at least 1 item"),
        ("rf_lzn.latent.solver.kind", "heun", "rf_lzn.latent.solver: Input tag 'heun' found using 'kind'"),
        ("rf_lzn.latent.solver.g", 0.7, "rf_lzn.latent.solver.g: Input should be less than 0.5 (got 0.7)"),
        (
            "rf_lzn.latent.alpha",
            1.5,
            "rf_lzn.latent.alpha: Input should be less than or equal to 1 (got 1.5)",
        ),
        (
            "rf_lzn.latent",
            None,
            "rf_lzn: latent and latent_blocks go together: give both (RF+LZN) or neither (RF)",
        ),
        ("rf.latent_blocks", {"channels": 1, "units": 1}, "rf: latent and latent_blocks go together"),
        (
            "joint.alignment.num_skipped_steps",
            10**6,
            "joint.alignment: num_skipped_steps must be below solver.num_",
        ),
        (
            "representation.encoder.depth",
            18,
            "representation.encoder.depth: Input should be 14, 26 or 50 (got 18)",
        ),
    ],
)
def test_the_message_about_a_wrong_value_says_what_is_allowed(path: str, value: Any, message: str) -> None:
    text = error_of(path, lambda section, key: section.__setitem__(key, value))
    assert text.startswith(f"params.yaml: runs.{message}")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("rf.unet", ""),
        ("rf.unet.image_size", ""),
        ("joint.alignment.solver.num_steps", ""),
        ("joint.study", ", one of generation, joint, representation"),
        ("rf_lzn.latent.solver.kind", ", one of adams, dpm, euler"),
    ],
)
def test_the_message_about_a_missing_key_names_it(path: str, allowed: str) -> None:
    message = error_of(path, lambda section, key: section.pop(key))
    assert message == f"params.yaml: runs.{path}: Field required{allowed}"


@pytest.mark.parametrize("name", ["rf_lzn", "representation", "joint"])
def test_building_a_model_does_not_change_the_state_of_the_callers_generator(name: str) -> None:
    run = run_named(name)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run.build_model(NUM_CLASSES)
    assert torch.equal(torch.rand(3), expected)
