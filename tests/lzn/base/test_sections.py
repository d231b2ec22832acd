"""Parameter files: what is wrong is said with the key's path and what is allowed there."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, model_validator

from lzn.base.sections import ParamsError, ParamsFile, Section, read_yaml, validate


@dataclass(frozen=True, kw_only=True)
class Network:
    """As the library's configurations are: it knows nothing of pydantic but these two settings."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    width: int
    multipliers: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width is {self.width}: it must be at least 1")


class Circle(Section):
    kind: Literal["circle"]
    radius: Annotated[float, Field(gt=0)]


class Square(Section):
    kind: Literal["square", "rectangle"]
    side: float


class Drawing(Section):
    network: Network
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    frame: Square | None = None
    rates: Mapping[str, float] = Field(default_factory=dict)
    named: dict[str, Network] = Field(default_factory=dict)
    visible: bool = True

    @model_validator(mode="after")
    def _is_possible(self) -> "Drawing":
        if self.network.width > 100:
            raise ValueError("no drawing is wider than 100")
        return self


GOOD: dict[str, Any] = {
    "network": {"width": 3, "multipliers": [1, 2]},
    "shape": {"kind": "circle", "radius": 1.5},
    "frame": {"kind": "square", "side": 2},
    "rates": {"a": 0.1},
}


def error_of(**changes: Any) -> str:
    with pytest.raises(ParamsError) as raised:
        validate({**GOOD, **changes}, Drawing, where="params.yaml: drawing")
    return str(raised.value)


def test_a_good_section_becomes_frozen_objects_with_tuples_and_defaults() -> None:
    drawing = validate(GOOD, Drawing, where="")
    assert drawing.network == Network(width=3, multipliers=(1, 2))
    assert drawing.shape == Circle(kind="circle", radius=1.5)
    assert drawing.visible
    with pytest.raises(ValueError, match="frozen"):
        drawing.visible = False


def test_a_whole_number_will_do_for_a_float() -> None:
    assert validate({"kind": "square", "side": 2}, Square, where="").side == 2.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"color": 1},
            "drawing.color: unknown key; allowed here: frame, named, network, rates, shape, visible",
        ),
        (
            {"network": {"width": 3, "depth": 2}},
            "drawing.network.depth: unknown key; allowed here: multipliers, width",
        ),
        (
            {"shape": {"kind": "circle", "radius": 1.0, "side": 1.0}},
            "drawing.shape.side: unknown key; allowed here: kind, radius",
        ),
        (
            {"frame": {"kind": "square", "side": 1.0, "radius": 2}},
            "drawing.frame.radius: unknown key; allowed here: kind, side",
        ),
        (
            {"named": {"x": {"width": 1, "depth": 2}}},
            "drawing.named.x.depth: unknown key; allowed here: multipliers, width",
        ),
    ],
)
def test_an_unknown_key_is_named_with_the_keys_that_are_allowed(
    changes: dict[str, Any], message: str
) -> None:
    assert error_of(**changes) == f"params.yaml: {message}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {"width": "3"}}, "drawing.network.width: Input should be a valid integer (got '3')"),
        ({"network": {"width": 3.5}}, "drawing.network.width: Input should be a valid integer (got 3.5)"),
        ({"network": {"width": True}}, "drawing.network.width: Input should be a valid integer (got True)"),
        ({"network": None}, "drawing.network: Input should be an object (got None)"),
        (
            {"network": {"width": 3, "multipliers": [1, "two"]}},
            "drawing.network.multipliers.1: Input should be a valid integer (got 'two')",
        ),
        ({"rates": {"a": "fast"}}, "drawing.rates.a: Input should be a valid number (got 'fast')"),
        ({"visible": 1}, "drawing.visible: Input should be a valid boolean (got 1)"),
    ],
)
def test_a_wrong_type_is_named_with_the_right_one(changes: dict[str, Any], message: str) -> None:
    assert error_of(**changes) == f"params.yaml: {message}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {"width": 0}}, "drawing.network: width is 0: it must be at least 1"),
        ({"network": {"width": 101}}, "drawing: no drawing is wider than 100"),
        (
            {"shape": {"kind": "circle", "radius": 0.0}},
            "drawing.shape.radius: Input should be greater than 0 (got 0.0)",
        ),
    ],
)
def test_a_value_out_of_range_is_named_with_the_range(changes: dict[str, Any], message: str) -> None:
    assert error_of(**changes) == f"params.yaml: {message}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {}}, "drawing.network.width: Field required"),
        ({"shape": {"kind": "circle"}}, "drawing.shape.radius: Field required"),
        ({"frame": {"kind": "square"}}, "drawing.frame.side: Field required"),
    ],
)
def test_a_missing_key_is_named(changes: dict[str, Any], message: str) -> None:
    assert error_of(**changes) == f"params.yaml: {message}"


def test_a_wrong_kind_is_named_with_the_kinds_there_are() -> None:
    message = error_of(shape={"kind": "star", "radius": 1.0})
    assert message.startswith("params.yaml: drawing.shape: Input tag 'star' found using 'kind'")
    assert message.endswith("'circle', 'square', 'rectangle'")


def test_a_missing_kind_is_named_with_the_kinds_there_are() -> None:
    message = "params.yaml: drawing.shape.kind: Field required, one of circle, rectangle, square"
    assert error_of(shape={"radius": 1.0}) == message


def test_every_mistake_has_its_line() -> None:
    lines = error_of(network={"width": "3"}, color=1, frame={"kind": "square"}).splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "drawing.network.width",
        "drawing.frame.side",
        "drawing.color",
    ]


def test_a_date_is_a_mistake_like_others() -> None:
    # YAML reads 2024-01-01 as a date, which JSON has no word for.
    message = "params.yaml: drawing.visible: Input should be a valid boolean (got '2024-01-01')"
    assert error_of(visible=datetime.date(2024, 1, 1)) == message


FILE = """\
runs:
  first: {kind: circle, radius: 1e-3}
  second: {kind: square, side: 2}
scale: 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(FILE)
    return path


def test_a_section_is_loaded_by_its_path_and_powers_of_ten_are_numbers(file: Path) -> None:
    # In YAML 1.1, 1e-3 is a string; DVC reads YAML 1.2.
    assert ParamsFile.read(file).section("runs.first", Circle) == Circle(kind="circle", radius=0.001)
    assert ParamsFile.read(file).section("scale", int) == 3


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("runs.third", "runs.third is missing; runs has: first, second"),
        ("rums.first", "rums.first is missing; the file has: runs, scale"),
        ("scale.first", "scale.first is missing; scale has: 3"),
    ],
)
def test_a_missing_path_is_named_with_what_is_there(file: Path, path: str, message: str) -> None:
    with pytest.raises(ParamsError) as raised:
        ParamsFile.read(file).section(path, Circle)
    assert str(raised.value) == f"{file}: {message}"


def test_a_mistake_in_a_file_is_named_with_the_file(file: Path) -> None:
    with pytest.raises(ParamsError) as raised:
        ParamsFile.read(file).section("runs.second", Circle)
    assert str(raised.value).startswith(f"{file}: runs.second")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such parameter file"),
        ("a: [1", "not valid YAML"),
        ("a: 1\na: 2", "not valid YAML"),
        ("- 1", "must be a mapping of sections"),
        ("", "must be a mapping of sections"),
    ],
)
def test_a_file_that_is_no_mapping_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ParamsError, match=f"params.yaml: {message}"):
        read_yaml(path)
