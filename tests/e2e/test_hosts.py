"""A pool of two execute hosts without a shared file system: the demo campaign, and one of the hosts dies on the way."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from condor_hosts import ADDRESS, Hosts
from e2e.test_archives import CAMPAIGN as SMALL
from e2e.test_archives import SEED
from e2e.world import BIN, CAMPAIGN, World

TESTS = Path(__file__).parents[1]
ARCHIVE, DATABASE = 8080, 6543
"""Ports on the submit host."""
SITE = f"""
engine = htcondor
shared_filesystem = False
<archive>
    <home>
        root = http://{ADDRESS}:{ARCHIVE}/archive
    </home>
</archive>
"""
PASSWORDS = f"""
database = postgresql://USER:PASSWORD@{ADDRESS}:{DATABASE}/facade
send_credentials = True
engine = htcondor
shared_filesystem = False
home_archive = safe
<archive>
    <safe>
        root = s3://survey/files
        endpoint = http://{ADDRESS}:{ARCHIVE}
        credentials = aws
    </safe>
</archive>
"""


@contextlib.contextmanager
def running(hosts: Hosts, port: int, *words: object) -> Iterator[subprocess.Popen[str]]:
    """Run a server on the submit host as long as the context lasts."""
    argv = (*hosts.enter, sys.executable, *map(str, words))
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        knock = f"import socket; socket.create_connection(('{ADDRESS}', {port}), timeout=1)"
        deadline = time.monotonic() + 30
        while subprocess.run([*hosts.enter, sys.executable, "-c", knock], capture_output=True).returncode:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def world(condor_hosts: Hosts) -> Iterator[World]:
    """A home on the submit host, with nothing in it."""
    home = Path(tempfile.mkdtemp(prefix="facade-hosts-home."))
    path = World(home).env()["PATH"] + ":" + condor_hosts.env["PATH"]
    made = World(home, {"CONDOR_CONFIG": condor_hosts.env["CONDOR_CONFIG"], "PATH": path}, condor_hosts.enter)
    try:
        yield made
    finally:
        (home / "site.wcl").write_text("")
        made.facade("db", "stop")
        shutil.rmtree(home)


@contextlib.contextmanager
def webdav(hosts: Hosts, world: World) -> Iterator[None]:
    """Serve an archive from the submit host."""
    (world.home / "served/archive").mkdir(parents=True)
    settings = {
        "host": ADDRESS,
        "provider_mapping": {"/": str(world.home / "served")},
        "simple_dc": {"user_mapping": {"*": True}},
        "server": "cheroot",
        "server_args": {"numthreads": 20},
        "verbose": 0,
        "logging": {"enable": False},
    }
    (world.home / "wsgidav.json").write_text(json.dumps(settings))
    words = ["-m", "wsgidav.server.server_cli", "--config", world.home / "wsgidav.json", "--port", ARCHIVE]
    with running(hosts, ARCHIVE, *words):
        yield


def test_a_host_dies_and_nobody_needs_to_do_anything(condor_hosts: Hosts, world: World) -> None:
    """Jobs cannot reach the database, which listens on the submit host's own address for itself."""
    (world.home / "site.wcl").write_text(SITE)
    with webdav(condor_hosts, world):
        world.simulate()
        world.ingest()
        world.facade("submit", CAMPAIGN, "--set", f"job_environment.path={slow_on(condor_hosts, 'e1')}")
        name = world.latest()["name"]
        deadline = time.monotonic() + 240
        while not stuck(report := world.json("stat", name)):
            assert time.monotonic() < deadline, report
            time.sleep(0.5)
        condor_hosts.kill("e1")
        while (report := world.json("stat", name))["carried_out_by"]:
            assert time.monotonic() < deadline, report
            time.sleep(3)  # whoever looks takes time from the jobs
    assert (report["attempt"]["state"], report["quanta"]) == ("succeeded", {"succeeded": 89})
    told = {row["exec_host"] for row in world.rows("select exec_host from task t join pfw_exec x on x.task_id = t.id")}
    assert told == {"e1", "e2"}
    again = world.rows("select exec_host, run from pfw_job j join task t on t.id = j.task_id where run > 1")
    assert again and {row["exec_host"] for row in again} == {"e2"}
    archive = world.home / "served/archive"
    check_archive(world, archive)
    assert not [path for path in archive.rglob("*") if ".part-" in path.name]


def slow_on(hosts: Hosts, name: str) -> str:
    """Return a path of programs on which one of them never ends on a host: nobody else sees that folder."""
    folder = hosts.pools[name].directory / "slow"
    folder.mkdir()
    (folder / "makeCoaddTempExp").write_text("#!/bin/sh\nexec sleep 600\n")
    (folder / "makeCoaddTempExp").chmod(0o755)
    return f"{folder}:{BIN}:/usr/bin:/bin"


