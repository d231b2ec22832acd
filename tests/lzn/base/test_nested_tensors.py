"""Nested dictionaries, dataclasses, tuples and lists of tensors."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lzn.base.nested_tensors import map_tensors, named_tensors


class Pair(NamedTuple):
    first: Tensor
    second: Tensor


@dataclass(frozen=True)
class Sample:
    image: Tensor
    label: Tensor | None
    name: str


NESTED = {
    "sample": Sample(torch.arange(3), None, "a"),
    "pairs": [Pair(torch.ones(3), torch.zeros(3))],
    "number": 4,
}


def test_a_function_is_applied_to_each_tensor_and_the_rest_is_kept() -> None:
    mapped = map_tensors(lambda tensor: tensor[1:], NESTED)
    assert mapped["sample"].image.tolist() == [1, 2]
    assert (mapped["sample"].label, mapped["sample"].name, mapped["number"]) == (None, "a", 4)
    assert isinstance(mapped["pairs"][0], Pair)
    assert mapped["pairs"][0].second.tolist() == [0, 0]
    assert NESTED["sample"].image.tolist() == [0, 1, 2]


def test_tensors_have_dotted_names() -> None:
    assert [name for name, _ in named_tensors(NESTED)] == ["sample.image", "pairs.0.0", "pairs.0.1"]
    assert [name for name, _ in named_tensors(torch.zeros(1))] == [""]
