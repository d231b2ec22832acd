"""The moving average: its formula, frozen parameters, copies, saving and loading."""

import copy

import pytest
import torch
from torch import nn

from lzn.training.ema import ExponentialMovingAverage


def small_module(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.GroupNorm(2, 4), nn.Linear(4, 2))


def take_random_step(module: nn.Module, generator: torch.Generator) -> None:
    """Change the parameters at random, like an optimiser step."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999999])
def test_averages_equal_the_formula_with_its_warm_up(decay: float) -> None:
    module, generator = small_module(), torch.Generator().manual_seed(1)
    ema = ExponentialMovingAverage(module, decay=decay)
    expected = {name: p.detach().double() for name, p in module.named_parameters()}
    for k in range(1, 41):
        take_random_step(module, generator)
        ema.update(module)
        d = min(decay, (1 + k) / (10 + k))
        for name, p in module.named_parameters():
            expected[name] = d * expected[name] + (1 - d) * p.detach().double()
    for name, shadow in ema.shadow.items():
        # 40 updates, each with float64 rounding.
        torch.testing.assert_close(shadow, expected[name], rtol=0, atol=40 * 1.2e-16)


def test_the_first_update_has_decay_two_elevenths() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    ema = ExponentialMovingAverage(module, decay=0.999)
    nn.init.ones_(module.weight)
    ema.update(module)
    assert ema.shadow["weight"].item() == pytest.approx(9 / 11, abs=1e-7)


def test_only_averages_of_trainable_parameters_change() -> None:
    module, generator = small_module(), torch.Generator().manual_seed(1)
    ema = ExponentialMovingAverage(module, decay=0.9)
    take_random_step(module, generator)
    ema.update(module)
    before = {name: shadow.clone() for name, shadow in ema.shadow.items()}
    module[0].requires_grad_(False)
    take_random_step(module, generator)
    ema.update(module)
    moved = {name for name, shadow in ema.shadow.items() if not torch.equal(shadow, before[name])}
    assert moved == {"1.weight", "1.bias", "2.weight", "2.bias"}


def test_updates_do_not_change_the_module_and_copy_to_writes_the_averages() -> None:
    module, generator = small_module(), torch.Generator().manual_seed(1)
    ema = ExponentialMovingAverage(module, decay=0.9)
    take_random_step(module, generator)
    before = copy.deepcopy(module.state_dict())
    ema.update(module)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    ema.copy_to(module)
    assert all(torch.equal(ema.shadow[name].float(), p) for name, p in module.named_parameters())
    take_random_step(module, generator)  # the averages are not views of the parameters
    assert not torch.equal(ema.shadow["0.weight"], module[0].weight)


def test_the_averaged_state_is_a_complete_state_dict_of_copies() -> None:
    module, generator = small_module(), torch.Generator().manual_seed(1)
    module.register_buffer("frequencies", torch.tensor([1.0, 2.0]))
    ema = ExponentialMovingAverage(module, decay=0.9)
    take_random_step(module, generator)
    ema.update(module)
    state = ema.averaged_state(module)
    assert list(state) == list(module.state_dict())
    assert torch.equal(state["frequencies"], torch.tensor([1.0, 2.0]))
    assert all(torch.equal(state[name], shadow.float()) for name, shadow in ema.shadow.items())
    before = copy.deepcopy(state)
    take_random_step(module, generator)
    ema.update(module)
    module.frequencies.zero_()
    assert all(torch.equal(state[name], tensor) for name, tensor in before.items())


def test_a_loaded_average_continues_like_the_saved_one() -> None:
    module, generator = small_module(), torch.Generator().manual_seed(1)
    first = ExponentialMovingAverage(module, decay=0.999)
    for _ in range(3):
        take_random_step(module, generator)
        first.update(module)
    saved = copy.deepcopy(first.state_dict())
    second = ExponentialMovingAverage(small_module(seed=5), decay=0.999)
    second.load_state_dict(saved)
    take_random_step(module, generator)
    first.update(module)
    second.update(module)
    assert second.num_updates == 4
    assert all(torch.equal(second.shadow[name], shadow) for name, shadow in first.shadow.items())
    assert not torch.equal(saved["0.weight"], first.shadow["0.weight"])  # loading copies


@pytest.mark.parametrize("decay", [1.0, -0.1, float("nan")])
def test_a_decay_out_of_range_is_an_error(decay: float) -> None:
    with pytest.raises(ValueError, match=r"decay must lie in \[0, 1\)"):
        ExponentialMovingAverage(small_module(), decay=decay)


def test_an_update_that_is_not_accepted_changes_nothing_and_is_not_counted() -> None:
    module, generator = small_module(), torch.Generator().manual_seed(1)
    ema, expected = (ExponentialMovingAverage(module, decay=0.999) for _ in range(2))
    for accepted in (True, False, False, True):
        take_random_step(module, generator)
        before = {name: shadow.clone() for name, shadow in ema.shadow.items()}
        ema.update(module, accepted=torch.tensor(accepted))
        if accepted:
            expected.update(module)
        else:
            assert all(torch.equal(ema.shadow[name], shadow) for name, shadow in before.items())
    assert ema.num_updates == 2
    assert all(torch.equal(ema.shadow[name], shadow) for name, shadow in expected.shadow.items())


def test_the_averages_of_a_frozen_module_do_not_change() -> None:
    module = small_module().requires_grad_(False)
    ema = ExponentialMovingAverage(module, decay=0.9)
    ema.update(module)
    assert all(torch.equal(ema.shadow[name].float(), p) for name, p in module.named_parameters())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_update_that_is_not_accepted_does_not_read_the_parameters(bad: float) -> None:
    module = small_module()
    ema = ExponentialMovingAverage(module, decay=0.9)
    before = ema.averaged_state(module)
    nn.init.constant_(module[0].weight, bad)
    ema.update(module, accepted=torch.tensor(False))
    after = ema.averaged_state(module)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_twenty_thousand_updates_equal_those_in_float64() -> None:
    """In float32, past the warm-up, an average at 0.05 never moves towards 0.0501: a move of 1e-9 is rounded away."""
    decay, module = 0.99999, nn.Linear(3, 1, bias=False)
    nn.init.constant_(module.weight, 0.05)
    ema = ExponentialMovingAverage(module, decay=decay)
    ema.num_updates.fill_(1e7)
    expected = module.weight.detach().double()
    values = torch.tensor([0.0501, 0.05, -7.0])
    with torch.no_grad():
        module.weight.copy_(values)
    for _ in range(20_000):
        ema.update(module)
        expected = decay * expected + (1 - decay) * values.double()
    average = ema.averaged_state(module)["weight"]
    assert average.dtype == torch.float32
    torch.testing.assert_close(average, expected.float(), rtol=1.2e-7, atol=0)  # one rounding to float32
    assert expected[0, 0].item() == pytest.approx(0.05 + 1e-4 * (1 - decay**20_000), rel=1e-6)


def test_averages_of_low_precision_parameters_do_not_stall() -> None:
    module = nn.Linear(1, 1, bias=False).bfloat16()
    nn.init.ones_(module.weight)
    ema = ExponentialMovingAverage(module, decay=0.999)
    ema.num_updates.fill_(1e7)
    nn.init.zeros_(module.weight)
    for _ in range(1000):
        ema.update(module)
    ema.copy_to(module)
    assert module.weight.dtype == torch.bfloat16
    assert module.weight.item() == pytest.approx(0.999**1000, rel=2**-8)
