"""The PostgreSQL server that facade keeps for itself in ``$FACADE_HOME/db``: made once, started when needed, left
running, so that jobs on this host reach it. The server is a plain one; nothing of facade runs inside it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from facade.errors import RegistryError
from facade.registry import binaries, launch
from facade.registry.binaries import Binaries
from facade.registry.connection import Address, connect, write_passfile
from facade.registry.launch import Launch

OWNER, DATABASE, LOOPBACK = "facade_owner", "facade", "127.0.0.1"
START_TIMEOUT = 120.0  # s; recovery of a large database after a crash takes its time
STATUS_LINE = 8  # of postmaster.pid (PostgreSQL's miscadmin.h, LOCK_FILE_LINE_PM_STATUS)
PORT_PATIENCE = 3.0  # s
LONGEST_SOCKET_FOLDER = 90  # a socket's whole path may have 107 bytes

CONFIGURATION = {
    "listen_addresses": LOOPBACK,
    "max_connections": "300",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "facade-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_min_duration_statement": "2s",
    "log_line_prefix": "%m [%p] %a ",
    "idle_in_transaction_session_timeout": "1h",  # a submission plans inside its transaction
    "tcp_keepalives_idle": "60",
    "client_connection_check_interval": "10s",
    "cluster_name": "facade",
}
ACCESS = """\
# the password is in the pgpass file beside this data folder
local  all  all                scram-sha-256
host   all  all  127.0.0.1/32  scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Status:
    """How the server does. ``launch`` says as whom it runs: plain, namespace, or an account."""

    running: bool
    url: str | None
    pid: int | None
    major: int | None
    data: Path
    launch: str | None


