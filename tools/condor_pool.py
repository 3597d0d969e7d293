"""A personal HTCondor pool in one directory, run from a prefix by whoever asks for it.

HTCondor runs no job of root's. For root, therefore, the pool lives in a user namespace in which root's own uid is
called "daemon": root submits, and jobs read and write root's files. Where the kernel refuses that (Docker with its
default seccomp profile) the pool runs as the real user daemon, with root's right to read and write every file.
"""

import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from debian import ToolError

TEMPLATE = Path(__file__).with_name("pool.conf")
PRIVATE = ("passwords.d", "tokens.d")
PARTS = ("run", "log", "lock", "spool", "execute", *PRIVATE)
START_SECONDS = 90
STOP_SECONDS = 15


@dataclass(frozen=True)
class Identity:
    """As whom the daemons run: how to become it, and the name they then see themselves by."""

    become: tuple[str, ...]
    name: str
    is_another: bool = False


def identity(uid: int | None = None) -> Identity:
    """The invoking user (or *uid*), or what stands in for a user that HTCondor does not accept."""
    uid = os.geteuid() if uid is None else uid
    daemon = pwd.getpwnam("daemon")
    if uid != 0:
        with suppress(KeyError):
            return Identity((), pwd.getpwuid(uid).pw_name)
    namespace = ("unshare", "--user", f"--map-user={daemon.pw_uid}", f"--map-group={daemon.pw_gid}", "--")
    if subprocess.run([*namespace, "true"], capture_output=True).returncode == 0:
        return Identity(namespace, "daemon")
    if uid == 0:
        rights = "+dac_override,+fowner"
        become = ("setpriv", f"--reuid={daemon.pw_uid}", f"--regid={daemon.pw_gid}", "--init-groups")
        # without the bit, access(2) denies what open(2) grants
        keep = (f"--inh-caps={rights}", f"--ambient-caps={rights}", "--securebits=+no_setuid_fixup")
        return Identity((*become, *keep, "--"), "daemon", is_another=True)
    raise ToolError("this uid has no name, and the kernel gives it no user namespace: HTCondor cannot run as it")


def client_environment(prefix: Path, config: Path) -> dict[str, str]:
    """The environment for programs that talk to the pool, and to no other that the user may have set."""
    env = {key: value for key, value in os.environ.items() if not key.upper().startswith("_CONDOR_")}
    path = f"{prefix / 'bin'}:{prefix / 'sbin'}:{env.get('PATH', os.defpath)}"
    return {**env, "CONDOR_CONFIG": str(config), "PATH": path}


def parent_of(entry: Path) -> int:
    """The parent's id of a process in /proc; 0 if it has just ended, reaped or not."""
    with suppress(OSError):
        state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        if state != "Z":
            return int(parent)
    return 0


