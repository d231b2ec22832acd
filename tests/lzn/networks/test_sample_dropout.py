"""Dropout with masks per sample: the rate, independent masks, and no dependence on processes."""

from collections.abc import Callable

import pytest
import torch
from lzn_testing.random_numbers import batch_random_for
from torch import Tensor, nn

from lzn.base.parallel import Processes
from lzn.base.randomness import BatchRandom
from lzn.networks import SampleDropout, checkpoint_activations, keyed_dropout
from lzn.networks.recomputation import RecomputableBlock, recomputable

P = 0.15
SHAPE = (16, 8, 8)


def layers(count: int = 2) -> nn.ModuleList:
    return nn.ModuleList(SampleDropout(P) for _ in range(count))


def dropped(num_samples: int, *, seed: int = 0, count: int = 2, shape: tuple[int, ...] = SHAPE) -> Tensor:
    """Compute the elements that each layer drops, bool (layers, samples, elements)."""
    model = layers(count)
    with keyed_dropout(model, num_samples, "cpu") as keys:
        keys.draw(batch_random_for(num_samples, seed))
        masks = [layer(torch.ones(num_samples, *shape)) == 0 for layer in model]
    return torch.stack(masks).flatten(2)


@pytest.mark.parametrize("p", [0.0, 0.15, 0.5, 0.9])
def test_elements_are_dropped_at_rate_p_and_the_others_are_scaled(p: float) -> None:
    x = torch.ones(200, 1000)
    y = SampleDropout(p)(x)
    # 200000 elements: 5 standard deviations.
    assert float((y == 0).double().mean()) == pytest.approx(p, abs=5 * (p * (1 - p) / x.numel()) ** 0.5)
    assert y[y != 0].unique().tolist() == pytest.approx([1 / (1 - p)], rel=1e-7)


def test_the_rate_is_p_in_each_sample_element_layer_and_step() -> None:
    steps = torch.stack(
        [dropped(256, seed=seed) for seed in range(8)]
    ).double()  # (step, layer, sample, element)
    for dim in range(4):
        others = [d for d in range(4) if d != dim]
        counted = steps.mean(dim=others)
        deviation = (P * (1 - P) * counted.numel() / steps.numel()) ** 0.5
        # Of 1024 means of independent bits, one exceeds 5 deviations with probability 1e-3; the seed is fixed.
        assert float((counted - P).abs().max()) < 5 * deviation, f"dimension {dim}"


def correlations(masks: Tensor) -> Tensor:
    """Compute correlations of rows (n, k), in units of their standard deviation under independence: (n, n)."""
    centred = masks.double() - P
    return centred @ centred.T / (P * (1 - P) * masks.shape[1] ** 0.5)


@pytest.mark.parametrize(
    "rows",
    [
        lambda: dropped(128)[0],  # of samples
        lambda: dropped(2048, shape=(128,))[0].T,  # of elements
        lambda: dropped(16, count=64).flatten(1),  # of layers
        lambda: torch.stack([dropped(16, seed=seed)[0].flatten() for seed in range(64)]),  # of steps
    ],
    ids=["samples", "elements", "layers", "steps"],
)
def test_masks_are_independent(rows: Callable[[], Tensor]) -> None:
    found = correlations(rows())
    different = found[~torch.eye(len(found), dtype=torch.bool)]
    # The largest of 128 * 127 / 2 correlations exceeds 5.5 with probability 3e-4. Their mean square is 1 with standard
    # deviation sqrt(2 / pairs).
    assert float(different.abs().max()) < 5.5
    num_pairs = len(different) / 2
    assert float(different.square().mean()) == pytest.approx(1.0, abs=5 * (2 / num_pairs) ** 0.5)


def test_neighbours_and_triples_are_independent() -> None:
    """A weak hash would correlate the bits of neighbouring elements."""
    masks = dropped(64, shape=(64, 64))[0].double() - P
    for lag in (1, 2, 4, 8, 64):
        product = (masks[:, lag:] * masks[:, :-lag]).flatten()
        triple = (masks[:, 2 * lag :] * masks[:, lag:-lag] * masks[:, : -2 * lag]).flatten()
        variance = P * (1 - P)
        assert abs(float(product.mean())) < 5 * variance / len(product) ** 0.5
        assert abs(float(triple.mean())) < 5 * variance**1.5 / len(triple) ** 0.5


def outputs_with_keys(x: Tensor, processes: Processes, *, seed: int = 0) -> Tensor:
    share = processes.share_of(len(x))
    model = layers()
    with keyed_dropout(model, share.count, "cpu") as keys:
        keys.draw(BatchRandom(torch.Generator().manual_seed(seed), share))
        return model[1](model[0](x[share.rows]))