class Embedded:
    """The server below *home*. *account* makes root drop to that account instead of using a user namespace."""

    def __init__(self, home: Path, *, account: str | None = None) -> None:
        self.folder = home.absolute() / "db"
        self.data = self.folder / "data"
        self.passfile = self.folder / "pgpass"
        self._mark = self.folder / "made"
        self._account = account

    def start(self) -> str:
        """Make the server if there is none, start it if it does not run, and return its URL.

        Raises:
            RegistryError: no programs, no account to run them, or the server does not come up; the message says why.
        """
        if self.ready():
            return self.url()
        with self._locked():
            how = launch.choose(self.data, self._account)
            if not self._made():
                self._initialise(how)
            if self._pid() is None:
                self._launch(how)
            self._await()
            self._ensure_database()
            self._mark.touch()
            return self.url()

    def ready(self) -> bool:
        """Tell, without asking the server, whether it runs and takes connections: its own file says so."""
        if not self._mark.exists() or self._pid() is None:
            return False
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= STATUS_LINE and lines[STATUS_LINE - 1].strip() == "ready"

    def died(self) -> bool:
        """Tell whether the server was killed: one that was stopped in good order leaves no file with its number."""
        return (self.data / "postmaster.pid").exists() and self._pid() is None

    def stop(self) -> bool:
        """Stop the server (open transactions are rolled back); tell whether it ran."""
        with self._locked():
            if not self._made() or self._pid() is None:
                return False
            how = launch.choose(self.data, self._account)
            programs = self._usable(how, self._major()).folder
            if how.run([programs / "pg_ctl", "-D", self.data, "-m", "fast", "-w", "-t", "60", "stop"], self._log, 70):
                raise RegistryError(f"the server in {self.data} does not stop: {self._last_words()}")
            return True

    def status(self) -> Status:
        """Return how the server does, without changing anything."""
        if not self._made():
            return Status(False, None, None, None, self.data, None)
        pid = self._pid()
        how = launch.choose(self.data, self._account).name
        return Status(pid is not None, self.url(), pid, self._major(), self.data, how)

    def url(self) -> str:
        """Return the URL (the password is in ``passfile``).

        Raises:
            RegistryError: the server was never made.
        """
        if not self._made():
            raise RegistryError(f"no database in {self.folder}", remedy="make and start it with 'facade db start'")
        return f"postgresql://{OWNER}@{LOOPBACK}:{self._port()}/{DATABASE}"

    def address(self) -> Address:
        """Return the address that clients connect to; raises as `url` does."""
        return Address(self.url(), self.passfile)

    def binaries(self) -> Path:
        """Return the folder with the programs (psql, pg_dump …) of the version that serves this database."""
        return self._binaries().folder

    # -- making

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        with (self.folder / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _made(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    def _initialise(self, how: Launch) -> None:
        chosen = self._usable(how)
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        how.own(draft)
        if not how.reaches(draft):
            raise RegistryError(
                f"account {how.name}, which must run PostgreSQL instead of root, cannot reach {self.folder}",
                remedy="set FACADE_HOME to a folder below one that others may enter, or run facade as an ordinary user",
            )
        password = secrets.token_urlsafe(24)
        self._initdb(how, chosen, draft, password)
        self._configure(how, chosen, draft)
        write_passfile(self.passfile, [LOOPBACK, "localhost"], OWNER, password)
        draft.rename(self.data)

    def _usable(self, how: Launch, major: int | None = None) -> Binaries:
        for found in binaries.find(major):
            if how.account is None or how.reaches(found.folder / "initdb", execute=True):
                return found
        raise RegistryError(
            f"account {how.name}, which must run PostgreSQL instead of root, cannot reach PostgreSQL's programs",
            remedy="install PostgreSQL for everybody, set FACADE_PG_BINDIR, or run facade as an ordinary user",
        )

    def _initdb(self, how: Launch, chosen: Binaries, data: Path, password: str) -> None:
        secret = self.folder / ".initial-password"
        secret.unlink(missing_ok=True)
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(password)
        how.own(secret)
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"] if chosen.major >= 17 else ["--locale=C"]
        # the password is 192 random bits: hashing it 4,096 times would protect nothing and cost each job 3 ms
        cheap = ["-c", "scram_iterations=1"] if chosen.major >= 16 else []
        argv: list[str | Path] = [
            chosen.folder / "initdb",
            "-D",
            data,
            "-U",
            OWNER,
            "-E",
            "UTF8",
            *locale,
            *cheap,
            "-k",
        ]
        try:
            code = how.run([*argv, "--auth=scram-sha-256", f"--pwfile={secret}"], self._log, START_TIMEOUT)
        finally:
            secret.unlink()
        if code:
            raise RegistryError(f"initdb made no database in {self.folder}: {self._last_words()}")

    def _configure(self, how: Launch, chosen: Binaries, data: Path) -> None:
        settings = CONFIGURATION | {
            "unix_socket_directories": str(self._socket_folder(how)),
            "unix_socket_permissions": "0777" if how.account else "0700",
        }
        if chosen.major >= 16:
            settings["scram_iterations"] = "1"
        (data / "facade.conf").write_text("".join(f"{key} = '{value}'\n" for key, value in settings.items()))
        (data / "pg_hba.conf").write_text(ACCESS)
        with (data / "postgresql.conf").open("a") as file:
            file.write("include 'facade.conf'\ninclude 'port.conf'\n")
        for name in ("facade.conf", "pg_hba.conf"):
            how.own(data / name)
        _set_port(how, data)

    def _socket_folder(self, how: Launch) -> Path:
        folder = self.folder / "run"
        if len(str(folder)) > LONGEST_SOCKET_FOLDER:
            digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]
            folder = Path("/tmp") / f"facade-{os.geteuid()}-{digest}"
        folder.mkdir(mode=0o711 if how.account else 0o700, exist_ok=True)
        how.own(folder)
        return folder

    # -- running

    def _launch(self, how: Launch) -> None:
        self._clear_stale()
        if not _vacated(self._port()):
            _set_port(how, self.data)
        for left in self._socket_folder(how).glob(".s.PGSQL.*"):
            left.unlink()  # PostgreSQL believes in a dead server whose number is taken, or a zombie's
        (self.folder / "host").write_text(socket.gethostname())
        programs = self._usable(how, self._major()).folder
        argv: list[str | Path] = [programs / "pg_ctl", "-D", self.data, "-l", self.data / "start.log", "-w"]
        deadline = time.monotonic() + START_TIMEOUT
        while how.run([*argv, "-t", str(int(START_TIMEOUT)), "start"], self._log, START_TIMEOUT + 10):
            words = self._last_words()
            # after kill -9 of the postmaster its children take a moment to notice
            if "pre-existing shared memory block" not in words or time.monotonic() > deadline:
                raise RegistryError(f"the server in {self.data} does not start: {words}")
            time.sleep(0.2)

    def _clear_stale(self) -> None:
        """Mend what would keep a server from starting: a process file left by one that is gone."""
        left, host = self.data / "postmaster.pid", self.folder / "host"
        if not left.exists():
            return
        there = host.read_text() if host.exists() else ""
        if there and there != socket.gethostname():
            raise RegistryError(
                f"the server in {self.data} was started on {there}, and may still run there",
                remedy=f"stop it there with 'facade db stop', or delete {left} if that machine is gone",
            )
        left.unlink()  # _pid() saw that no server of this folder runs; another program may have its number now

    def _pid(self) -> int | None:
        """Return the process id of this folder's running server (a number in a file proves nothing)."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            os.kill(pid, 0)
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return None
        except PermissionError:  # somebody else's process, or the server's account is not ours
            pass
        command = Path(f"/proc/{pid}/cmdline")
        if not Path("/proc/self").exists():
            return pid
        return pid if command.exists() and str(self.data).encode() in command.read_bytes() else None

    def _await(self) -> None:
        argv = [str(self._binaries().folder / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self._port()), "-t", "3"]
        deadline = time.monotonic() + START_TIMEOUT
        while subprocess.run(argv, check=False, capture_output=True).returncode:
            if self._pid() is None or time.monotonic() > deadline:
                raise RegistryError(f"the server in {self.data} does not answer: {self._last_words()}")
            time.sleep(0.1)

    def _ensure_database(self) -> None:
        url = f"postgresql://{OWNER}@{LOOPBACK}:{self._port()}/postgres"
        with closing(connect(Address(url, self.passfile))) as connection, connection.cursor() as cursor:
            cursor.execute("select from pg_database where datname = %s", (DATABASE,))
            if cursor.rowcount == 0:
                cursor.execute("create database facade")

    # -- small facts

    @property
    def _log(self) -> Path:
        return self.folder / "pg_ctl.log"

    def _last_words(self) -> str:
        """Return what the programs said last, complaints before the rest."""
        logs = sorted((self.data / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)[-1:]
        told = [
            line
            for path in (self._log, self.data / "start.log", *logs)
            if path.exists()
            for line in path.read_text(errors="replace").splitlines()[-12:]
        ]
        complaints = [line for line in told if re.search(r"FATAL|PANIC|HINT|error|could not", line)]
        return "\n".join(complaints or told[-4:])

    def _major(self) -> int:
        return int((self.data / "PG_VERSION").read_text().split(".")[0])

    def _binaries(self) -> Binaries:
        return binaries.find(self._major())[0]

    def _port(self) -> int:
        return int((self.data / "port.conf").read_text().rpartition("=")[2])


def _set_port(how: Launch, data: Path) -> None:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        (data / "port.conf").write_text(f"port = {probe.getsockname()[1]}\n")
    how.own(data / "port.conf")


def _vacated(port: int) -> bool:
    """Tell whether *port* is free; children of a killed server keep it for a moment, and clients know it by now."""
    deadline = time.monotonic() + PORT_PATIENCE
    while not (free := _free(port)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return free


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
