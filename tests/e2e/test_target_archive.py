"""Whole campaigns with an archive on the cluster's disk: what is read and stored there, and when it comes home."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from archive_servers import WebServer
from e2e import late
from e2e.test_archives import CAMPAIGN, SEED
from e2e.world import World, temporary_world
from faultproxy import FaultProxy, proxied
from pool import CondorPool

STORES = {"use_target_archive_output": "job"}
READS = {"use_target_archive_input": "job"}
OUTPUTS = 9
"""Three halves, a list, a sum, four logs."""


def set_to(said: Mapping[str, str]) -> list[str]:
    return [word for key, value in said.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def site() -> Iterator[World]:
    """A home with the campaign and its own database; each test gives it other archives."""
    with temporary_world({"campaign.wcl": CAMPAIGN.encode(), "seed.dat": SEED}) as world:
        yield world


class Pair:
    """Two archives of a world, the seed registered at home; *home* and *near* are roots of those that are no folders,
    and where their files lie."""

    def __init__(
        self, world: World, home: tuple[str, Path] | None = None, near: tuple[str, Path] | None = None, **options: str
    ) -> None:
        self.world, mark = world, uuid.uuid4().hex[:6]
        self.home, self.cluster = f"home{mark}", f"cluster{mark}"
        self.folders = {self.home: world.home / self.home, self.cluster: world.home / self.cluster}
        given = {name: one for name, one in ((self.home, home), (self.cluster, near)) if one is not None}
        self.folders |= {name: folder for name, (_, folder) in given.items()}
        for folder in self.folders.values():
            folder.mkdir(exist_ok=True)
        roots: dict[str, object] = {**self.folders, **{name: root for name, (root, _) in given.items()}}
        lines = "".join(f"{key} = {value}\n" for key, value in options.items())
        sections = "".join(f"<{name}>\nroot = {root}\n{lines}</{name}>\n" for name, root in roots.items())
        (world.home / "site.wcl").write_text(
            f"home_archive = {self.home}\ntarget_archive = {self.cluster}\nworkers = 2\n"
            f"<archive>\n{sections}</archive>\n"
        )
        world.facade("ingest", "--filetype", "seed", "--definitions", "campaign.wcl", world.home / "seed.dat")

    def submit(self, said: Mapping[str, str], *words: str, code: int = 0) -> str:
        """Run the campaign, whatever was made before; return what was printed."""
        options = set_to(said)
        reuse = [] if "--reuse" in words else ["--reuse", "none"]
        return self.world.facade("submit", "campaign.wcl", "--wait", *reuse, *options, *words, code=code).stderr

    def made(self, *, killed: bool = False) -> dict[str, set[str]]:
        """Return archive -> the files of the newest attempt that the registry has there; each is there, and whole."""
        rows = self.world.rows(
            "select l.archive_name, l.path, d.filename, d.compression, d.checksum from desfile d"
            f" join file_location l on l.desfile_id = d.id where d.pfw_attempt_id = {self.world.newest()}"
        )
        found: dict[str, set[str]] = {self.home: set(), self.cluster: set()}
        for row in rows:
            file = self.folders[row["archive_name"]] / row["path"] / f"{row['filename']}{row['compression']}"
            assert hashlib.sha256(file.read_bytes()).hexdigest() == row["checksum"], file
            found[row["archive_name"]].add(file.name)
        for name, folder in self.folders.items():
            # what a transfer that was killed left without a name is swept by whoever keeps the archive
            attempt = f"r3/p{self.world.latest()['attnum']:02}/"
            lying = {file.name for file in folder.rglob("*") if file.is_file() and attempt in str(file)}
            lying = {name for name in lying if not (killed and ".part-" in name)}
            assert lying == found[name], f"what lies in {name} is what the registry has there, and nothing else"
        return found

    def stored(self) -> set[str]:
        """Return the archives in which jobs of the newest attempt stored files, by their receipts."""
        receipts = Path(self.world.latest()["run_dir"]).rglob("*.receipt.*.jsonl")
        lines = [json.loads(line) for path in receipts for line in path.read_text().splitlines()]
        return {line["archive"] for line in lines if line["kind"] == "stored"}


def test_outputs_come_home_when_the_attempt_is_done(site: World) -> None:
    pair = Pair(site)
    pair.submit({**STORES, "use_home_archive_output": "run"})
    found = pair.made()
    assert len(found[pair.cluster]) == OUTPUTS and found[pair.home] == found[pair.cluster]
    assert pair.stored() == {pair.cluster}
    assert site.latest()["state"] == "succeeded"
    assert not list(Path(site.latest()["run_dir"]).glob("homing"))


@pytest.mark.parametrize("said", ["wrapper", "job"])
def test_jobs_store_in_both(site: World, said: str) -> None:
    pair = Pair(site)
    pair.submit({**STORES, "use_home_archive_output": said})
    found = pair.made()
    assert len(found[pair.home]) == OUTPUTS and found[pair.home] == found[pair.cluster]
    assert pair.stored() == {pair.home, pair.cluster}


def test_without_a_word_the_target_archive_is_not_used(site: World) -> None:
    pair = Pair(site)
    pair.submit({})
    found = pair.made()
    assert len(found[pair.home]) == OUTPUTS and not found[pair.cluster]


def test_outputs_that_stay_are_read_and_reused_from_there(site: World) -> None:
    pair = Pair(site)
    pair.submit({**STORES, "use_home_archive_output": "never"})
    found = pair.made()
    assert len(found[pair.cluster]) == OUTPUTS and not found[pair.home]
    before, stays = site.newest(), {**STORES, "use_home_archive_output": "never"}
    assert "nothing to do" in pair.submit(stays, "--reuse", "unit") and site.newest() == before
    # a sum of the same halves: they are taken from the cluster's disk, and come home with what is made of them
    shown = pair.submit({**STORES, "use_home_archive_output": "run"}, "--reuse", "unit", "--rerun", "sum")
    assert site.latest()["quanta"] == {"succeeded": 1}, shown
    halves = site.rows(
        f"select filename from desfile d join file_location l on l.desfile_id = d.id where filetype = 'half'"
        f" and archive_name = '{pair.home}'"
    )
    assert len(halves) == 3


def test_outputs_in_the_target_archive_are_not_reused_by_who_does_not_read_it(site: World) -> None:
    pair = Pair(site)
    pair.submit({**STORES, "use_home_archive_output": "never"})
    pair.submit({}, "--reuse", "attempt")
    assert len(pair.made()[pair.home]) == OUTPUTS


def test_what_is_not_saved_does_not_travel(site: World) -> None:
    pair = Pair(site)
    text = CAMPAIGN.replace("filetype = sum\n", "filetype = sum\n            savefiles = False\n")
    (site.home / "other.wcl").write_text(text)
    said = ["--set", "use_target_archive_output=job", "--set", "use_home_archive_output=run"]
    site.facade("submit", "other.wcl", "--wait", "--reuse", "none", *said)
    found = pair.made()
    assert len(found[pair.home]) == OUTPUTS - 1 and found[pair.home] == found[pair.cluster]


def test_outputs_come_home_when_their_block_is_done(site: World) -> None:
    pair = Pair(site)
    text = CAMPAIGN.replace("c = 'cat $(cat", f"c = 'test -e {site.home}/go && cat $(cat")
    (site.home / "gate.wcl").write_text(text)
    options = ["--set", "use_target_archive_output=job", "--set", "use_home_archive_output=block"]
    site.facade("submit", "gate.wcl", "--wait", "--reuse", "none", *options, code=1)
    found = pair.made()
    assert {name.split("-")[0] for name in found[pair.home] if name.endswith(".dat")} == {"half"}
    assert len(found[pair.home]) == 6, "three halves and their logs"
    (site.home / "go").touch()
    site.facade("resume", site.latest()["name"], "--wait")
    found = pair.made()
    assert found[pair.home] == found[pair.cluster] and site.latest()["state"] == "succeeded"


class TestInputs:
    def test_that_must_lie_there_are_told_if_they_do_not(self, site: World) -> None:
        pair, before = Pair(site), site.newest()
        told = pair.submit({**STORES, **READS, "use_home_archive_input": "never"}, code=3)
        assert "seed.dat" in told and pair.cluster in told and "use_home_archive_input = target_archive" in told
        assert site.newest() == before

    def test_are_brought_there_before_jobs_start(self, site: World) -> None:
        pair = Pair(site)
        pair.submit({**STORES, **READS, "use_home_archive_input": "target_archive"})
        assert (pair.folders[pair.cluster] / "seed/seed.dat").read_bytes() == SEED
        # now that it lies there, it need not lie at home
        (pair.folders[pair.home] / "seed/seed.dat").unlink()
        pair.submit({**STORES, **READS, "use_home_archive_input": "never", "use_home_archive_output": "never"})
        assert site.latest()["state"] == "succeeded"

    def test_are_taken_from_where_they_lie(self, site: World) -> None:
        pair = Pair(site)
        pair.submit({**READS})
        assert len(pair.made()[pair.home]) == OUTPUTS

    def test_of_all_quanta_of_a_job_are_fetched_when_it_starts(self, site: World) -> None:
        pair = Pair(site)
        (site.home / "job.wcl").write_text(CAMPAIGN.replace("        divide_jobs_by = n\n", ""))
        said = ["--set", "use_home_archive_input=all"]
        site.facade("submit", "job.wcl", "--wait", "--reuse", "none", *said)
        assert len(pair.made()[pair.home]) == OUTPUTS
        assert not (pair.folders[pair.cluster] / "seed").exists()


def test_what_cannot_come_home_is_told_and_a_resume_brings_it(site: World) -> None:
    pair, number = Pair(site), site.latest()["attnum"] + 1
    other = pair.folders[pair.home] / f"AWAY/r3/p{number:02}/out/sum-p{number:02}.txt"
    other.parent.mkdir(parents=True)
    other.write_text("not what the jobs have made\n")
    told = pair.submit({**STORES, "use_home_archive_output": "run"}, code=1)
    found = site.latest()
    assert found["state"] == "failed" and found["quanta"] == {"succeeded": 4}
    assert f"not all files came home: 1 could not be copied from archive '{pair.cluster}'" in told
    shown = site.json("stat", found["name"])
    assert "exists with other content" in " ".join(shown["advice"]), shown["advice"]
    assert shown["blocks"] == {"one": "succeeded", "two": "succeeded"}
    site.facade("resume", found["name"], "--wait", code=1)
    other.unlink()
    site.facade("resume", found["name"], "--wait")
    found = pair.made()
    assert found[pair.home] == found[pair.cluster] and site.latest()["state"] == "succeeded"
    assert site.json("stat", site.latest()["name"])["advice"][0].startswith("keep it in mind")


@pytest.fixture
def slow(webdav_server: WebServer) -> Iterator[tuple[tuple[str, Path], FaultProxy]]:
    """A home on a web server, and what spoils the way there."""
    folder = f"t-{uuid.uuid4().hex[:8]}"
    (webdav_server.folder / folder).mkdir()
    with proxied(webdav_server.port) as proxy:
        yield (f"http://127.0.0.1:{proxy.port}/{folder}", webdav_server.folder / folder), proxy


def test_the_target_archive_may_be_a_server(site: World, slow: tuple[tuple[str, Path], FaultProxy]) -> None:
    place, proxy = slow
    pair = Pair(site, near=place, pause="0.05")
    proxy.arm("cut", after=300_000, times=3)
    said = {**STORES, **READS, "use_home_archive_input": "target_archive", "use_home_archive_output": "block"}
    pair.submit(said)
    found = pair.made()
    assert len(found[pair.cluster]) == OUTPUTS and found[pair.home] == found[pair.cluster] and proxy.left == 0
    assert (place[1] / "seed/seed.dat").read_bytes() == SEED
    assert not list(Path(site.latest()["run_dir"]).glob("homing"))


def test_a_copy_home_that_is_killed_goes_on_where_it_was(
    site: World, slow: tuple[tuple[str, Path], FaultProxy]
) -> None:
    place, proxy = slow
    pair = Pair(site, place, transfers="2", pause="0.05")
    said = {**STORES, **READS, "use_home_archive_input": "target_archive", "use_home_archive_output": "run"}
    proxy.rate = 100_000.0
    process = site.start("submit", "campaign.wcl", "--wait", "--reuse", "none", *set_to(said))
    deadline = time.monotonic() + 120
    while not [path for path in place[1].rglob("r3/**/*") if path.is_file() and ".part-" not in path.name]:
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.kill()
    process.communicate()
    name = site.latest()["name"]
    shown = site.json("stat", name)
    assert (shown["attempt"]["state"], shown["quanta"]) == ("lost", {"succeeded": 4})
    assert len(list(place[1].rglob("half*.dat"))) < 3, "it was killed before all was home"
    proxy.rate = 0.0
    proxy.arm("cut", up=True, after=150_000, times=2)
    site.facade("resume", name, "--wait")
    found = pair.made(killed=True)
    assert len(found[pair.home]) == OUTPUTS and found[pair.home] == found[pair.cluster] and proxy.left == 0
    assert site.latest()["state"] == "succeeded"
    runs = site.rows(
        f"select distinct run from pfw_job join task on id = task_id where pfw_attempt_id = {site.newest()}"
    )
    assert runs == [{"run": 1}], "no job ran again"


@pytest.mark.parametrize("said", ["block", "run"])
def test_a_node_of_the_dag_brings_outputs_home(site: World, condor_pool: CondorPool, said: str) -> None:
    path = site.env()["PATH"] + ":" + condor_pool.env["PATH"]
    pool = site.with_environment({"CONDOR_CONFIG": condor_pool.env["CONDOR_CONFIG"], "PATH": path})
    pair, number = Pair(pool), site.latest()["attnum"] + 1
    other = pair.folders[pair.home] / f"AWAY/r3/p{number:02}/out/half-1-p{number:02}.dat"
    other.parent.mkdir(parents=True)
    other.write_text("not what the jobs have made\n")
    pair.submit({**STORES, "use_home_archive_output": said}, "--engine", "htcondor", code=1)
    found = site.latest()
    dag = (Path(found["run_dir"]) / "dag/facade.dag").read_text()
    assert ("JOB home_one home" in dag, "JOB home_two home" in dag) == (said == "block", True)
    assert (found["state"], found["quanta"]) == ("failed", {"succeeded": 4})
    assert "exists with other content" in " ".join(pool.json("stat", found["name"])["advice"])
    other.unlink()
    pool.facade("resume", found["name"], "--wait")
    made = pair.made()
    assert len(made[pair.home]) == OUTPUTS and made[pair.home] == made[pair.cluster]
    assert site.latest()["state"] == "succeeded"


@pytest.mark.parametrize(("engine", "said"), [("local", "never"), ("htcondor", "run"), ("htcondor", "block")])
def test_blocks_that_are_planned_late_find_what_lies_on_the_disk_of_the_cluster(
    tmp_path: Path, condor_pool: CondorPool, engine: str, said: str
) -> None:
    clean = World(tmp_path)
    path = clean.env()["PATH"] + ":" + condor_pool.env["PATH"]
    place = World(tmp_path, {"CONDOR_CONFIG": condor_pool.env["CONDOR_CONFIG"], "PATH": path})
    for name in ("archive", "near"):
        (tmp_path / name).mkdir()
    (tmp_path / "site.wcl").write_text(
        "target_archive = near\n<archive>\n<home>\nroot = archive\n</home>\n<near>\nroot = near\n</near>\n</archive>\n"
    )
    try:
        said_all = set_to({**STORES, "use_home_archive_output": said})
        place.facade("submit", late.campaign(place), "--engine", engine, "--wait", *said_all)
        report = place.json("stat", "u_r4p01")
        assert (report["attempt"]["state"], report["quanta"]) == ("succeeded", {"succeeded": 6})
        near, home = (
            {file.name: file.read_bytes() for file in (tmp_path / name).rglob("*") if file.is_file()}
            for name in ("near", "archive")
        )
        assert near["report-r4p01.txt"] == b"hello 9\nhello 10\n"
        assert home == ({} if said == "never" else near)
        if engine == "htcondor":
            nodes = "".join(path.read_text() for path in (tmp_path / "runs/u_r4p01/dag").glob("*.dag"))
            wanted = {"run": ["home_last"], "block": ["home_calib", "home_coadd", "home_last"]}[said]
            assert [name for name in ("home_calib", "home_coadd", "home_last") if f"JOB {name} home" in nodes] == wanted
    finally:
        place.facade("db", "stop")
