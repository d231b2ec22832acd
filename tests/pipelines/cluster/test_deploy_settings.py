"""Deployments in prefect.yaml and on the command line, without a server."""

import json
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from ruamel.yaml import YAML

from pipelines.cluster.deploy import DESCRIPTIONS, PROJECT, ZOMBIE_SECONDS, main, parse_arguments, pools_of
from pipelines.cluster.server_setup import Pool, SetupError
from pipelines.cluster.stage_runs import DEPLOYMENT
from pipelines.resources import Resources

FILE: dict[str, Any] = YAML(typ="safe").load(PROJECT / "prefect.yaml")
DEPLOYMENTS = {deployment["name"]: deployment for deployment in FILE["deployments"]}


def pools(*arguments: str, **environment: str) -> dict[str, Pool]:
    return {pool.name: pool for pool in pools_of(parse_arguments(arguments, environment))}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_has_an_existing_flow_and_pool_and_parameters_of_the_flow(name: str):
    deployment = DEPLOYMENTS[name]
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"])
    assert deployment.get("parameters", {}).keys() <= flow.parameters.properties.keys()
    assert deployment["work_pool"]["name"] in DESCRIPTIONS


def test_the_deployments_that_a_flow_starts_exist():
    pool = Resources.model_fields["pool"].annotation
    for name in ("cpu", "gpu"):
        assert name in str(pool)
        flow = load_flow_from_entrypoint(DEPLOYMENTS[name]["entrypoint"])
        assert DEPLOYMENT.format(pool=name) == f"{flow.name}/{name}"
        assert DEPLOYMENTS[name]["work_pool"]["name"] == name


def test_a_run_counts_as_crashed_after_three_heartbeats_of_every_deployment():
    for deployment in DEPLOYMENTS.values():
        heartbeat = deployment["work_pool"]["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]
        assert 3 * float(heartbeat) == ZOMBIE_SECONDS


def test_the_file_has_no_path_of_a_machine():
    assert FILE["pull"] == []
    assert "/home" not in (PROJECT / "prefect.yaml").read_text()


def test_limits_of_pools_come_from_the_command_line_before_the_environment():
    assert {name: pool.limit for name, pool in pools().items()} == {"control": 16, "cpu": None, "gpu": None}
    environment = {"LZN_GPUS": "8", "LZN_POOL_LIMITS": "cpu=4 control=2"}
    assert {name: pool.limit for name, pool in pools(**environment).items()} == {
        "control": 2,
        "cpu": 4,
        "gpu": 8,
    }
    given = pools("--gpus", "4", "--pool-limit", "cpu=6", **environment)
    assert {name: pool.limit for name, pool in given.items()} == {"control": 2, "cpu": 6, "gpu": 4}


def test_a_pool_can_be_of_containers_with_a_template(tmp_path: Path):
    file = tmp_path / "template.json"
    template = {"job_configuration": {"command": "{{ command }}"}, "variables": {"properties": {}}}
    file.write_text(json.dumps(template))

    given = pools("--pool-type", "gpu=kubernetes", "--pool-template", f"gpu={file}")

    assert (given["gpu"].kind, given["gpu"].template) == ("kubernetes", template)
    assert (given["cpu"].kind, given["cpu"].template) == ("process", None)


@pytest.mark.parametrize(("content", "message"), [("{", "is not JSON"), ("{}", "is not a base job template")])
def test_an_invalid_template_is_an_error(tmp_path: Path, content: str, message: str):
    file = tmp_path / "template.json"
    file.write_text(content)
    with pytest.raises(SetupError, match=message):
        pools("--pool-template", f"gpu={file}")


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--pool-limit", "tpu=1"], {}, "with a pool of control, cpu, gpu"),
        (["--pool-limit", "gpu=many"], {}, "'many' is not an integer of 0 or more"),
        ([], {"LZN_POOL_LIMITS": "gpu"}, "'gpu' is not POOL=VALUE"),
        ([], {"LZN_GPUS": "-1"}, "'-1' is not an integer of 0 or more"),
    ],
)
def test_an_invalid_number_or_pool_is_a_usage_error(
    arguments: list[str], environment: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit):
        parse_arguments(arguments, environment)
    assert words in capsys.readouterr().err


def test_without_the_address_of_a_server_nothing_is_set_up(monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    assert main([]) == 1
    assert capsys.readouterr().err.startswith("error: PREFECT_API_URL is not set")