class Pool:
    """The pool of one directory."""

    def __init__(self, directory: Path, prefix: Path) -> None:
        self.directory = directory.resolve()
        self.prefix = prefix
        self.config = self.directory / "condor_config"
        self.pidfile = self.directory / "run/master.pid"

    @property
    def env(self) -> dict[str, str]:
        """What a client of this pool wants in its environment."""
        return client_environment(self.prefix, self.config)

    def master(self) -> int | None:
        """The process id of the running master."""
        with suppress(OSError, ValueError):
            pid = int(self.pidfile.read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if os.fsencode(self.pidfile) in words:
                return pid
        return None

    def processes(self) -> list[int]:
        """The pool's daemons and their jobs: what the master began, and what tells by its environment."""
        parents = {int(entry.name): parent_of(entry) for entry in Path("/proc").glob("[0-9]*")}
        found = {pid for pid in (self.master(),) if pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found | {pid for pid in parents if self.is_marked(pid)})

    def is_marked(self, pid: int) -> bool:
        """Whether a process is a daemon or a job of this pool by its command line or, if readable, environment."""
        entry = Path(f"/proc/{pid}")
        marks: list[bytes] = []
        with suppress(OSError):
            is_daemon = (entry / "comm").read_text().startswith("condor_")
            marks += (entry / "cmdline").read_bytes().split(b"\0")
            marks += (entry / "environ").read_bytes().split(b"\0")
        if any(mark.startswith(b"_CONDOR_SCRATCH_DIR=" + bytes(self.directory) + b"/") for mark in marks):
            return True
        ours = {f"CONDOR_CONFIG={self.config}".encode(), bytes(self.directory / "run/procd_pipe")}
        return bool(ours & set(marks)) and is_daemon

    def start(self, cpus: int, settings: list[str]) -> None:
        """Start the daemons and wait until a slot is ready."""
        if self.master():
            raise ToolError(f"a pool is already running in {self.directory}")
        self.kill_leftovers()
        who = identity()
        self.write(who, cpus, settings)
        master = str(self.prefix / "sbin/condor_master")
        with (self.directory / "log/master.out").open("wb") as output:
            process = subprocess.Popen(
                [*who.become, master, "-pidfile", str(self.pidfile), "-f"],
                cwd=self.directory,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.wait_until_ready(process)
        except BaseException:
            self.stop()
            raise

    def write(self, who: Identity, cpus: int, settings: list[str]) -> None:
        """Lay out the directory and write its configuration."""
        for name in PARTS:
            (self.directory / name).mkdir(parents=True, exist_ok=True)
            if who.is_another:  # an EXECUTE that is not theirs counts as a full disk
                shutil.chown(self.directory / name, who.name)
        for name in PRIVATE:
            (self.directory / name).chmod(0o700)
        lines = [
            f"RELEASE_DIR = {self.prefix}",
            f"LOCAL_DIR = {self.directory}",
            f"POOL_USER = {who.name}",
            f"NUM_CPUS = {cpus}",
            TEMPLATE.read_text(),
            *settings,
        ]
        if who.become:  # else the tools refuse to be run by root
            lines.append("CONDOR_IDS = 0.0")
        version = json.loads((self.prefix / "manifest.json").read_text())["condor"]
        if int(version.split(".")[0]) < 25:  # daemons that do not know what newer bindings insist on
            lines.append("SEC_FS_ENFORCE_CHANNEL_BINDING = False")
        self.config.write_text("\n".join(lines) + "\n")
        for stale in (self.pidfile, *self.directory.glob("log/.*_address*"), *self.directory.glob("spool/.*_address*")):
            stale.unlink(missing_ok=True)

    def wait_until_ready(self, master: subprocess.Popen[bytes]) -> None:
        """Return when the collector knows a slot and a schedd."""
        query = [str(self.prefix / "bin/condor_status"), "-any", "-af", "MyType"]
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            asked = subprocess.run(query, env=self.env, capture_output=True, text=True)
            if {"Machine", "Scheduler"} <= set(asked.stdout.split()):
                return
            if master.poll() is not None:
                raise ToolError(f"the condor_master ended at once\n{self.last_words()}")
            time.sleep(0.1)
        raise ToolError(f"no slot was ready after {START_SECONDS} s\n{self.last_words()}")

    def last_words(self) -> str:
        """The ends of the logs that tell why a pool does not start."""
        logs = [self.directory / "log" / name for name in ("master.out", "MasterLog", "StartLog")]
        return "\n".join("\n".join(log.read_text(errors="replace").splitlines()[-5:]) for log in logs if log.exists())

    def stop(self) -> None:
        """End the pool with its jobs; what was queued stays in the directory."""
        master = self.master()
        if master:
            os.kill(master, signal.SIGQUIT)
            deadline = time.monotonic() + STOP_SECONDS
            while self.processes() and time.monotonic() < deadline:
                time.sleep(0.1)
        self.kill_leftovers()
        if master:
            with suppress(ChildProcessError):  # it is our child only if this very process started it
                os.waitpid(master, 0)

    def kill_leftovers(self) -> None:
        """Kill what a pool left that hung, or was killed itself."""
        for _ in range(20):
            leftovers = self.processes()
            for pid in leftovers:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not leftovers:
                return
            time.sleep(0.1)
        raise ToolError(f"processes of the pool cannot be killed: {self.processes()}")

    def guard(self, owner: int) -> None:
        """Wait, then stop the pool if the owning process ended before the pool did."""
        master = self.master()
        with suppress(ProcessLookupError):
            watched = [os.pidfd_open(pid) for pid in (owner, master) if pid]
            select.select(watched, [], [])
        self.stop()

    def start_guard(self, owner: int) -> None:
        """Leave a process behind that stops the pool when `owner` ends, however it ends."""
        subprocess.Popen(
            [sys.executable, str(TEMPLATE.with_name("condor.py")), "guard", self.directory, str(owner)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