def stuck(report: Mapping[str, Any]) -> bool:
    """Tell whether that program runs on e1."""
    return any(job["host"] == "e1" and job["module"] == "make_coadd_temp_exp" for job in report["running"])


def check_archive(world: World, archive: Path) -> None:
    """See that the archive has every file that is registered, as it was registered, and no other."""
    rows = world.rows(
        "select l.path, d.filename || d.compression as name, d.checksum from desfile d"
        " join file_location l on l.desfile_id = d.id"
    )
    wanted = {f"{row['path']}/{row['name']}": row["checksum"] for row in rows}
    paths = [path for path in archive.rglob("*") if path.is_file()]
    files = {str(path.relative_to(archive)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    assert files == wanted


@pytest.mark.parametrize("ends", ["network", "schedd"])
def test_jobs_outlive_a_way_home_that_comes_back(condor_hosts: Hosts, world: World, ends: str) -> None:
    """Their programs end while nobody listens; what they made is stored once somebody does, and nothing runs twice."""
    (world.home / "site.wcl").write_text(SITE)
    (world.home / "campaign.wcl").write_text(SMALL.replace("c = 'head", "c = 'sleep 9; head"))
    (world.home / "seed.dat").write_bytes(SEED)
    with webdav(condor_hosts, world):
        world.facade("ingest", "--filetype", "seed", "--definitions", "campaign.wcl", world.home / "seed.dat")
        world.facade("submit", "campaign.wcl")
        name = world.latest()["name"]
        deadline = time.monotonic() + 240
        while not [job for job in world.json("stat", name)["running"] if job["step"] == "running"]:
            assert time.monotonic() < deadline
        if ends == "network":
            condor_hosts.cut("e1")
            condor_hosts.cut("e2")
            time.sleep(13)  # less than the lease
            condor_hosts.mend("e1")
            condor_hosts.mend("e2")
        else:
            condor_hosts.kill_schedd()
        while (report := world.json("stat", name))["quanta"] != {"succeeded": 4} or report["carried_out_by"]:
            assert time.monotonic() < deadline and not report["quanta"].get("failed"), world.facade("stat", name).stdout
            time.sleep(2)
        check_archive(world, world.home / "served/archive")
    runs = world.rows("select run, count(*) as jobs from pfw_job j join task t on t.id = j.task_id group by 1")
    assert runs == [{"run": 1, "jobs": 4}]


def test_jobs_report_to_the_database_with_passwords_that_go_along(condor_hosts: Hosts, world: World) -> None:
    """Database and archive want passwords, which lie in files on the submit host alone."""
    world.facade("db", "start")
    own = world.facade("db", "url").stdout.strip()
    user, port = str(urlsplit(own).username), str(urlsplit(own).port)
    (passfile,) = world.home.rglob("*pgpass")
    password = passfile.read_text().splitlines()[0].split(":")[-1]
    aws = world.home / "aws"
    aws.write_text("[default]\naws_access_key_id = someone\naws_secret_access_key = sesame\n")
    aws.chmod(0o600)
    (world.home / "site.wcl").write_text(PASSWORDS.replace("USER", user).replace("PASSWORD", password))
    (world.home / "campaign.wcl").write_text(SMALL)
    (world.home / "seed.dat").write_bytes(SEED)
    relay = (TESTS / "relay.py", ADDRESS, DATABASE, "127.0.0.1", port)
    with (
        running(condor_hosts, ARCHIVE, "-m", "moto.server", "-H", ADDRESS, "-p", ARCHIVE),
        running(condor_hosts, DATABASE, *relay) as passing,
    ):
        bucket = f"urlopen(Request('http://{ADDRESS}:{ARCHIVE}/survey', method='PUT'))"
        make = f"from urllib.request import Request, urlopen; {bucket}"
        subprocess.run([*condor_hosts.enter, sys.executable, "-c", make], check=True)
        world.facade("ingest", "--filetype", "seed", "--definitions", "campaign.wcl", world.home / "seed.dat")
        world.facade("submit", "campaign.wcl", "--wait")
        latest = world.latest()
        passing.kill()
        assert passing.stdout is not None
        clients = set(passing.stdout.read().split())
    assert (latest["state"], latest["quanta"]) == ("succeeded", {"succeeded": 4})
    assert clients & {condor_hosts.address("e1"), condor_hosts.address("e2")}, "jobs reported themselves"
    texts = [path.read_bytes() for path in (world.home / "runs").rglob("*") if path.is_file()]
    history = subprocess.run(
        [*condor_hosts.enter, "condor_history", "-long"], env=world.env(), capture_output=True, check=True
    )
    assert len(texts) > 10 and b"facade_job" in history.stdout
    for text in (*texts, history.stdout):
        assert password.encode() not in text and b"sesame" not in text
