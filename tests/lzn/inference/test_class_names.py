"""Classes by name or index."""

import pytest

from lzn.inference.class_names import class_index, class_name, describe_classes, file_names
from lzn.inference.errors import UserError


def index_of(given: str | int, *names: str, num_classes: int | None = None) -> int:
    return class_index(given, names, num_classes=num_classes or len(names), run="joint")


def test_a_name_wins_over_an_index() -> None:
    assert index_of("2", "1", "2", "3") == 1
    assert index_of(0, "1", "2", "3") == 0  # no class is named 0
    assert index_of("dog", "cat", "dog") == 1
    assert index_of(1, "cat", "dog") == 1


def test_without_names_only_the_index_counts() -> None:
    assert index_of("3", num_classes=4) == 3
    assert class_name((), 3) == "3"
    with pytest.raises(UserError, match="class 4: run joint has the classes 0 to 3"):
        index_of(4, num_classes=4)


def test_upper_and_lower_case_count_only_where_both_exist() -> None:
    assert index_of("CAT", "cat", "dog") == 0
    assert index_of("Cat", "cat", "Cat") == 1
    with pytest.raises(
        UserError, match=r"class 'CAT' is ambiguous in run joint: .* one of 0 \(cat\), 1 \(Cat\)"
    ):
        index_of("CAT", "cat", "Cat")


def test_a_name_of_two_classes_is_refused_with_their_indices() -> None:
    with pytest.raises(UserError, match=r"give the index, one of 0 \(crane\), 2 \(crane\)"):
        index_of("crane", "crane", "dog", "crane")


@pytest.mark.parametrize("given", ["-1", "bird", "1.0", "²", "", "99999999999"])
def test_an_unknown_class_is_refused_with_the_list_of_classes(given: str) -> None:
    with pytest.raises(UserError, match=r"has the classes 0 cat, 1 dog \(index and name\)"):
        index_of(given, "cat", "dog")


def test_long_lists_of_classes_are_cut() -> None:
    assert describe_classes([f"class {n}" for n in range(25)], 25).endswith("and 5 more (index and name)")


def test_file_names_are_safe_and_different() -> None:
    names = ("T-shirt/top", "Ankle boot", "..", "crane", "Crane", "x y", "x_y")
    assert file_names(names, 7) == [
        "T-shirt_top", "Ankle_boot", "2", "3_crane", "4_Crane", "5_x_y", "6_x_y"
    ]  # fmt: skip
    assert file_names((), 3) == ["0", "1", "2"]
