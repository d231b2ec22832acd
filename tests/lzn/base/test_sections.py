"""Errors in parameter files name the path of the key and what is allowed there."""

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
    """A dataclass like the library's configurations, which use only these two settings of pydantic."""

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


class Plot(Section):
    network: Network
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    frame: Square | None = None
    rates: Mapping[str, float] = Field(default_factory=dict)
    named: dict[str, Network] = Field(default_factory=dict)
    visible: bool = True

    @model_validator(mode="after")
    def _is_possible(self) -> "Plot":
        if self.network.width > 100:
            raise ValueError("no plot is wider than 100")
        return self


VALID: dict[str, Any] = {
    "network": {"width": 3, "multipliers": [1, 2]},
    "shape": {"kind": "circle", "radius": 1.5},
    "frame": {"kind": "square", "side": 2},
    "rates": {"a": 0.1},
}


def error_of(**changes: Any) -> str:
    with pytest.raises(ParamsError) as raised:
        validate({**VALID, **changes}, Plot, where="params.yaml: plot")
    return str(raised.value)


def test_a_valid_section_becomes_frozen_objects_with_tuples_and_defaults() -> None:
    plot = validate(VALID, Plot, where="")
    assert plot.network == Network(width=3, multipliers=(1, 2))
    assert plot.shape == Circle(kind="circle", radius=1.5)
    assert plot.visible
    with pytest.raises(ValueError, match="frozen"):
        plot.visible = False


def test_an_integer_is_accepted_as_a_float() -> None:
    assert validate({"kind": "square", "side": 2}, Square, where="").side == 2.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"color": 1},
            "plot.color: unknown key; allowed here: frame, named, network, rates, shape, visible",
        ),
        (
            {"network": {"width": 3, "depth": 2}},
            "plot.network.depth: unknown key; allowed here: multipliers, width",
        ),
        (
            {"shape": {"kind": "circle", "radius": 1.0, "side": 1.0}},
            "plot.shape.side: unknown key; allowed here: kind, radius",
        ),
        (
            {"frame": {"kind": "square", "side": 1.0, "radius": 2}},
            "plot.frame.radius: unknown key; allowed here: kind, side",
        ),
        (
            {"named": {"x": {"width": 1, "depth": 2}}},
            "plot.named.x.depth: unknown key; allowed here: multipliers, width",
        ),
    ],
)
def test_the_error_for_an_unknown_key_lists_the_allowed_keys(changes: dict[str, Any], message: str) -> None:
    assert error_of(**changes) == f"params.yaml: {message}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {"width": "3"}}, "plot.network.width: Input should be a valid integer (got '3')"),
        ({"network": {"width": 3.5}}, "plot.network.width: Input should be a valid integer (got 3.5)"),
        ({"network": {"width": True}}, "plot.network.width: Input should be a valid integer (got True)"),
        ({"network": None}, "plot.network: Input should be an object (got None)"),
        (
            {"network": {"width": 3, "multipliers": [1, "two"]}},
            "plot.network.multipliers.1: Input should be a valid integer (got 'two')",
        ),
        ({"rates": {"a": "fast"}}, "plot.rates.a: Input should be a valid number (got 'fast')"),
        ({"visible": 1}, "plot.visible: Input should be a valid boolean (got 1)"),
    ],
)
def test_the_error_for_a_wrong_type_names_the_right_type(changes: dict[str, Any], message: str) -> None:
    assert error_of(**changes) == f"params.yaml: {message}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {"width": 0}}, "plot.network: width is 0: it must be at least 1"),
        ({"network": {"width": 101}}, "plot: no plot is wider than 100"),
        (
            {"shape": {"kind": "circle", "radius": 0.0}},
            "plot.shape.radius: Input should be greater than 0 (got 0.0)",
        ),
    ],
)
def test_the_error_for_a_value_out_of_range_names_the_range(changes: dict[str, Any], message: str) -> None:
    assert error_of(**changes) == f"params.yaml: {message}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {}}, "plot.network.width: Field required"),
        ({"shape": {"kind": "circle"}}, "plot.shape.radius: Field required"),
        ({"frame": {"kind": "square"}}, "plot.frame.side: Field required"),
    ],
)
def test_the_error_names_a_missing_key(changes: dict[str, Any], message: str) -> None:
    assert error_of(**changes) == f"params.yaml: {message}"


def test_the_error_for_an_unknown_kind_lists_all_kinds() -> None:
    message = error_of(shape={"kind": "star", "radius": 1.0})
    assert message.startswith("params.yaml: plot.shape: Input tag 'star' found using 'kind'")
    assert message.endswith("'circle', 'square', 'rectangle'")


def test_the_error_for_a_missing_kind_lists_all_kinds() -> None:
    message = "params.yaml: plot.shape.kind: Field required, one of circle, rectangle, square"
    assert error_of(shape={"radius": 1.0}) == message


def test_the_message_has_one_line_per_problem() -> None:
    lines = error_of(network={"width": "3"}, color=1, frame={"kind": "square"}).splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "plot.network.width",
        "plot.frame.side",
        "plot.color",
    ]


def test_a_date_is_an_invalid_value() -> None:
    # YAML reads 2024-01-01 as a date, which JSON cannot represent.
    message = "params.yaml: plot.visible: Input should be a valid boolean (got '2024-01-01')"
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


def test_a_section_is_read_by_its_key_and_1e_minus_3_is_a_number(file: Path) -> None:
    # In YAML 1.1, 1e-3 is a string. DVC reads YAML 1.2.
    assert ParamsFile.read(file).section("runs.first", Circle) == Circle(kind="circle", radius=0.001)
    assert ParamsFile.read(file).section("scale", int) == 3


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("runs.third", "runs.third is missing; runs has: first, second"),
        ("rums.first", "rums.first is missing; the file has: runs, scale"),
        ("scale.first", "scale.first is missing; scale has: 3"),
    ],
)
def test_the_error_for_a_missing_key_lists_the_existing_keys(file: Path, key: str, message: str) -> None:
    with pytest.raises(ParamsError) as raised:
        ParamsFile.read(file).section(key, Circle)
    assert str(raised.value) == f"{file}: {message}"


def test_an_error_names_the_file(file: Path) -> None:
    with pytest.raises(ParamsError) as raised:
        ParamsFile.read(file).section("runs.second", Circle)
    assert str(raised.value).startswith(f"{file}: runs.second")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such parameter file"),
        (b"a: [1", "not valid YAML"),
        (b"a: 1\na: 2", "not valid YAML"),
        (b"\x80PNG\x00\xff", "not valid YAML"),
        (b"- 1", "must be a mapping of sections"),
        (b"", "must be a mapping of sections"),
    ],
)
def test_a_file_that_is_not_a_mapping_raises(tmp_path: Path, text: bytes | None, message: str) -> None:
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(ParamsError, match=f"params.yaml: {message}"):
        read_yaml(path)


def test_a_folder_instead_of_a_parameter_file_raises(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_a_file_in_another_encoding_than_utf_8_is_refused(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_bytes("size: größe\n".encode(encoding))
    with pytest.raises(ParamsError, match=r"params\.yaml: not valid YAML"):
        ParamsFile.read(file)
    file.write_bytes("size: größe\n".encode("utf-8-sig"))
    assert ParamsFile.read(file).value("size") == "größe"
