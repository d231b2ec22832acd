"""Set up a Prefect server for this project: work pools, limits, automations for lost runs, all deployments.

    python -m pipelines.cluster.deploy [--gpus 8] [--pool-limit cpu=4] [--pool-type gpu=kubernetes --pool-template ...]

The server is that of PREFECT_API_URL, with PREFECT_API_AUTH_STRING where it asks for one. What is there is brought to
what is said here, so that running it again changes nothing. Exit code: 0, or 1 with the reason.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import get_current_settings
from ruamel.yaml import YAML

from pipelines.cluster.server_setup import (
    GPU_LIMIT,
    PROCESS,
    Pool,
    SetupError,
    ensure_automation,
    ensure_gpu_limit,
    ensure_pool,
    unstarted_automation,
    zombie_automation,
)

PROJECT: Final = Path(__file__).resolve().parents[2]
DESCRIPTIONS: Final = {
    "control": "Flows that wait for the stages they started",
    "cpu": "Stages that need no GPU",
    "gpu": "Stages that have GPUs for themselves",
}
CONTROL_LIMIT: Final = 16
"""Flows that wait at a time: each is a process of about 200 MB."""
ZOMBIE_SECONDS: Final = 90.0
"""Three heartbeats as prefect.yaml has them."""
UNSTARTED_SECONDS: Final = 300.0
"""A process begins within ten seconds of being taken, or a minute on a machine that is busy."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Set up the server from the command line; return the exit code."""
    options = parse_arguments(arguments)
    url = get_current_settings().api.url
    if not url:
        return _fail(
            "PREFECT_API_URL is not set: it says which server to set up, such as http://host:4200/api"
        )
    try:
        pools = pools_of(options)
        automations = (
            zombie_automation(options.zombie_seconds),
            unstarted_automation(options.unstarted_seconds),
        )
        asyncio.run(set_up_server(pools, automations, gpus=options.gpus))
        deploy_all(options.prefect_file)
    except (httpx.TransportError, TimeoutError) as error:
        return _fail(f"no Prefect server answers at {url}: {error or type(error).__name__}")
    except PrefectHTTPStatusError as error:
        if error.response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            status = f"{error.response.status_code} {error.response.reason_phrase}"
            return _fail(f"the Prefect server at {url} wants another PREFECT_API_AUTH_STRING ({status})")
        return _fail(f"the Prefect server at {url} refuses: {error}")
    except (OSError, SetupError) as error:
        return _fail(str(error))
    return 0


async def set_up_server(pools: Sequence[Pool], automations: Sequence[AutomationCore], *, gpus: int) -> None:
    """Make work pools, the limit for GPUs and automations as they should be, and print what was done."""
    async with get_client() as client:
        for pool in pools:
            limit = "" if pool.limit is None else f", at most {pool.limit} runs"
            print(
                f"work pool {pool.name} ({pool.kind}{limit}): {await ensure_pool(client, pool)}", flush=True
            )
        await ensure_gpu_limit(client, gpus)
        print(f"limit {GPU_LIMIT}: {gpus} slots", flush=True)
        for automation in automations:
            print(
                f"automation {automation.name!r}: {await ensure_automation(client, automation)}", flush=True
            )


def deploy_all(prefect_file: Path) -> None:
    """Let Prefect's own command make all deployments of the file. Raises SetupError with its words if it fails."""
    names = [deployment["name"] for deployment in YAML(typ="safe").load(prefect_file)["deployments"]]
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "prefect",
            "--no-prompt",
            "deploy",
            "--all",
            "--prefect-file",
            str(prefect_file),
        ],
        cwd=prefect_file.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise SetupError(f"`prefect deploy --all` failed:\n{ended.stdout.strip()}")
    print(f"deployments: {', '.join(names)}")


def pools_of(options: argparse.Namespace) -> list[Pool]:
    """The work pools that the command line asks for. Raises SetupError for a template that is none."""
    limits: dict[str, int | None] = {"control": CONTROL_LIMIT, "cpu": None, "gpu": options.gpus or None}
    limits |= dict(options.pool_limit)
    kinds, templates = dict(options.pool_type), dict(options.pool_template)
    return [
        Pool(
            name=name,
            description=description,
            limit=limits[name],
            kind=kinds.get(name, PROCESS),
            template=_read_template(templates[name]) if name in templates else None,
        )
        for name, description in DESCRIPTIONS.items()
    ]


def parse_arguments(
    arguments: Sequence[str] | None, environment: Mapping[str, str] = os.environ
) -> argparse.Namespace:
    """Read the command line, with defaults from the environment."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.cluster.deploy", description=__doc__)
    parser.add_argument(
        "--gpus", type=_count, default=environment.get("LZN_GPUS") or "0",
        help="of the whole cluster: slots of the limit `gpus`, and the most runs of the pool gpu (LZN_GPUS, or 0)",
    )  # fmt: skip
    parser.add_argument(
        "--pool-limit", type=_limit, action="append", metavar="POOL=RUNS",
        default=[],
        help=f"runs of a pool at a time (LZN_POOL_LIMITS, or control={CONTROL_LIMIT} and gpu=--gpus)",
    )  # fmt: skip
    parser.add_argument(
        "--pool-type", type=_pair, action="append", default=[], metavar="POOL=TYPE",
        help="docker or kubernetes in place of process; needs --pool-template",
    )  # fmt: skip
    parser.add_argument(
        "--pool-template", type=_pair, action="append", default=[], metavar="POOL=FILE",
        help="the pool's base job template, as in infra/work_pools/",
    )  # fmt: skip
    parser.add_argument(
        "--zombie-seconds", type=float, default=ZOMBIE_SECONDS,
        help="without a heartbeat until a run counts as crashed: at least twice the heartbeat's 30 s (90)",
    )  # fmt: skip
    parser.add_argument(
        "--unstarted-seconds", type=float, default=UNSTARTED_SECONDS,
        help="from a worker of processes taking a run until it counts as crashed if it has not begun (300)",
    )  # fmt: skip
    parser.add_argument("--prefect-file", type=Path, default=PROJECT / "prefect.yaml", help="the deployments")
    limits = environment.get("LZN_POOL_LIMITS", "").split()
    given = sys.argv[1:] if arguments is None else arguments
    return parser.parse_args([*(f"--pool-limit={limit}" for limit in limits), *given])


def _pair(text: str) -> tuple[str, str]:
    pool, separator, value = text.partition("=")
    if pool not in DESCRIPTIONS or not separator or not value:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not POOL=VALUE with a pool of {', '.join(DESCRIPTIONS)}"
        )
    return pool, value


def _limit(text: str) -> tuple[str, int]:
    pool, value = _pair(text)
    return pool, _count(value)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return int(text)


def _read_template(file: str) -> dict[str, Any]:
    try:
        template = json.loads(Path(file).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise SetupError(f"{file} is not JSON: {error}") from error
    if not isinstance(template, dict) or not {"job_configuration", "variables"} <= template.keys():
        raise SetupError(f"{file} is no base job template: it needs job_configuration and variables")
    return template


def _fail(reason: str) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
