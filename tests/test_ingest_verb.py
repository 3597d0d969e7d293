"""``facade ingest`` as an operator types it, and killed while it is at work."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import Pipe
from pathlib import Path

import pytest
from e2e.world import BIN, World, temporary_world

from facade.ingest import readers
from facade.registry.embedded import Embedded

DEFINITIONS = b"""
<filetype_metadata>
    <note>
        metadata_table = note
        ingestor = text
        archive_path = notes
        <columns>
            visit = int required
            mood = text
        </columns>
    </note>
</filetype_metadata>
"""
FILES = 400


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with temporary_world({"d.wcl": DEFINITIONS}) as made:
        yield made


def written(world: World, folder: str, count: int) -> Path:
    place = world.home / folder
    place.mkdir()
    for number in range(count):
        (place / f"{folder}{number:04d}.txt").write_text(f"visit = {number}\nmood = fine\n" + "x" * 5000)
    return place


def ingest(world: World, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    return world.facade("ingest", "--filetype", "note", "--definitions", "d.wcl", *words, code=code)


def test_what_it_says(world: World) -> None:
    place = written(world, "say", 3)
    (place / "bad.txt").write_text("mood = bad\n")
    done = ingest(world, place, code=1)
    assert done.stderr.endswith("3 note files registered, 1 left out\n") and done.stdout == ""
    assert f"{place}/bad.txt: required column 'visit' has no value" in done.stderr
    (place / "bad.txt").unlink()
    assert ingest(world, place).stderr == "0 note files registered, 3 registered already\n"
    (place / "new.txt").write_text("visit = 7\n")
    found = json.loads(ingest(world, "--json", "--dry-run", "say/*.txt").stdout)
    assert [(Path(one["path"]).name, one["state"]) for one in found] == [
        ("new.txt", "new"), ("say0000.txt", "present"), ("say0001.txt", "present"), ("say0002.txt", "present"),
    ]  # fmt: skip
    assert found[0]["metadata"] == {"visit": 7, "mood": None} and found[0]["size"] == 10
    listed = subprocess.run(
        [str(BIN / "facade"), "ingest", "--filetype", "note", "--definitions", "d.wcl", "--list", "-"],
        input="say/new.txt\nsay/none.txt\n", env=world.env(), cwd=world.home, text=True, capture_output=True,
    )  # fmt: skip
    assert listed.returncode == 1 and "1 note file registered, 1 left out" in listed.stderr
    assert "standard input:2:1: say/none.txt: no such file" in listed.stderr


def test_metadata_that_files_lack_are_filled_in_and_what_they_have_stays(world: World) -> None:
    place = written(world, "fill", 3)
    ingest(world, place)
    wider = DEFINITIONS.replace(b"mood = text", b"mood = text\nseeing = float\nnight = date required")
    (world.home / "wider.wcl").write_bytes(wider)
    (place / "fill0000.txt").touch()  # another time, the same content
    words = ("ingest", "--filetype", "note", "--definitions", "wider.wcl", "--fill")
    told = world.facade(*words, "--set", "seeing=0.6", "--set", "mood=bad", place)
    assert told.stderr == "3 note files filled in\n"
    asked = "select visit, mood, seeing, night from note m join desfile d on d.id = m.desfile_id"
    asked += " where filename like 'fill%' order by 1"
    assert world.rows(asked) == [{"visit": n, "mood": "fine", "seeing": 0.6, "night": None} for n in range(3)]
    told = world.facade(*words, "--set", "night=2026-11-21", "--set", "seeing=nan", place / "fill0000.txt", "--json")
    (one,) = json.loads(told.stdout)
    assert one["state"] == "filled" and told.stderr == "1 note file filled in\n"
    again = world.facade(*words, "--set", "night=2026-11-22", place / "fill0000.txt")
    assert again.stderr == "0 note files filled in, 1 registered already\n"
    assert world.rows(asked)[0] == {"visit": 0, "mood": "fine", "seeing": 0.6, "night": "2026-11-21"}


def test_filling_in_wants_files_that_are_registered_as_they_are(world: World) -> None:
    place = written(world, "wants", 2)
    ingest(world, place / "wants0000.txt")
    (place / "wants0000.txt").write_text("visit = 9\n")
    done = ingest(world, "--fill", place, code=1)
    assert "'wants0000.txt' is registered already with other content" in done.stderr
    assert "'wants0001.txt' is not registered\n  without --fill it goes in" in done.stderr
    assert done.stderr.endswith("0 note files filled in, 1 refused, 1 left out\n")
    assert "--fill goes with neither" in ingest(world, "--fill", "--dry-run", place, code=2).stderr
    told = world.facade("ingest", "--filetype", "butler_template", "--fill", place / "wants0001.txt", code=2)
    assert "filetype 'butler_template' has no metadata to fill in" in told.stderr


def test_what_is_missing_or_wrong_on_the_command_line(world: World) -> None:
    assert "say --filetype" in world.facade("ingest", "a", code=2).stderr
    assert "say files" in ingest(world, code=2).stderr
    assert "--set x: not column=value" in ingest(world, "--set", "x", "a", code=2).stderr
    assert "cannot read nowhere" in ingest(world, "--list", "nowhere", code=2).stderr
    done = ingest(world, "--all-or-none", "say/none.txt", code=2)
    assert "no such file" in done.stderr and "nothing was registered" in done.stderr


def test_an_upgrade_makes_the_tables_for_rows(world: World) -> None:
    text = "<filetype_metadata>\n<c>\ncontents_table = rows\n<contents>\na = int\n</contents>\n</c>\n"
    text += "</filetype_metadata>\n"
    (world.home / "c.wcl").write_text(text)
    told = world.facade("db", "upgrade", "--definitions", "c.wcl").stderr
    assert "table rows is new, for rows of files, with 1 columns" in told
    (world.home / "c.wcl").write_text(text.replace("a = int", "a = int\nb = text"))
    assert "column b of table rows is new" in world.facade("db", "upgrade", "--definitions", "c.wcl").stderr
    assert "table rows" not in world.facade("db", "upgrade", "--definitions", "c.wcl").stderr


def children(pid: int) -> list[int]:
    try:
        found = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*found, *(grand for one in found for grand in children(one))]


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_killed_anywhere_it_goes_on_and_nothing_is_doubled(world: World) -> None:
    place = written(world, "kill", FILES)
    words = ["--filetype", "note", "--definitions", "d.wcl", "--batch", "1", place]
    kills, below, there = 0, set[int](), world.home / "archive/notes"
    for after in (0.0, 0.003, 0.01, 0.02, 0.03):
        before = len(list(there.glob("kill*")))
        process = world.start("ingest", *words)
        while process.poll() is None and len(list(there.glob("kill*"))) < before + FILES // 10:
            time.sleep(0.002)
        time.sleep(after)
        below |= set(children(process.pid))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        process.communicate()
    (between,) = world.rows("select count(*) as n from desfile where filename like 'kill%'")
    done = ingest(world, "--batch", 7, place)
    registered = int(done.stderr.split()[0])
    assert kills >= 3 and registered + between["n"] == FILES and registered > 0 and between["n"] > 0
    assert below, "files were read by this process alone"
    (counts,) = world.rows(
        "select count(*) as files, count(distinct filename) as names, count(l.path) as places, count(n.visit) as noted,"
        " count(distinct n.visit) as visits from desfile d left join file_location l on l.desfile_id = d.id"
        " left join note n on n.desfile_id = d.id where filename like 'kill%'"
    )
    assert counts == dict.fromkeys(("files", "names", "places", "noted", "visits"), FILES)
    sums = {row["filename"]: row["checksum"] for row in world.rows("select filename, checksum from desfile")}
    for path in place.iterdir():
        kept = world.home / "archive/notes" / path.name
        assert hashlib.sha256(kept.read_bytes()).hexdigest() == sums[path.name]
    assert ingest(world, place).stderr.endswith(f"0 note files registered, {FILES} registered already\n")
    deadline = time.monotonic() + 10
    mine = [pid for pid in below if "facade" in _command(pid) and "postgres" not in _command(pid)]
    while any(map(alive, mine)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in mine if alive(pid)], "processes that read files are left behind"


def test_the_server_is_killed_and_nothing_that_was_told_is_lost(world: World) -> None:
    """kill -9 of PostgreSQL, twice: the ingestion has it started again and goes on."""
    place, there = written(world, "pg", FILES), world.home / "archive/notes"
    words = ["--filetype", "note", "--definitions", "d.wcl", "--batch", "2", "--json", place]
    process = world.start("ingest", *words)
    kills = 0
    for share in (8, 3):
        while process.poll() is None and len(list(there.glob("pg*"))) < FILES // share:
            time.sleep(0.005)
        pid = Embedded(world.home).status().pid
        if process.poll() is None and pid is not None:
            os.kill(pid, signal.SIGKILL)
            kills += 1
    told, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert kills and {one["state"] for one in json.loads(told)} <= {"new", "present"} and len(json.loads(told)) == FILES
    (row,) = world.rows("select count(*) as n, count(distinct checksum) as c from desfile where filename like 'pg%'")
    assert row == {"n": FILES, "c": FILES}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


PLUGIN = '''
"""An ingestor that ends its process, sleeps, prints or goes away, when a file says so."""
import os
import time
from pathlib import Path

def metadata(path, columns):
    text = Path(path).read_text()
    if "die" in text:
        os._exit(7)
    if "hang" in text:
        Path(path).with_suffix(".hangs").touch()
        time.sleep(1000)
    if "print" in text:
        print("[]")
    if "elsewhere" in text:
        os.chdir("/")
    for kind in (KeyboardInterrupt, GeneratorExit, SystemExit):
        if kind.__name__ in text:
            raise kind
    return {"visit": int(text.split()[2]), "mood": None}

def contents(path):
    return ("visit_tag", [{"tag": lambda: 1, "visit": 1}]) if "odd" in Path(path).read_text() else None
'''


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which a plug-in called ``rough`` is installed."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "rough_ingestor.py").write_text(PLUGIN)
    info = folder / "rough-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rough\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[facade.ingestors]\nrough = rough_ingestor\nlost = nowhere.at_all\n")
    return {"PYTHONPATH": str(folder)}


def test_a_plug_in_that_ends_its_process_costs_one_file(world: World, plugin: dict[str, str]) -> None:
    place = written(world, "die", 50)
    for number in (13, 31):
        (place / f"die{number:04d}.txt").write_text("visit = 1 die\n")
    (world.home / "r.wcl").write_bytes(DEFINITIONS.replace(b"ingestor = text", b"ingestor = rough"))
    rough = world.with_environment(plugin)
    done = rough.facade("ingest", "--filetype", "note", "--definitions", "r.wcl", place, code=1)
    assert done.stderr.endswith("48 note files registered, 2 left out\n")
    assert "die0013.txt: ingestor 'rough' ended the process that read it" in done.stderr
    (place / "die0014.txt").write_text("visit = 1 odd\n")
    (place / "die0014.txt").rename(place / "odd.txt")
    few = [place / f"die{number:04d}.txt" for number in (13, 15)] + [place / "odd.txt"]
    done = rough.facade("ingest", "--filetype", "note", "--definitions", "r.wcl", *few, code=1)
    assert done.stderr.endswith("0 note files registered, 1 registered already, 2 left out\n")
    assert "odd.txt: what ingestor 'rough' made of it cannot be taken" in done.stderr


RACE = """
import sys, time
from concurrent.futures import process
from pathlib import Path
from facade.files import FileType
from facade.ingest import readers, reading

