"""Real Slurm in a temporary folder: munged, slurmctld, and a slurmd for each of two nodes on this machine.

Each node has one CPU, so a job with two tasks runs on both nodes. There are no cgroups and no accounting. Daemons and
jobs run as the current user; root is not needed.
"""

import getpass
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from lzn_testing.processes.process_info import environment_variable
from lzn_testing.processes.waiting import wait_until
from pipelines.local.prefect_server import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel", "sinfo")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# cred_expire is also the time that a requeued job waits; the default is 120 s.
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
PATIENCE_SECONDS = 300.0
"""For operations that take 20 s on two idle cores."""
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}


@dataclass(frozen=True)
class Job:
    """The state of a job."""

    number: int
    state: str
    restarts: int
    exit_code: str


def job_variables(**others: str) -> dict[str, str]:
    """Return the variables of a job: this interpreter's programs, and none of the user's settings."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"])
    own = {"PATH": path, "LZN_ENV_FILE": "", "LZN_PROCESSES": "1", "HOME": "/nonexistent"}
    return {**own, **others}


class OneNodeSlurm:
    """The cluster, with its files and logs in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def missing_programs() -> list[str]:
        """Return the programs of Debian's packages slurm-wlm and munge that are not installed."""
        return [program for program in PROGRAMS if shutil.which(program, path=_path()) is None]

    def start(self) -> None:
        """Start the daemons and wait until both nodes are idle."""
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
        """End all jobs and daemons."""
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
        """Run ``sbatch`` in a folder, with additional variables. Return the job's number."""
        command = ["sbatch", "--parsable", *options, script, *arguments]
        return int(self._run(command, folder=folder, settings=settings))

    def job(self, number: int) -> Job:
        """Return the job's current state."""
        said = self._run(["scontrol", "--oneliner", "show", "job", str(number)])
        fields = dict(re.findall(r"(\w+)=(\S*)", said))
        return Job(number, fields["JobState"], int(fields["Restarts"]), fields["ExitCode"])

    def wait_for_end(self, number: int, *, seconds: float = PATIENCE_SECONDS) -> Job:
        """Wait until the job has ended. Return its state."""
        wait_until(
            lambda: self.job(number).state in ENDED,
            f"end of job {number}",
            seconds=seconds,
            context=self.logs,
        )
        return self.job(number)

    def wait_for_requeue(self, number: int, *, restarts: int) -> None:
        """Wait until the job is queued again after its processes have ended, for restart number ``restarts``."""

        def is_queued_again() -> bool:
            job = self.job(number)
            assert job.state not in ENDED, self.logs()
            return (job.state, job.restarts) == ("PENDING", restarts)

        wait_until(
            is_queued_again,
            f"restart {restarts} of job {number}",
            seconds=PATIENCE_SECONDS,
            context=self.logs,
        )

    def control(self, *arguments: str) -> None:
        """Run ``scontrol``."""
        self._run(["scontrol", *arguments])

    def signal_script(self, number: int, name: str) -> None:
        """Send a signal to the shell that runs the job's script, and to no other process."""
        self._run(["scancel", "--batch", "--signal", name, str(number)])

    def cancel(self, number: int) -> None:
        """Run ``scancel``."""
        self._run(["scancel", str(number)])

    def processes_of_jobs(self) -> list[psutil.Process]:
        """Return all processes that jobs of this cluster started, also detached ones."""
        return [process for process in psutil.process_iter() if self._is_of_a_job(process)]

    def logs(self) -> str:
        """Return the ends of the daemons' logs."""
        files = [*self.folder.glob("*.log"), *self.folder.glob("*.out")]
        return "\n".join(f"{file.name}:\n{file.read_text(errors='replace')[-2000:]}" for file in files)

    def _is_of_a_job(self, process: psutil.Process) -> bool:
        is_of_this_slurm = environment_variable(process, "SLURM_CONF") == self.settings["SLURM_CONF"]
        return is_of_this_slurm and environment_variable(process, "SLURM_JOB_ID") != ""

    def _idle_nodes(self) -> int:
        command = ["sinfo", "--noheader", "--Node", "--format", "%t"]
        said = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)
        return said.stdout.split().count("idle")

    def _start_daemon(self, *command: str) -> None:
        """Start a daemon that ends with this process, even if this process is killed."""
        with (self.folder / f"{len(self._daemons)}_{command[0]}.out").open("wb") as out:
            self._daemons.append(
                subprocess.Popen(
                    ["setpriv", "--pdeathsig", "TERM", *command], env=self._environment(), cwd=self.folder,
                    stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                )
            )  # fmt: skip

    def _run(
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


def _path() -> str:
    """Return the PATH with /usr/sbin and /sbin, where Debian installs the daemons."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