@pytest.mark.parametrize("count", [2, 3, 7])
def test_a_samples_mask_does_not_depend_on_the_process_that_holds_it(count: int) -> None:
    x = torch.rand(7, 4, 6, 6) + 1
    parts = [outputs_with_keys(x, Processes(rank, count)) for rank in range(count)]
    assert torch.equal(torch.cat(parts), outputs_with_keys(x, Processes()))
    assert not torch.equal(torch.cat(parts), outputs_with_keys(x, Processes(), seed=1))


def test_a_mask_does_not_depend_on_the_memory_layout_and_does_not_change_it() -> None:
    x = torch.rand(7, 4, 6, 6) + 1
    channels_last = x.contiguous(memory_format=torch.channels_last)
    found = outputs_with_keys(channels_last, Processes())
    assert torch.equal(found, outputs_with_keys(x, Processes()))
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_each_view_has_its_own_mask_per_sample() -> None:
    def views_of(processes: Processes) -> Tensor:
        share, model = processes.share_of(6), layers(1)
        with keyed_dropout(model, share.count, "cpu") as keys:
            keys.draw(BatchRandom(torch.Generator().manual_seed(0), share))
            return torch.stack(model[0](torch.ones(2 * share.count, 100)).chunk(2))

    whole = views_of(Processes())
    assert torch.equal(torch.cat([views_of(Processes(rank, 2)) for rank in range(2)], dim=1), whole)
    assert not torch.equal(*whole)


def test_rows_that_are_not_a_multiple_of_the_samples_raise() -> None:
    model = layers(1)
    with keyed_dropout(model, 4, "cpu"), pytest.raises(ValueError, match="keys for 4 samples, got 6 rows"):
        model[0](torch.ones(6, 3))


def test_gradients_have_the_mask_and_the_scale_of_the_output() -> None:
    x = torch.rand(50, 40, requires_grad=True)
    y = SampleDropout(P)(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient == 0, y == 0)
    torch.testing.assert_close(gradient * x, y, rtol=1e-6, atol=0)


@pytest.mark.parametrize("change", [lambda layer: layer.eval(), lambda layer: setattr(layer, "p", 0.0)])
def test_in_evaluation_mode_or_with_rate_zero_the_input_is_returned(
    change: Callable[[SampleDropout], object],
) -> None:
    layer, x = SampleDropout(P), torch.rand(5, 3)
    change(layer)
    assert layer(x) is x


def test_keys_are_not_in_the_state_dict() -> None:
    model = nn.Sequential(nn.Linear(3, 3), SampleDropout(P))
    with keyed_dropout(model, 4, "cpu") as keys:
        keys.draw(batch_random_for(4))
        assert list(model.state_dict()) == ["0.weight", "0.bias"]
    assert model[1].sample_keys is model[1].layer_key is None


def test_masks_use_the_global_generator_only_without_keys() -> None:
    layer = SampleDropout(P)
    torch.manual_seed(0)
    first, second = layer(torch.ones(4, 100)), layer(torch.ones(4, 100))
    torch.manual_seed(0)
    assert torch.equal(layer(torch.ones(4, 100)), first)
    assert not torch.equal(first, second)
    before = torch.get_rng_state()
    dropped(4)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_a_rate_out_of_range_raises(p: float) -> None:
    with pytest.raises(ValueError, match=r"p must lie in \[0, 1\)"):
        SampleDropout(p)


class MaskedProduct(RecomputableBlock):
    """Dropout of the elementwise product with a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, 64))
        self.dropout = SampleDropout(0.5)

    @recomputable
    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(x * self.weight)


def gradient_and_output(model: nn.Sequential) -> tuple[Tensor, Tensor]:
    with keyed_dropout(model, 3, "cpu") as keys:
        keys.draw(batch_random_for(3))
        output = model(torch.ones(3, 64))
        output.sum().backward()
    return model[0].weight.grad, output.detach()


def test_a_recomputed_block_has_the_same_mask() -> None:
    plain, recomputing = (nn.Sequential(MaskedProduct(), MaskedProduct()) for _ in range(2))
    checkpoint_activations(recomputing)
    expected, found = gradient_and_output(plain), gradient_and_output(recomputing)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


@pytest.mark.slow
@pytest.mark.compiler
def test_compiled_masks_equal_eager_ones_and_new_keys_do_not_recompile() -> None:
    model = nn.Sequential(SampleDropout(P), SampleDropout(P))
    compiled = torch.compile(model, fullgraph=True)
    with keyed_dropout(model, 6, "cpu") as keys:
        outputs = []
        for seed in range(4):
            keys.draw(batch_random_for(6, seed))
            x = torch.rand(6, 4, 8, 8)
            with torch.compiler.set_stance("default" if seed < 1 else "fail_on_recompile"):
                outputs.append(compiled(x))
            # Compiled operations may round differently.
            torch.testing.assert_close(outputs[-1], model(x), rtol=1e-6, atol=0)
    assert not torch.equal(outputs[0] == 0, outputs[1] == 0)
