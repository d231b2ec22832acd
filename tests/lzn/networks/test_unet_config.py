"""The configuration of a U-Net raises errors for invalid values, and can be read from a file."""

import dataclasses
import json
from typing import Any

import pytest
from lzn_testing.models.unet_settings import PAPER_32, PAPER_256, TINY_16
from pydantic import TypeAdapter, ValidationError

from lzn.networks import UNetConfig

SECTION = json.dumps(dataclasses.asdict(TINY_16))


def test_levels_halve_the_resolution() -> None:
    assert PAPER_32.level_resolutions == (32, 16, 8, 4)
    assert PAPER_256.level_resolutions == (256, 128, 64, 32, 16, 8, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 0}, "image_size is 0: it must be at least 1"),
        ({"image_size": 15}, "image_size is 15: .* multiple of 2"),
        ({"image_channels": 0}, "image_channels is 0"),
        ({"blocks_per_level": 0}, "blocks_per_level is 0"),
        ({"base_channels": 18}, "base_channels is 18: it must be a multiple of 4"),
        ({"base_channels": 40, "channel_multipliers": (1, 2)}, "base_channels is 40: .* multiple of 32"),
        ({"channel_multipliers": ()}, r"channel_multipliers is \(\)"),
        ({"channel_multipliers": (1, 0)}, r"channel_multipliers is \(1, 0\)"),
        ({"attention_resolutions": (4,)}, r"attention_resolutions is \(4,\).* \(16, 8\)"),
        ({"dropout": 1.0}, "dropout is 1.0: it must be at least 0 and below 1"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"family": "adm"}, "family is 'adm': it must be one of ddpmpp, ncsnpp"),
    ],
)
def test_an_error_names_the_field_and_what_is_allowed(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY_16, **change)


def test_lists_in_a_file_become_tuples() -> None:
    assert TypeAdapter(UNetConfig).validate_json(SECTION) == TINY_16


def test_a_number_in_quotes_raises() -> None:
    with pytest.raises(ValidationError, match="base_channels"):
        TypeAdapter(UNetConfig).validate_json(json.dumps({**json.loads(SECTION), "base_channels": "16"}))


def test_an_unknown_key_raises() -> None:
    with pytest.raises(ValidationError, match="chanels"):
        TypeAdapter(UNetConfig).validate_json(json.dumps({**json.loads(SECTION), "chanels": 3}))


def test_the_message_of_our_own_check_is_in_the_error_of_a_file() -> None:
    with pytest.raises(ValidationError, match="image_size is 15"):
        TypeAdapter(UNetConfig).validate_json(json.dumps({**json.loads(SECTION), "image_size": 15}))
