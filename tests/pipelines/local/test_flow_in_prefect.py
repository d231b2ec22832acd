"""What a person sees of the local flow in Prefect: the graph, progress, the list of stages; which server it uses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lzn_testing.servers.local_flows import api_of, eventually, run_flow
from lzn_testing.servers.prefect_api import PrefectApi
from prefect.settings import PREFECT_API_URL, temporary_settings

from pipelines.flow import progress
from pipelines.flow.progress import shown_progress
from pipelines.local.prefect_server import HOST, free_port

pytestmark = pytest.mark.slow  # real Prefect servers and DVC repositories

CHAIN = {
    "root": ("echo root > root.txt", [], ["root.txt"]),
    "left": ("cat root.txt > left.txt", ["root.txt"], ["left.txt"]),
    "right": ("cat root.txt > right.txt", ["root.txt"], ["right.txt"]),
    "join": ("cat left.txt right.txt > join.txt", ["left.txt", "right.txt"], ["join.txt"]),
}


def newest_run(api: PrefectApi) -> dict[str, Any]:
    [run] = api.all_of("flow_runs", sort="START_TIME_DESC", limit=1)
    return run


def test_the_graph_of_the_run_is_the_dag(toy_repository, environment: Mapping[str, str]) -> None:
    run_flow(toy_repository(**CHAIN), environment)

    api = api_of(environment)
    run = newest_run(api)

    def graph_is_the_dag() -> None:
        assert api.edges_of(run["id"]) == {
            "root": set(),
            "left": {"root"},
            "right": {"root"},
            "join": {"left", "right"},
        }

    eventually(graph_is_the_dag)


BARS = """
import sys, time
from tqdm import tqdm
print("before the loss", flush=True)
for _ in tqdm(range(20), desc="rf seed 0", unit="step", disable=False):
    time.sleep(0.4)
open("weights", "w").write("w")
"""


def test_the_progress_of_a_stage_is_an_artifact_and_its_bars_are_not_logged(
    toy_repository, environment: Mapping[str, str]
) -> None:
    root = toy_repository(train=("python bars.py", [], ["weights"]))
    (root / "bars.py").write_text(BARS)

    output = run_flow(root, environment)

    [artifact] = api_of(environment).all_of("artifacts", artifacts={"key": {"any_": ["progress-train"]}})
    assert (artifact["type"], artifact["data"]) == ("progress", 100.0)
    assert artifact["description"].startswith("train: rf seed 0: 20/20 [")
    assert artifact["task_run_id"]
    assert "before the loss" in output
    assert "%|" not in output


@pytest.mark.filterwarnings(
    "ignore:Artifact creation outside of a flow:FutureWarning"
)  # there is no flow run here
def test_a_missing_server_neither_fails_nor_delays_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.05)
    lines: list[str] = []
    with (
        temporary_settings({PREFECT_API_URL: f"http://{HOST}:{free_port()}/api"}),
        shown_progress("train@rf", lines.append) as log,
    ):
        log("rf seed 0: 45%|####5     | 9/20 [00:01<00:01, 10.0step/s]")
        log("rf seed 0: step 10 of 20: loss 1.5")
    assert lines == ["rf seed 0: step 10 of 20: loss 1.5"]


def test_a_dry_run_lists_the_stages_and_starts_none(toy_repository, environment: Mapping[str, str]) -> None:
    root = toy_repository(**CHAIN)
    run_flow(root, environment, "--targets", "left")

    output = run_flow(root, environment, "--dry-run")

    assert (
        "2 stages to run, 2 already there:\n  to run         right\n  to run         join\n"
        "  already there  root\n  already there  left\n"
    ) in output
    assert not (root / "right.txt").exists()
    api = api_of(environment)
    run = newest_run(api)
    assert run["state"]["message"] == "dry run: 2 stages to run, 2 already there"
    assert api.graph_of(run["id"]) == {}
    artifact = api.artifact("stages-local")
    assert artifact["flow_run_id"] == run["id"]
    assert "## To run\n\n- `right`\n- `join`\n\n## Already there\n\n- `root`\n- `left`" in artifact["data"]


def test_a_flow_lists_its_stages_before_it_starts(toy_repository, environment: Mapping[str, str]) -> None:
    output = run_flow(toy_repository(**CHAIN), environment)

    assert output.index("4 stages to run, 0 already there") < output.index("echo root > root.txt")
    run = newest_run(api_of(environment))
    assert api_of(environment).artifact("stages-local")["flow_run_id"] == run["id"]


def test_a_dry_run_without_a_server_starts_no_server(
    toy_repository, bare_environment: Mapping[str, str]
) -> None:
    output = run_flow(toy_repository(**CHAIN), bare_environment, "--dry-run")
    assert output.startswith("4 stages to run, 0 already there:")


def test_the_ui_of_a_started_server_asks_its_own_api(environment: Mapping[str, str]) -> None:
    url = environment["PREFECT_API_URL"]
    assert PrefectApi(url.removesuffix("/api")).get("ui-settings")["api_url"] == url


def write_profile(environment: Mapping[str, str], home: Path, url: str) -> Mapping[str, str]:
    """Make `url` the server of the active profile in a new PREFECT_HOME, and leave it out of the environment."""
    home.mkdir()
    (home / "profiles.toml").write_text(f'active = "team"\n[profiles.team]\nPREFECT_API_URL = "{url}"\n')
    rest = {name: value for name, value in environment.items() if name != "PREFECT_API_URL"}
    return {**rest, "PREFECT_HOME": str(home)}


def test_the_server_of_prefects_profile_is_used(
    toy_repository, environment: Mapping[str, str], tmp_path: Path
) -> None:
    api = api_of(environment)
    before = newest_run(api)["id"]
    profile = write_profile(environment, tmp_path / "home", api.url)

    output = run_flow(toy_repository(**CHAIN), profile, "--targets", "root")

    assert f"Watch it at {api.url.removesuffix('/api')}" in output
    assert newest_run(api)["id"] != before


def test_a_server_that_does_not_answer_is_named_and_replaced_by_a_temporary_one(
    toy_repository, environment: Mapping[str, str], tmp_path: Path
) -> None:
    url = f"http://{HOST}:{free_port()}/api"
    profile = write_profile(environment, tmp_path / "home", url)
    root = toy_repository(**CHAIN)

    output = run_flow(root, profile, "--targets", "root")

    [sentence] = [line for line in output.splitlines() if url in line]
    assert sentence.startswith(f"The Prefect server at {url} does not answer (")
    assert sentence.endswith("); starting a temporary server.")
    assert "To see this run again: `prefect server start`" in output
    assert (root / "root.txt").exists()
