"""Real Slurm in a temporary folder: munged, slurmctld and a slurmd for each of two nodes, which are both this machine.

Nodes have one CPU each, so that a job of two nodes is one that runs on two of Slurm's nodes. No cgroups, no accounting,
no root needed: the daemons run as the user, jobs as the same.
"""

import getpass
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from lzn_testing.processes.process_facts import variable_of
from lzn_testing.servers.mlflow_runs import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel", "sinfo")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# cred_expire: also what a job waits that was queued again, else 120 s.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool_%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
KillWait=20
ReturnToService=2
NodeName=one NodeHostname=localhost NodeAddr=127.0.0.1 Port={port_one} CPUs=1
NodeName=two NodeHostname=localhost NodeAddr=127.0.0.1 Port={port_two} CPUs=1
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
NODES = ("one", "two")
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}


@dataclass(frozen=True)
class Job:
    """What Slurm says of a job."""

    number: int
    state: str
    restarts: int
    exit_code: str


class OneNodeSlurm:
    """The cluster; files of its daemons and their logs are in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def missing_programs() -> list[str]:
        """What Debian's packages slurm-wlm and munge would bring."""
        return [program for program in PROGRAMS if shutil.which(program, path=_path()) is None]

    def start(self) -> None:
        """Returns when both nodes are idle, seconds later."""
        (self.folder / "state").mkdir()
        for node in NODES:
            (self.folder / f"spool_{node}").mkdir()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        ports = {name: free_port() for name in ("controller_port", "port_one", "port_two")}
        content = CONFIGURATION.format(folder=self.folder, user=getpass.getuser(), **ports)
        (self.folder / "slurm.conf").write_text(content)
        munge = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        self._start_daemon(
            "munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *munge
        )
        wait_until((self.folder / "munge.socket").exists, "munged's socket")
        self._start_daemon("slurmctld", "-D")
        for node in NODES:
            self._start_daemon("slurmd", "-D", "-N", node)
        wait_until(lambda: self._idle_nodes() == len(NODES), "idle nodes", context=self.logs)

    def stop(self) -> None:
        """Ends all jobs and daemons."""
        subprocess.run(["scancel", "--user", getpass.getuser()], env=self._environment(), check=False)
        wait_until(lambda: not self.processes_of_jobs(), "end of all jobs", seconds=40, context=self.logs)
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(daemon.pid, signal.SIGKILL)
                daemon.wait()

    def submit(
        self, script: str, *arguments: str, folder: Path, options: Sequence[str], settings: Mapping[str, str]
    ) -> int:
        """``sbatch`` in a folder, with variables added to the environment; the job's number."""
        command = ["sbatch", "--parsable", *options, script, *arguments]
        return int(self._ask(command, folder=folder, settings=settings))

    def job(self, number: int) -> Job:
        """The job as it is now."""
        said = self._ask(["scontrol", "--oneliner", "show", "job", str(number)])
        fields = dict(re.findall(r"(\w+)=(\S*)", said))
        return Job(number, fields["JobState"], int(fields["Restarts"]), fields["ExitCode"])

    def wait_for_end(self, number: int, *, seconds: float) -> Job:
        """The job when it has ended for good."""
        wait_until(
            lambda: self.job(number).state in ENDED,
            f"end of job {number}",
            seconds=seconds,
            context=self.logs,
        )
        return self.job(number)

    def control(self, *arguments: str) -> None:
        """``scontrol``."""
        self._ask(["scontrol", *arguments])

    def signal_script(self, number: int, name: str) -> None:
        """A signal to the shell that runs the job's script and to nothing else."""
        self._ask(["scancel", "--batch", "--signal", name, str(number)])

    def cancel(self, number: int) -> None:
        """``scancel``."""
        self._ask(["scancel", str(number)])

    def processes_of_jobs(self) -> list[psutil.Process]:
        """All processes that jobs of this cluster started, however they detached themselves."""
        return [process for process in psutil.process_iter() if self._is_of_a_job(process)]

    def logs(self) -> str:
        """The daemons' last words."""
        files = [*self.folder.glob("*.log"), *self.folder.glob("*.out")]
        return "\n".join(f"{file.name}:\n{file.read_text(errors='replace')[-2000:]}" for file in files)

    def _is_of_a_job(self, process: psutil.Process) -> bool:
        is_of_this_slurm = variable_of(process, "SLURM_CONF") == self.settings["SLURM_CONF"]
        return is_of_this_slurm and variable_of(process, "SLURM_JOB_ID") != ""

    def _idle_nodes(self) -> int:
        command = ["sinfo", "--noheader", "--Node", "--format", "%t"]
        said = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)
        return said.stdout.split().count("idle")

    def _start_daemon(self, *command: str) -> None:
        """It ends with the tests even where they are killed."""
        with (self.folder / f"{len(self._daemons)}_{command[0]}.out").open("wb") as out:
            self._daemons.append(
                subprocess.Popen(
                    ["setpriv", "--pdeathsig", "TERM", *command], env=self._environment(), cwd=self.folder,
                    stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                )
            )  # fmt: skip

    def _ask(
        self, command: Sequence[str], *, folder: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> str:
        environment = {**self._environment(), **(settings or {})}
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, f"{' '.join(command)}: {ended.stderr}"
        return ended.stdout

    def _environment(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        return {**others, **self.settings, "PATH": _path()}


def wait_until(
    is_so: Callable[[], bool],
    what: str,
    *,
    seconds: float = 30.0,
    context: Callable[[], str] = lambda: "",
) -> None:
    """Returns as soon as it is so; an AssertionError with the context where it takes longer."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for: {what}\n{context()}"
        time.sleep(0.2)


def _path() -> str:
    """Debian has the daemons where only root's PATH leads."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
