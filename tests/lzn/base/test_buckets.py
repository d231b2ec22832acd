"""Buckets of tensors that are sent together."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lzn.base import parallel

LIMIT = 64
DTYPES = (torch.float32, torch.float64, torch.int64)
TENSORS = st.lists(st.tuples(st.sampled_from(DTYPES), st.integers(0, 20)), max_size=20).map(
    lambda shapes: [torch.zeros(length, dtype=dtype) for dtype, length in shapes]
)


def num_bytes(tensors: list[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@given(TENSORS)
def test_a_bucket_has_one_dtype_and_at_most_the_limit_unless_one_tensor_is_larger(
    tensors: list[Tensor],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "MAX_BUCKET_BYTES", LIMIT)
        buckets = parallel._buckets(tensors)
    assert sorted(id(tensor) for bucket in buckets for tensor in bucket) == sorted(map(id, tensors))
    for bucket in buckets:
        assert len({tensor.dtype for tensor in bucket}) == 1
        assert num_bytes(bucket) <= LIMIT or len(bucket) == 1


@given(TENSORS)
def test_no_two_consecutive_buckets_of_a_dtype_would_fit_into_one(tensors: list[Tensor]) -> None:
    """Each bucket costs one operation: so a bucket is closed only if the next tensor does not fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "MAX_BUCKET_BYTES", LIMIT)
        buckets = parallel._buckets(tensors)
    place = {id(tensor): number for number, tensor in enumerate(tensors)}
    for dtype in DTYPES:
        own = sorted((b for b in buckets if b[0].dtype == dtype), key=lambda bucket: place[id(bucket[0])])
        for bucket, following in pairwise(own):
            assert num_bytes([*bucket, following[0]]) > LIMIT
