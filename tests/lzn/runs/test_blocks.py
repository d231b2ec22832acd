from pathlib import Path
from typing import Any

import pytest
from lzn_testing import PROJECT

from lzn.base.sections import ParamsError, ParamsFile
from lzn.runs.blocks import merge_blocks, read_section_of_run
from lzn.runs.configuration import AnyRun, GenerationRun

CONTENT: dict[str, Any] = {
    "networks": {"small": {"unet": {"base_channels": 16, "dropout": 0.0}}},
    "latents": {"none": {"latent": None}},
    "schedules": {"default": {"num_steps": 300, "batch_size": 128}},
    "runs": {
        "rf": {
            "data": "digits",
            "network": "small",
            "latents": "none",
            "schedule": "default",
            "unet": {"dropout": 0.1},
            "training": {"num_steps": 5},
        }
    },
}


def params(**run: Any) -> ParamsFile:
    return ParamsFile(Path("params.yaml"), {**CONTENT, "runs": {"rf": {**CONTENT["runs"]["rf"], **run}}})


def test_a_run_has_the_keys_of_its_blocks_and_its_own_values_win() -> None:
    merged, _ = merge_blocks(params(), "runs.rf")
    assert merged == {
        "data": "digits",
        "latent": None,
        "unet": {"base_channels": 16, "dropout": 0.1},
        "training": {"num_steps": 5, "batch_size": 128},
    }


def test_merging_changes_nothing_in_the_file() -> None:
    file = params()
    before = repr(file.content)
    merge_blocks(file, "runs.rf")
    assert repr(file.content) == before


@pytest.mark.parametrize("name", ["large", None, 3])
def test_a_block_that_does_not_exist_is_named_with_those_that_do(name: object) -> None:
    with pytest.raises(
        ParamsError, match=rf"^params.yaml: runs.rf.network is {name!r}; networks has: small$"
    ):
        merge_blocks(params(network=name), "runs.rf")


@pytest.mark.parametrize(
    ("section", "key", "value", "named"),
    [
        ("networks", "unet_8", {"unet": {"dropot": 0.1}}, "networks.unet_8.unet.dropot: unknown key"),
        ("schedules", "default", {"num_steps": "many"}, "schedules.default.num_steps: Input should be"),
        ("runs", "rf", {"conditional": 3}, "runs.rf.conditional: Input should be"),
        ("runs", "rf", {"training": {"batch_size": "x"}}, "runs.rf.training.batch_size: Input should be"),
    ],
)
def test_a_mistake_is_named_where_it_stands_in_the_file(
    section: str, key: str, value: dict[str, Any], named: str
) -> None:
    file = ParamsFile.read(PROJECT / "params.yaml")
    content = {name: dict(part) if isinstance(part, dict) else part for name, part in file.content.items()}
    content[section][key] = {**content[section][key], **value}
    with pytest.raises(ParamsError) as raised:
        read_section_of_run(ParamsFile(Path("params.yaml"), content), "runs.rf", AnyRun)
    assert any(line.startswith(f"params.yaml: {named}") for line in str(raised.value).splitlines())


def test_a_run_is_read_as_its_type() -> None:
    run = read_section_of_run(ParamsFile.read(PROJECT / "params.yaml"), "runs.rf", AnyRun)
    assert isinstance(run, GenerationRun)
    assert run.latent is None
    assert run.training.learning_rates == {"decoder": 2e-3}
