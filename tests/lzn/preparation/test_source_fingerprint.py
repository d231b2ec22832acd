"""The fingerprint of a source of images."""

from dataclasses import replace

import numpy as np
import pytest
from lzn_testing.data.image_files import ListSource, encode, noise

from lzn.preparation import source_fingerprint

CONTENTS = [encode(noise(4, 4, seed=n), "PNG") for n in range(5)]
SOURCE = ListSource.of(CONTENTS)


class Renamed(ListSource):
    """The same images under other names."""

    def name(self, index: int) -> str:
        return f"other-{index}"


def test_the_same_source_has_the_same_fingerprint() -> None:
    assert source_fingerprint(ListSource.of(list(CONTENTS))) == source_fingerprint(SOURCE)


@pytest.mark.parametrize(
    "other",
    [
        ListSource.of(CONTENTS[:4]),
        ListSource.of([*CONTENTS[:4], CONTENTS[0]]),
        ListSource.of(CONTENTS, unreadable={2: "broken"}),
        replace(SOURCE, labels=np.zeros(5, np.int64)),
        Renamed(CONTENTS, SOURCE.labels, {}),
        ListSource.of([np.zeros((1, 2, 2), np.uint8)] * 5),
        ListSource.of([]),
    ],
    ids=["fewer", "other content", "unreadable", "labels", "names", "arrays", "none"],
)
def test_another_source_has_another_fingerprint(other: ListSource) -> None:
    assert source_fingerprint(other) != source_fingerprint(SOURCE)


def test_arrays_with_the_same_bytes_and_other_shapes_have_other_fingerprints() -> None:
    first, second = (ListSource.of([np.zeros(shape, np.uint8)]) for shape in ((1, 2, 8), (1, 4, 4)))
    assert source_fingerprint(first) != source_fingerprint(second)
