"""Set up a Prefect server for this project: work pools, limits, automations for lost runs, all deployments.

    python -m pipelines.cluster.deploy [--gpus 8] [--pool-limit cpu=4] [--pool-type gpu=kubernetes --pool-template ...]
        [--notify slack-webhook/team]

The server is that of PREFECT_API_URL; PREFECT_API_AUTH_STRING is its password, if it has one. Existing objects are
changed to these settings, so a second call changes nothing. Exit code: 0, or 1 with the reason.
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

from lzn.base.streams import escape_other_characters
from pipelines.cluster.server_setup import (
    FAILURES,
    PROCESS,
    Pool,
    SetupError,
    ensure_automation,
    ensure_gpu_limit,
    ensure_pool,
    failure_automation,
    notification_block,
    remove_automation,
    unstarted_automation,
    zombie_automation,
)
from pipelines.cluster.worker.gpu_limit import GPU_LIMIT

PROJECT: Final = Path(__file__).resolve().parents[2]
DESCRIPTIONS: Final = {
    "control": "Flows that start stages and wait for them",
    "cpu": "Stages that need no GPU",
    "gpu": "Stages that have GPUs exclusively",
}
CONTROL_LIMIT: Final = 16
"""Flows that run at a time in the pool `control`: each is a process of about 200 MB."""
ZOMBIE_SECONDS: Final = 90.0
"""Three heartbeats; prefect.yaml has the interval."""
UNSTARTED_SECONDS: Final = 300.0
"""A process starts within ten seconds after a worker took the run, or within a minute on a busy machine."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Set up the server from the command line. Return the exit code."""
    escape_other_characters()
    options = parse_arguments(arguments)
    url = get_current_settings().api.url
    if not url:
        return _fail(
            "PREFECT_API_URL is not set: it is the address of the server, such as http://host:4200/api"
        )
    try:
        pools = pools_of(options)
        automations = (
            zombie_automation(options.zombie_seconds),
            unstarted_automation(options.unstarted_seconds),
        )
        asyncio.run(set_up_server(pools, automations, gpus=options.gpus, notify=options.notify))
        deploy_all(options.prefect_file)
    except (httpx.TransportError, TimeoutError) as error:
        return _fail(f"no Prefect server answers at {url}: {error or type(error).__name__}")
    except PrefectHTTPStatusError as error:
        if error.response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            status = f"{error.response.status_code} {error.response.reason_phrase}"
            return _fail(f"the Prefect server at {url} refuses PREFECT_API_AUTH_STRING ({status})")
        return _fail(f"the Prefect server at {url} refuses the request: {error}")
    except (OSError, SetupError) as error:
        return _fail(str(error))
    return 0


async def set_up_server(
    pools: Sequence[Pool], automations: Sequence[AutomationCore], *, gpus: int, notify: str
) -> None:
    """Create or change work pools, the limit for GPUs and automations. Print what was done.

    `notify` is the slug of the block for notifications of failed flows; if it is empty, their automation is removed.
    """
    async with get_client() as client:
        for pool in pools:
            limit = "" if pool.limit is None else f", at most {pool.limit} runs"
            print(
                f"work pool {pool.name} ({pool.kind}{limit}): {await ensure_pool(client, pool)}", flush=True
            )
        await ensure_gpu_limit(client, gpus)
        print(f"limit {GPU_LIMIT}: {gpus} slots", flush=True)
        if notify:
            block = await notification_block(client, notify)
            ui_url = get_current_settings().ui_url or ""
            automations = (*automations, failure_automation(block, ui_url=ui_url))
        elif await remove_automation(client, FAILURES):
            print(f"automation {FAILURES!r}: removed", flush=True)
        for automation in automations:
            print(
                f"automation {automation.name!r}: {await ensure_automation(client, automation)}", flush=True
            )


def deploy_all(prefect_file: Path) -> None:
    """Create all deployments of a file with `prefect deploy`.

    Raises:
        SetupError: the command fails; the message has its output.
    """
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
    """Return the work pools for the options of the command line.

    Raises:
        SetupError: a template is invalid.
    """
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
        help="GPUs of the whole cluster: slots of the limit `gpus`, and limit of the pool gpu (LZN_GPUS, or 0)",
    )  # fmt: skip
    parser.add_argument(
        "--pool-limit", type=_limit, action="append", metavar="POOL=RUNS",
        default=[],
        help=f"how many runs of a pool run at a time (LZN_POOL_LIMITS, or control={CONTROL_LIMIT} and gpu=--gpus)",
    )  # fmt: skip
    parser.add_argument(
        "--pool-type", type=_pair, action="append", default=[], metavar="POOL=TYPE",
        help="docker or kubernetes in place of process; requires --pool-template",
    )  # fmt: skip
    parser.add_argument(
        "--pool-template", type=_pair, action="append", default=[], metavar="POOL=FILE",
        help="base job template of the pool, see infra/work_pools/",
    )  # fmt: skip
    parser.add_argument(
        "--notify", default=environment.get("LZN_NOTIFY") or "", metavar="TYPE/NAME",
        help="notification block that tells of failed and crashed flows (LZN_NOTIFY); without it, nobody is told",
    )  # fmt: skip
    parser.add_argument(
        "--zombie-seconds", type=float, default=ZOMBIE_SECONDS,
        help="time without a heartbeat after which a run counts as crashed; at least 60 (default: 90)",
    )  # fmt: skip
    parser.add_argument(
        "--unstarted-seconds", type=float, default=UNSTARTED_SECONDS,
        help="time after which a run that a process worker took and did not start counts as crashed (default: 300)",
    )  # fmt: skip
    parser.add_argument(
        "--prefect-file", type=Path, default=PROJECT / "prefect.yaml", help="file with the deployments"
    )
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
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of 0 or more")
    return int(text)


def _read_template(file: str) -> dict[str, Any]:
    try:
        template = json.loads(Path(file).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise SetupError(f"{file} is not JSON: {error}") from error
    if not isinstance(template, dict) or not {"job_configuration", "variables"} <= template.keys():
        raise SetupError(f"{file} is not a base job template: job_configuration and variables are required")
    return template


def _fail(reason: str) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
