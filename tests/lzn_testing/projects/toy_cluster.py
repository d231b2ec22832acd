"""A git repository with a small DVC pipeline, a DVC remote in a folder, and settings of machines that use both."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from dvc.repo import Repo
from dvc.utils.serialize import dumps_yaml

from lzn_testing.projects.made_once import made_once
from pipelines.cluster.worker.remote_stage import RemoteStage, run_remote_stage
from pipelines.cluster.worker.settings import ClusterSettings
from pipelines.processes.commands import Limits
from pipelines.processes.signals import StopEvents
from pipelines.schedule import Outcome, StageResult

SIZE = "toy"
LOG_VARIABLE = "LZN_TEST_TOY_LOG"
"""The environment variable with the log of a `ToyCluster.finished`, whose commands must not depend on its folder."""
STAGES = {
    "prepare": ("mkdir inputs && cp source inputs/a && wc -c < source > inputs/b", ["source"], ["inputs"]),
    "left": ("cat inputs/a code > made/left", ["code", "inputs"], ["made/left"]),
    "right": (
        "mkdir made/right && cat inputs/b > made/right/number && echo all > details",
        ["inputs"],
        ["made/right", "details"],
    ),
    "join": ("cat made/left made/right/number > joined", ["made"], ["joined"]),
}
"""Command, dependencies and outputs. `join` depends on a folder of outputs, and not on all outputs of `right`.

`ToyCluster.make` lets each command add a line to `ToyCluster.log`.
"""


@dataclass(frozen=True)
class ToyCluster:
    """Folders in `root`. `log` has one line for each command that any machine executed."""

    root: Path

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def remote(self) -> Path:
        return self.root / "remote"

    @property
    def log(self) -> Path:
        return self.root / "executed"

    @staticmethod
    def finished(root: Path) -> "ToyCluster":
        """Copy the repository and the remote of a cluster that has run all stages. `LOG_VARIABLE` must name its log."""
        shutil.copytree(made_once("toy_cluster", _run_all), root, dirs_exist_ok=True)
        return ToyCluster(root)

    @staticmethod
    def make(root: Path, *, log: str = "", **commands: str) -> "ToyCluster":
        """Create the repository and the remote. `commands` replace the commands of stages; `log` is for the shell."""
        cluster = ToyCluster(root)
        cluster.remote.mkdir()
        cluster.log.touch()
        cluster.project.mkdir()
        definition = {
            name: {
                "cmd": f"echo {name} >> {log or cluster.log} && mkdir -p made && {commands.get(name, command)}",
                "deps": deps,
                "outs": outs,
            }
            for name, (command, deps, outs) in STAGES.items()
        }
        (cluster.project / "dvc.yaml").write_text(dumps_yaml({"stages": definition}))
        (cluster.project / "params.yaml").write_text(f"size: {SIZE}\n")
        (cluster.project / ".gitignore").write_text("/inputs/\n/made/\n/joined\n/details\n")
        (cluster.project / "source").write_text("source\n")
        (cluster.project / "code").write_text("code\n")
        cluster.git("init", "--quiet", "--initial-branch", "main")
        Repo.init(str(cluster.project)).close()
        cluster.commit()
        return cluster

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=toy", "-c", "user.email=toy@example.org"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.project, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "toy")
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def machine(self, name: str = "machine") -> ClusterSettings:
        """Return the settings of a machine with its own folder. All machines share state."""
        return ClusterSettings(
            repository=str(self.project),
            remote=str(self.remote),
            work=self.root / name,
            shared_state=self.root / "state",
        )

    def run(self, stage: str, machine: str = "machine") -> StageResult:
        """Run a stage of the newest commit as a worker on a machine."""
        return run_remote_stage(
            RemoteStage(self.head, SIZE, stage),
            self.machine(machine),
            limits=Limits(timeout=60, grace=5),
            stop=StopEvents(),
            log=lambda line: None,
        )

    @property
    def executed(self) -> list[str]:
        return self.log.read_text().split()

    def object_file(self, content: bytes) -> Path:
        """Return the remote's object with this content."""
        (found,) = [
            file
            for file in (self.remote / "files").rglob("*")
            if file.is_file() and file.read_bytes() == content
        ]
        return found


def _run_all(folder: Path) -> None:
    cluster = ToyCluster.make(folder, log=f"${LOG_VARIABLE}")
    with mock.patch.dict(os.environ, {LOG_VARIABLE: str(cluster.log)}):
        for stage in STAGES:
            assert cluster.run(stage).outcome is Outcome.DONE
    for name in ("machine", "state"):
        shutil.rmtree(folder / name)