def spawn(pool, started=[], spawned=process.ProcessPoolExecutor._spawn_process):
    started.append(pool)
    if len(started) == 2:  # the first one is at work, and ends
        time.sleep(1.5)
    spawned(pool)

def main():
    process.ProcessPoolExecutor._spawn_process = spawn
    files = sorted(Path(sys.argv[1]).iterdir())
    reader = reading.Reader(FileType(name="note", ingestor="rough", columns=(("visit", "int", ""),)), {})
    with readers.Readers(reader, 2, len(files)) as several:
        answers = list(several.start([reading.Question(path) for path in files]))
    print(len(answers), *(path.name for path, one in zip(files, answers) if one.fault))

if __name__ == "__main__":
    main()
"""


def test_a_process_that_ends_while_another_one_is_started_costs_one_file(
    tmp_path: Path, plugin: dict[str, str]
) -> None:
    (tmp_path / "race.py").write_text(RACE)
    place = tmp_path / "files"
    place.mkdir()
    for number in range(50):
        (place / f"{number:02d}.txt").write_text("visit = 1 " + "die" * (number in (13, 31)))
    words = [sys.executable, str(tmp_path / "race.py"), str(place)]
    done = subprocess.run(words, env={**os.environ, **plugin}, text=True, capture_output=True, timeout=60)
    assert done.stdout == "50 13.txt 31.txt\n", done.stderr


def test_what_reads_files_never_hears_of_ctrl_c_not_even_while_it_begins() -> None:
    lifeline, end = Pipe(duplex=False)
    with end, readers._pool(1, [], lifeline) as pool:
        assert signal.SIGINT in pool.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()


def test_what_a_pool_forgot_when_it_broke_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "ASKED_AGAIN", 0.05)
    with ProcessPoolExecutor(1) as pool:
        with pytest.raises(BrokenProcessPool):
            pool.submit(os._exit, 7).result()
        with pytest.raises(BrokenProcessPool):
            readers._result(pool, Future())


def test_whatever_a_plug_in_raises_prints_or_changes_costs_one_file(world: World, plugin: dict[str, str]) -> None:
    place = written(world, "wild", 5)
    words = ("KeyboardInterrupt", "GeneratorExit", "SystemExit", "print", "elsewhere")
    for number, word in enumerate(words):
        (place / f"wild{number:04d}.txt").write_text(f"visit = {number} {word}\n")
    (place / "wild0005.txt").write_text("visit = 5 \n")
    (world.home / "r.wcl").write_bytes(DEFINITIONS.replace(b"ingestor = text", b"ingestor = rough"))
    rough = world.with_environment(plugin)
    done = rough.facade("ingest", "--filetype", "note", "--definitions", "r.wcl", "--json", "wild", code=1)
    assert [one["state"] for one in json.loads(done.stdout)] == ["bad"] * 3 + ["new"] * 3, done.stderr
    assert "wild0001.txt: GeneratorExit (rough_ingestor.py, line " in done.stderr
    tame = [path for path in place.iterdir() if path.name != "wild0000.txt"]
    tried = rough.facade("ingest", "--test", "rough", "--definitions", "r.wcl", "--json", *tame, code=1)
    faults = {Path(one["path"]).name: one["faults"] for one in json.loads(tried.stdout)["files"]}
    assert "metadata raised GeneratorExit" in faults["wild0001.txt"][0] and not faults["wild0003.txt"]
    assert "metadata went into another directory" in faults["wild0004.txt"][0]


def test_a_plug_in_that_cannot_be_imported_is_told(world: World, plugin: dict[str, str]) -> None:
    (world.home / "l.wcl").write_bytes(DEFINITIONS.replace(b"ingestor = text", b"ingestor = lost"))
    rough = world.with_environment(plugin)
    for words in (["--filetype", "note", "--definitions", "l.wcl", "l.wcl"], ["--test", "lost", "l.wcl"]):
        told = rough.facade("ingest", *words, code=2).stderr
        assert "ingestor 'lost' cannot be imported: ModuleNotFoundError: No module named 'nowhere'" in told
        assert "mend nowhere.at_all" in told
    assert "mine.py: no such file" in rough.facade("ingest", "--test", "./mine.py", "l.wcl", code=2).stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_plug_in_that_hangs_keeps_nobody_who_wants_to_end_it(
    world: World, plugin: dict[str, str], number: signal.Signals, tmp_path: Path
) -> None:
    place = written(world, f"hang{number:d}", 40)
    for path in place.iterdir():
        path.write_text("visit = 1 hang")
    (world.home / "r.wcl").write_bytes(DEFINITIONS.replace(b"ingestor = text", b"ingestor = rough"))
    rough = world.with_environment({**plugin, "TMPDIR": str(tmp_path)})
    process = rough.start("ingest", "--filetype", "note", "--definitions", "r.wcl", place)
    deadline = time.monotonic() + 30
    while not list(place.glob("*.hangs")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    below = children(process.pid)
    assert below and list(tmp_path.glob("facade-ingest.*"))
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 130 and not list(tmp_path.glob("facade-ingest.*"))
    while any(map(alive, below)) and time.monotonic() < deadline + 30:
        time.sleep(0.05)
    assert not any(map(alive, below))


def test_many_files_are_read_side_by_side_and_ctrl_c_ends_it(world: World) -> None:
    place = written(world, "stop", 300)
    process = world.start("ingest", "--filetype", "note", "--definitions", "d.wcl", "--batch", "5", place)
    while process.poll() is None and len(list((world.home / "archive/notes").glob("stop*"))) < 40:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in told, told
    ingest(world, place)
    (row,) = world.rows("select count(*) as n from desfile where filename like 'stop%'")
    assert row["n"] == 300


def test_the_verb_starts_without_what_it_does_not_need() -> None:
    code = "import sys, facade.cli.intake; print([m for m in ('astropy', 'pyarrow', 'sqlalchemy') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], text=True, capture_output=True, env=dict(os.environ), check=True
    )
    assert done.stdout.strip() == "[]"
