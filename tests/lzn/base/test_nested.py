"""Nested mappings become flat ones with dotted names."""

from lzn.base.nested import flatten


def test_names_of_all_levels_are_joined_with_dots_in_their_order() -> None:
    nested = {"b": {"y": 1, "x": {"deep": [2]}}, "a": None}
    assert list(flatten(nested).items()) == [("b.y", 1), ("b.x.deep", [2]), ("a", None)]


def test_empty_mappings_are_left_out() -> None:
    assert flatten({"a": {}, "b": {"c": {}}}) == {}


def test_mappings_that_are_leaves_are_not_flattened() -> None:
    nested = {"fd": {"mean": 2.0, "std": 0.1}, "zones": {"share": {"mean": 0.5}}}
    assert flatten(nested, is_leaf=lambda mapping: "mean" in mapping) == {
        "fd": {"mean": 2.0, "std": 0.1},
        "zones.share": {"mean": 0.5},
    }
