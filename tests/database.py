"""Fixtures with a real PostgreSQL: ``postgres`` (one embedded server for the session), ``database`` (the address of a
fresh, empty database), ``registry`` (a fresh one with all tables). Load with ``pytest_plugins = ["database"]``."""

from __future__ import annotations

import datetime
import hashlib
import itertools
import os
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from facade.registry.connection import Address, connect
from facade.registry.embedded import Embedded
from facade.registry.face import Registry
from facade.registry.schema import upgrade
from facade.registry.values import FileType, Ids, NewFile

_numbers = itertools.count(1)


def sibling(address: Address, name: str) -> Address:
    """Return the address of the database called *name* on the same server."""
    return Address(address.url.rpartition("/")[0] + f"/{name}", address.passfile)


def make_database(server: Embedded, template: str = "template1") -> Address:
    """Make a database of its own for one test."""
    name = f"test{os.getpid()}_{next(_numbers)}"
    with closing(connect(sibling(server.address(), "postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute(f"create database {name} template {template}")
    return sibling(server.address(), name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Embedded]:
    """An embedded server in a home of its own, started by the project's own code and gone at the end."""
    with tempfile.TemporaryDirectory(prefix="facade-test-") as home:
        server = Embedded(Path(home))
        server.start()
        yield server
        quit_at_once(server)


def quit_at_once(server: Embedded, how: int = signal.SIGQUIT) -> None:
    """End the server without the checkpoint that an orderly stop waits for; return when it is gone."""
    pid = server.status().pid
    if pid is not None:
        os.kill(pid, how)
    while server.status().running:
        time.sleep(0.02)


@pytest.fixture(scope="session")
def template(postgres: Embedded) -> str:
    """The name of a database with all tables and no rows, to copy."""
    address = make_database(postgres)
    upgrade(address)
    return address.url.rpartition("/")[2]


@pytest.fixture
def database(postgres: Embedded) -> Address:
    """The address of a fresh database without tables."""
    return make_database(postgres)


@pytest.fixture
def registry(postgres: Embedded, template: str) -> Iterator[Registry]:
    """A registry in a fresh database."""
    with Registry.open(make_database(postgres, template)) as opened:
        yield opened


def checksum(text: str) -> str:
    """A checksum for made-up content."""
    return hashlib.sha256(text.encode()).hexdigest()


IDENTITY = {"project": "MMG", "campaign": "hsctest", "reqnum": 11, "unitname": "Ht0", "pipeline": "hsc"}


def submit(registry: Registry, *, quanta: int = 2, jobs: int = 1, attnum: int | None = None) -> Ids:
    """Register a made-up attempt of one block: *quanta* of module ``detect``, dealt out to *jobs*."""
    with registry.submission(IDENTITY, uuid.uuid4(), "operator", attnum) as opened:
        return opened.register(
            plan_id=f"plan {opened.name}",
            plan_body=b'{"plan": 1}',
            run_dir=f"/runs/{opened.name}",
            engine="local",
            archive_path=f"MMG/hsctest/r11/Ht0/p{opened.attnum:02d}",
            blocks=[{"name": "coadd", "modules": ["detect"]}],
            jobs=[{"jobnum": n, "block": 0, "keys": {"patch": "8,6"}, "quanta": 1} for n in range(1, jobs + 1)],
            quanta=[
                {
                    "wrapnum": n,
                    "module": "detect",
                    "wrapper": "generic",
                    "jobnum": (n - 1) % jobs + 1,
                    "keys": {"ccd": n},
                }
                for n in range(1, quanta + 1)
            ],
            queries=[
                {
                    "modname": "detect",
                    "dataname": "raw",
                    "program": "generic",
                    "version": "1",
                    "arguments": "-v",
                    "row_count": 2,
                }
            ],
        )


class Receipt:
    """Makes the lines of one job run, numbered and timed one second apart."""

    def __init__(self, ids: Ids, jobnum: int = 1, run: int = 1) -> None:
        self.ids, self.jobnum, self.run = ids, jobnum, run
        self.id = str(uuid.uuid4())
        self.lines: list[dict[str, Any]] = []

    def add(self, kind: str, **more: Any) -> Receipt:
        """Append one line."""
        seq = len(self.lines) + 1
        start = datetime.datetime(2026, 11, 20, 15 + self.run, tzinfo=datetime.UTC)
        at = (start + datetime.timedelta(seconds=seq)).isoformat()
        self.lines.append({"seq": seq, "at": at, "kind": kind, **more})
        return self

    def started(self) -> Receipt:
        """The first line."""
        task = self.ids.jobs[self.jobnum]
        more = {"host": "node1", "pid": 7, "batch_id": "12.0", "slot": "slot1_1"}
        return self.add("job-started", receipt=self.id, attempt_id=self.ids.attempt_id, job=task, run=self.run, **more)

    def quantum(self, wrapnum: int, *, content: str = "", used: Sequence[str] = (), suffix: str = "") -> Receipt:
        """The lines of a quantum that makes ``calexp-<wrapnum>.fits`` and a log."""
        task, output, log = self.ids.quanta[wrapnum], f"calexp-{wrapnum}{suffix}.fits", f"detect-{wrapnum}{suffix}.log"
        self.add("quantum-state", quantum=task, state="staging").add("quantum-state", quantum=task, state="running")
        self.executed(task, used)
        self.add("quantum-state", quantum=task, state="saving")
        made = [described(output, "calexp", content or output, 1, {"ccd": wrapnum, "visit": 900 + wrapnum}, "image")]
        made.append(described(log, "log", f"{log}{self.run}{content}", None, {}, ""))
        self.add("outputs", quantum=task, files=made, derived=[[[output, ""], [name, ""]] for name in used])
        stored = [[output, "", "MMG/red"], [log, "", "MMG/log"]]
        self.add("stored", quantum=task, archive="home", files=stored)
        return self.add("quantum-ended", quantum=task, state="succeeded", failure=None)

    def executed(self, task: int, used: Sequence[str], code: int = 0) -> Receipt:
        """An exec line."""
        usage = {"utime": 1.5, "stime": 0.1, "maxrss": 2048, "inblock": 0, "oublock": 8}
        return self.add(
            "exec",
            quantum=task,
            execnum=1,
            name="detect",
            argv=["detect", "-o", "x"],
            version="1.0",
            start="2026-11-20T15:20:00+00:00",
            end="2026-11-20T15:20:10+00:00",
            exit_code=code,
            signal=0,
            used=[[name, ""] for name in used],
            **usage,
        )

    def failed(self, wrapnum: int, message: str = "exit code 3") -> Receipt:
        """The lines of a quantum whose program fails."""
        task = self.ids.quanta[wrapnum]
        self.add("quantum-state", quantum=task, state="staging").add("quantum-state", quantum=task, state="running")
        self.executed(task, (), 3)
        failure = {
            "class": "exec-failed",
            "step": "exec",
            "message": message,
            "exit_code": 3,
            "signal": 0,
            "tail": "oh\0no",
        }
        return self.add("quantum-ended", quantum=task, state="failed", failure=failure)

    def ended(self, state: str = "succeeded") -> Receipt:
        """The last line."""
        failure = None if state == "succeeded" else {"class": "exec-failed", "message": "1 quantum failed"}
        return self.add("job-ended", state=state, failure=failure)


def described(
    name: str, filetype: str, content: str, execnum: int | None, metadata: dict[str, Any], table: str
) -> dict[str, Any]:
    """A file as an outputs line has it."""
    size, digest = len(content), checksum(content)
    head = {"filename": name, "compression": "", "filetype": filetype, "size": size, "checksum": digest}
    return head | {"execnum": execnum, "metadata": metadata, "metadata_table": table}


FILETYPES: dict[str, FileType] = {
    "raw": {"metadata_table": "image", "columns": {"visit": {"type": "int"}, "ccd": {"type": "int"}}},
    "calexp": {
        "metadata_table": "image",
        "columns": {"visit": {"type": "int"}, "ccd": {"type": "int"}, "seeing": {"type": "float"}},
    },
}


def lineage(registry: Registry, name: str, question: str = "lineage-up") -> list[dict[str, Any]]:
    """Return what a file was made from (or, by lineage-down, became), itself first."""
    return registry.run_named(question, {"file": name}).dicts()


def raw(name: str, content: str = "", **metadata: Any) -> NewFile:
    """A raw file to ingest."""
    return {
        "filename": name,
        "compression": "",
        "filetype": "raw",
        "size": 5,
        "checksum": checksum(content or name),
        "metadata": metadata,
        "path": "raw/2013",
        "archive": "home",
    }
