"""Registering files that exist already: what goes in, what is left out and why, and that it can be done again."""

from __future__ import annotations

import csv
import errno
import hashlib
import itertools
import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from database import checksum, make_database
from hypothesis import given, settings
from hypothesis import strategies as st

from facade import plugins
from facade.archive import local
from facade.archive.local import LocalArchive
from facade.errors import InputError, RefusedError, TransferError
from facade.ingest import BAD, NEW, PRESENT, REFUSED, Outcome, Way, definition_of, gather, ingest, reading, stages
from facade.registry.connection import connect
from facade.registry.face import Registry
from facade.site import Site
from facade.wcl import loads

pytest_plugins = ["database"]

DEFINITIONS = """
<filename_pattern>
    note = n_${number}.txt
</filename_pattern>
<filetype_metadata>
    <note>
        metadata_table = note
        ingestor = text
        archive_path = notes/${night}
        <columns>
            visit = int required
            night = text
            mood = text header:FEELING
            scale = float
        </columns>
    </note>
    <bare>
    </bare>
    <numbered>
        metadata_table = numbered
        <columns>
            number = int filename:note
        </columns>
    </numbered>
</filetype_metadata>
"""


class Place:
    """A home with an archive, and a registry."""

    def __init__(self, registry: Registry, home: Path, definitions: str = DEFINITIONS) -> None:
        self.registry, self.home, self.document = registry, home, loads(definitions)
        self.site = Site.here({"FACADE_HOME": str(home)})
        self.archive = Path(self.site.archive_root)
        self.archive.mkdir(exist_ok=True)
        self.source = home / "source"
        self.source.mkdir(exist_ok=True)

    def note(self, name: str, visit: object = 1, more: str = "") -> Path:
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"VISIT = {visit}\nNIGHT = 2026\n{more}")
        return path

    def ingest(self, *words: object, filetype: str = "note", lists: Any = (), manifests: Any = (), **way: Any) -> Any:
        definition = definition_of(self.document, filetype)
        wanted = gather([str(word) for word in words], lists, manifests, [name for name, _, _ in definition.columns])
        return list(ingest(self.registry, self.site, definition, self.document, wanted, Way(**way)))

    def registered(self) -> list[str]:
        found = self.registry.run_sql("select filename || compression as name from desfile order by 1")
        return [row["name"] for row in found.dicts()]

    def counts(self) -> tuple[int, ...]:
        """Rows of the tables that an ingestion writes into."""
        text = "select " + ", ".join(f"(select count(*) from {t}) as {t}" for t in ("task", "desfile", "file_location"))
        return tuple(self.registry.run_sql(text).rows[0])


@pytest.fixture
def place(registry: Registry, tmp_path: Path) -> Place:
    return Place(registry, tmp_path)


def states(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    return [(Path(one.path).name, one.state) for one in outcomes]


def test_files_go_in_with_content_metadata_and_place(place: Place) -> None:
    (found,) = place.ingest(place.note("a.txt", 7, "FEELING = fine\nSCALE = 0.5\n"))
    data = (place.source / "a.txt").read_bytes()
    assert (found.state, found.size, found.checksum) == (NEW, len(data), hashlib.sha256(data).hexdigest())
    assert (place.archive / "notes/2026/a.txt").read_bytes() == data
    (row,) = place.registry.rows.files("note", {"visit": 7})
    assert (row["night"], row["mood"], row["scale"], row["path"]) == ("2026", "fine", 0.5, "notes/2026")
    (task,) = place.registry.run_sql("select kind::text, name, state::text from task").rows
    assert task == ("ingest", "ingest note", "succeeded")


def test_the_same_twice_is_no_change_at_all(place: Place) -> None:
    paths = [place.note("a.txt"), place.note("b.txt")]
    place.ingest(*paths)
    before = place.counts()
    assert states(place.ingest(*paths)) == [("a.txt", PRESENT), ("b.txt", PRESENT)]
    assert place.counts() == before == (1, 2, 2)
    copy = place.note("elsewhere/a.txt")
    assert [one.state for one in place.ingest(copy, copy, place.source / "a.txt")] == [PRESENT, PRESENT]


def test_a_bad_file_is_told_and_left_out_and_the_others_go_in(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    good = [place.note("a.txt"), place.note("z.txt")]
    no_visit = place.source / "n.txt"
    no_visit.write_text("NIGHT = 2026\n")
    words = place.note("w.txt", "seven")
    far = place.note("far.txt", 1 << 40)
    outside = place.note("out.txt", 1, "")
    outside.write_text("VISIT = 1\nNIGHT = ../..\n")
    binary = place.source / "binary.txt"
    binary.write_bytes(b"\xff\xfe\0\0")
    found = place.ingest(good[0], no_visit, words, far, outside, binary, place.source / "none.txt", good[1])
    assert [one.state for one in found] == [NEW, BAD, BAD, BAD, BAD, BAD, BAD, NEW]
    told = {Path(one.path).name: f"{one}" for one in found}
    assert "required column 'visit' has no value" in told["n.txt"] and "--set" in told["n.txt"]
    assert "w.txt: visit: 'seven' is no int" in told["w.txt"] and "far.txt" in told["far.txt"]
    assert "outside of it: 'notes/../..'" in told["out.txt"] and "no such file" in told["none.txt"]
    assert "binary.txt" in told["binary.txt"] and place.registered() == ["a.txt", "z.txt"]
    assert sorted(path.name for path in place.archive.rglob("*.txt")) == ["a.txt", "z.txt"]


def test_other_content_under_a_name_that_is_taken_is_refused(place: Place) -> None:
    place.ingest(place.note("a.txt"))
    other, free = place.note("other/a.txt", 2), place.note("b.txt")
    found = place.ingest(other, free)
    assert states(found) == [("a.txt", REFUSED), ("b.txt", NEW)]
    assert (
        "is registered already with other content, made by task" in found[0].fault and "another name" in found[0].remedy
    )
    twice = place.ingest(place.note("x/c.txt", 3), place.note("y/c.txt", 4), place.note("z/c.txt", 3))
    assert [one.state for one in twice] == [NEW, REFUSED, PRESENT]
    assert "has the same name as" in twice[1].fault
    (other_type,) = place.ingest(place.source / "b.txt", filetype="bare")
    assert other_type.state == REFUSED and "is registered already, as note" in other_type.fault


def test_all_or_none(place: Place) -> None:
    place.ingest(place.note("a.txt"))
    other, free = place.note("other/a.txt", 2), place.note("b.txt")
    with pytest.raises(RefusedError, match="registered already with other content"):
        place.ingest(other, free, whole=True)
    with pytest.raises(InputError, match=r"(?s)no such file.*nothing was registered"):
        place.ingest(free, place.source / "none.txt", whole=True)
    with pytest.raises(InputError, match=r"(?s)no file fits.*nothing was registered"):
        place.ingest(free, str(place.source / "*.zork"), whole=True)
    assert place.registered() == ["a.txt"] and not list(place.archive.rglob("b.txt"))
    assert states(place.ingest(free, whole=True)) == [("b.txt", NEW)]


def test_a_dry_run_tells_and_writes_nothing(place: Place) -> None:
    place.ingest(place.note("a.txt"))
    before, there = place.counts(), set(place.home.rglob("*"))
    found = place.ingest(place.source / "a.txt", place.note("b.txt"), place.note("c.txt", "x"), dry=True)
    assert states(found) == [("a.txt", PRESENT), ("b.txt", NEW), ("c.txt", BAD)]
    assert place.counts() == before and not list(place.archive.rglob("b.txt"))
    assert set(place.home.rglob("*")) - {place.source / "b.txt", place.source / "c.txt"} == there
    assert place.registry.run_sql("select to_regclass('numbered') is null as none").rows == ((True,),)
    place.ingest(place.note("n_1.txt"), filetype="numbered", dry=True)
    assert place.registry.run_sql("select to_regclass('numbered') is null as none").rows == ((True,),)


def test_in_place(place: Place) -> None:
    inside = place.archive / "deep/er/a.txt"
    inside.parent.mkdir(parents=True)
    inside.write_text("VISIT = 1\n")
    outside = place.note("b.txt")
    link = place.archive / "deep/l.txt"
    link.symlink_to(outside)
    found = place.ingest(inside, outside, link, in_place=True)
    assert states(found) == [("a.txt", NEW), ("b.txt", BAD), ("l.txt", BAD)]
    assert "does not lie in archive 'home'" in found[1].fault and found[0].archive_path == "deep/er"
    assert place.registry.lookup([("a.txt", "")])["a.txt", ""]["path"] == "deep/er"
    assert [path for path in place.archive.rglob("*") if path.is_file()].count(inside) == 1
    moved = place.archive / "a.txt"
    moved.write_text("VISIT = 1\n")
    (again,) = place.ingest(moved, in_place=True)
    assert again.state == REFUSED and "registered in folder 'deep/er', not in ''" in again.fault
    assert states(place.ingest(inside, in_place=True)) == [("a.txt", PRESENT)]


def test_in_place_needs_an_archive_that_is_a_folder(place: Place) -> None:
    site = place.home / "site.wcl"
    site.write_text("<archive>\n<home>\nroot = https://archive.example/files\n</home>\n</archive>\n")
    place.site = Site.here({"FACADE_HOME": str(place.home)})
    with pytest.raises(InputError, match="cannot stay in place"):
        place.ingest(place.note("a.txt"), in_place=True)


def test_lists_globs_and_folders(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.txt", "sub/b.txt", "sub/deep/c.txt", "sub/.hidden/d.txt", ".e.txt", "odd[1].txt"):
        place.note(name, len(name))
    monkeypatch.chdir(place.source)
    lists = place.home / "list"
    lists.write_text("sub/b.txt\n\nnone.txt\r\n")
    names = lambda *words, **more: [str(one.path) for one in gather(words, **more).files]  # noqa: E731
    assert names("**/*.txt") == ["a.txt", "odd[1].txt", "sub/b.txt", "sub/deep/c.txt"]
    assert names("sub") == ["sub/b.txt", "sub/deep/c.txt"]
    assert names("odd[1].txt", "a.txt", "*.txt") == ["odd[1].txt", "a.txt"]
    assert names("sub/b.txt", lists=[str(lists)]) == ["sub/b.txt", "none.txt"]
    (empty,) = gather(["*.zork"]).faults
    assert empty[0] == "*.zork" and "no file fits" in str(empty[1])
    found = place.ingest("sub/**/*.txt", lists=[str(lists)])
    assert states(found) == [("b.txt", NEW), ("c.txt", NEW), ("none.txt", BAD)]
    assert found[2].fault == f"{lists}:3:1: none.txt: no such file"


def test_manifests(place: Place) -> None:
    paths = [place.note(f"{name}.txt", 5 + n) for n, name in enumerate("abcd")]
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    sizes = [path.stat().st_size for path in paths]
    table = place.home / "m.csv"
    rows = [
        ["Path", "SIZE", "checksum", "visit"],
        [paths[0], sizes[0], f"sha256:{sums[0].upper()}", 70],
        [paths[1], sizes[1] + 1, "", ""],
    ]
    with open(table, "w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    lines = place.home / "m.jsonl"
    texts = [{"path": str(paths[2]), "checksum": sums[3]}, {"path": str(paths[3]), "size": sizes[3], "scale": 2}]
    lines.write_text("\n".join(map(json.dumps, texts)) + "\n")
    found = place.ingest(manifests=[str(table), str(lines)])
    assert states(found) == [("a.txt", NEW), ("b.txt", BAD), ("c.txt", BAD), ("d.txt", NEW)]
    assert f"m.csv:3:1: {paths[1]} has {sizes[1]} bytes; it should have {sizes[1] + 1}" in found[1].fault
    assert "it should have " + sums[3] in found[2].fault
    assert (found[0].metadata["visit"], found[3].metadata["visit"], found[3].metadata["scale"]) == (70, 8, 2.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path,zork\na,1\n", "has no column 'zork'"),
        ("size\n1\n", "has no column 'path'"),
        ("path,path\na,b\n", "has a column twice"),
        ("path,size\na,many\n", "2:1: size 'many' is no number of bytes"),
        ("path,checksum\na,abc\n", "checksum 'abc' is no SHA-256"),
        ("path,size\na\n", "expected 2 cells, found 1"),
        ('path\n"a\n', "this is no CSV"),
        ('{"size": 1}\n', "no path"),
        ('{"path": "a", "scale": [1]}\n', "scale is no text, number or bool"),
        ('{"path": "a"\n', "this is no JSON"),
        ('{"path": "a"}\n[1]\n', "2:1: a line of a manifest is a JSON object"),
    ],
)
def test_what_is_no_manifest(place: Place, text: str, told: str) -> None:
    path = place.home / "m"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        place.ingest(manifests=[str(path)])
    assert told in str(caught.value) and "m:" in str(caught.value)


def test_what_the_name_tells_and_what_is_set(place: Place) -> None:
    found = place.ingest(place.note("n_12.txt"), place.note("x_13.txt"), filetype="numbered")
    assert [one.metadata["number"] for one in found] == [12, None]
    (found,) = place.ingest(place.note("n_14.txt"), filetype="numbered", settings={"number": "15"})
    assert found.metadata["number"] == 15


def test_names_that_no_registry_holds_are_told(place: Place) -> None:
    odd = os.fsencode(place.source) + b"/\xff.txt"
    Path(os.fsdecode(odd)).write_text("VISIT = 1\n")
    line = place.note("two\nlines.txt")
    fine = place.note("ü 'x'; drop table desfile; --.txt")
    found = place.ingest(os.fsdecode(odd), line, fine)
    assert [one.state for one in found] == [BAD, BAD, NEW]
    assert "is not written in UTF-8" in found[0].fault and "a control character" in found[1].fault
    assert place.registered() == [fine.name]


def test_what_the_server_refuses_is_found_among_many(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # a value that slips through every check of ours: the server has the last word, about that file only
    monkeypatch.setattr(reading, "typed", lambda value, kind: value)
    paths = [place.note(f"f{n:02d}.txt", "x" if n in (3, 11) else n) for n in range(16)]
    found = place.ingest(*paths)
    assert [n for n, one in enumerate(found) if one.state != NEW] == [3, 11]
    assert found[3].state == BAD and "invalid input syntax for type integer" in found[3].fault
    assert len(place.registered()) == 14


def test_files_are_read_by_processes_of_their_own(place: Place) -> None:
    paths = [place.note(f"f{n:03d}.txt", n) for n in range(60)]
    paths[31].write_text("VISIT = many\n")
    found = place.ingest(*paths, batch=25)
    assert [n for n, one in enumerate(found) if one.state != NEW] == [31]
    assert [one.metadata["visit"] for one in found if one.fine] == [n for n in range(60) if n != 31]
    (tasks,) = place.registry.run_sql("select count(*) from task").rows
    assert tasks == (3,)


def test_a_file_that_is_written_meanwhile_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        __name__ = "facade.ingestors.slow"

        def metadata(self, path: Path, columns: Any) -> dict[str, Any]:
            path.write_text("more")
            return {"visit": 1}

    monkeypatch.setattr(reading, "ingestor_called", lambda name: Slow())
    (found,) = place.ingest(place.note("a.txt"))
    assert found.state == BAD and "changed while it was read" in found.fault


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda: {}["nothing"], "ingestor 'text' failed on"),
        (lambda: exit(3), "SystemExit: 3"),
        (lambda: [1], "no mapping: [1]"),
        (lambda: {"visit": [1]}, "visit is no text, number or bool: [1]"),
        (lambda: {"visit": 1, "mood": "a\0b"}, "mood holds characters that no text may have"),
        (lambda: {"visit": 1, "mood": "\udc80"}, "mood holds characters that no text may have"),
    ],
)
def test_what_a_plug_in_does_wrong_is_the_fault_of_one_file(
    place: Place, monkeypatch: pytest.MonkeyPatch, answer: Any, told: str
) -> None:
    class Mine:
        __name__ = "facade.ingestors.mine"

        def metadata(self, path: Path, columns: Any) -> Any:
            return answer() if path.name == "bad.txt" else {"visit": 1}

    monkeypatch.setattr(reading, "ingestor_called", lambda name: Mine())
    found = place.ingest(place.note("a.txt"), place.note("bad.txt"), place.note("c.txt"), settings={"night": "1"})
    assert [one.state for one in found] == [NEW, BAD, NEW]
    assert told in found[1].fault and "bad.txt" in found[1].fault


def test_an_archive_that_takes_nothing_ends_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.archive.rmdir()
    with pytest.raises(TransferError, match="is not there"):
        place.ingest(place.note("a.txt"), place.note("b.txt"))
    assert place.registered() == []


def test_a_folder_that_cannot_be_is_the_fault_of_its_file(place: Place) -> None:
    long = place.source / "long.txt"
    long.write_text(f"VISIT = 1\nNIGHT = {'x' * 300}\n")
    (alone,) = place.ingest(long)
    assert alone.state == BAD and "a folder of its place in the archive is longer than 255 bytes" in alone.fault
    assert [one.state for one in place.ingest(long, place.note("a.txt"))] == [BAD, NEW]


def test_a_name_that_is_taken_in_the_archive_only_is_refused(place: Place) -> None:
    taken = place.archive / "notes/2026/a.txt"
    taken.parent.mkdir(parents=True)
    taken.write_text("other")
    found = place.ingest(place.note("a.txt"), place.note("b.txt"))
    assert states(found) == [("a.txt", REFUSED), ("b.txt", NEW)] and "exists with other content" in found[0].fault


def test_what_is_registered_but_not_in_the_archive_is_brought_there(place: Place) -> None:
    path = place.note("a.txt")
    place.ingest(path)
    place.registry.forget_locations([("a.txt", "")], "home")
    (place.archive / "notes/2026/a.txt").unlink()
    assert states(place.ingest(path)) == [("a.txt", PRESENT)]
    assert (place.archive / "notes/2026/a.txt").is_file() and place.counts() == (1, 1, 1)


def test_what_was_hashed_is_not_read_again_until_it_is_written_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [place.note(f"{n}.txt", n) for n in range(4)]
    for path in paths:  # settled
        os.utime(path, ns=(1, 1))
    monkeypatch.setattr("facade.ingest.remembered.SETTLED", -1)
    bad = place.source / "none.txt"  # so that what was noted is kept
    place.ingest(*paths, bad)
    hashed: list[str] = []
    real = reading.content_of
    monkeypatch.setattr(reading, "content_of", lambda path: hashed.append(path.name) or real(path))
    paths[2].write_text("VISIT = 9\n")
    found = place.ingest(*paths, bad)
    assert hashed == ["2.txt"] and [one.state for one in found] == [PRESENT, PRESENT, REFUSED, PRESENT, BAD]


def test_another_ingestion_does_not_take_away_what_was_noted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facade.ingest.remembered.SETTLED", -1)
    place.ingest(place.note("a.txt"), place.source / "none.txt")  # as if interrupted
    place.ingest(place.note("b.txt"))
    (notes,) = (place.home / "ingest").iterdir()
    assert "a.txt" in notes.read_text()
    place.ingest(place.source / "a.txt", place.source / "b.txt")
    assert not notes.exists()


ODD = st.text(max_size=30) | st.sampled_from(
    ["'); drop table desfile; --", "\\N", "\\.", "%s %(x)s", "x" * (1 << 20), "é😀\0"]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(ODD, ODD), min_size=1, max_size=4))
def test_any_text_is_stored_as_it_is_or_refused(fuzzed: Place, values: list[tuple[str, str]]) -> None:
    """Names, places in the archive and metadata full of quotes, NULs, emoji, a megabyte long."""
    paths = []
    for mood, night in values:
        path = fuzzed.source / f"{next(NUMBERS)}.txt"
        path.write_text(json.dumps({"mood": mood, "night": night}))
        paths.append(path)
    for path, (mood, night), found in zip(paths, values, fuzzed.ingest(*paths), strict=True):
        sound = all("\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text) for text in (mood, night))
        if found.state != NEW:
            assert (
                "characters that no text may have" in found.fault
                if not sound
                else "its place in the archive" in found.fault
            )
            continue
        assert sound
        (row,) = fuzzed.registry.run_sql(
            f"select mood, night from note join desfile on id = desfile_id where filename = '{path.name}'"
        ).rows
        assert row == (mood or None, night or None)
    assert fuzzed.registry.run_sql("select to_regclass('desfile') is null as gone").rows == ((False,),)


NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def fuzzed(postgres: Any, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    definitions = DEFINITIONS.replace("ingestor = text", "ingestor = json").replace("int required", "int")
    with Registry.open(make_database(postgres, template)) as registry:
        yield Place(registry, tmp_path_factory.mktemp("fuzz"), definitions.replace(" header:FEELING", ""))


def test_many_at_once_register_each_name_once(place: Place) -> None:
    """Threads with a connection each, over the same files in other orders, and one with other contents of some."""
    paths = [place.note(f"f{n:03d}.txt", n) for n in range(120)]
    others = [place.note(f"other/f{n:03d}.txt", n + 1000) for n in range(0, 120, 7)]
    results: list[list[Outcome]] = []
    place.registry.ensure_metadata_tables({"note": definition_of(place.document, "note").definition()})  # type: ignore[dict-item]

    def work(files: list[Path]) -> None:
        with Registry.open(place.registry.address) as registry:
            mine = Place(registry, place.home)
            results.append(mine.ingest(*files, batch=20))

    lots = [paths, paths[::-1], paths[60:] + paths[:60], others]
    threads = [threading.Thread(target=work, args=(lot,)) for lot in lots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert place.counts()[1:] == (120, 120)
    new = [one for found in results for one in found if one.state == NEW]
    assert len({one.filename for one in new}) == 120
    (rows,) = place.registry.run_sql("select count(*) from note").rows
    assert rows == (120,)
    known = place.registry.lookup([(path.name, "") for path in paths])
    for path in paths:
        kept = place.archive / "notes/2026" / path.name
        assert hashlib.sha256(kept.read_bytes()).hexdigest() == known[path.name, ""]["checksum"]


def test_a_race_for_a_name_is_lost_with_a_clear_word(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else registers the name between the question and the answer."""
    path = place.note("a.txt", 1)
    real = stages.Ingestion._copied

    def copied(self: Any, ready: Any) -> Any:
        with Registry.open(place.registry.address) as other:
            other.ingest("them", {}, [{
                "filename": "a.txt", "compression": "", "filetype": "note", "size": 3, "checksum": checksum("them"),
                "metadata": {}, "path": "there", "archive": "other",
            }])  # fmt: skip
        return real(self, ready)

    monkeypatch.setattr(stages.Ingestion, "_copied", copied)
    found = place.ingest(path, place.note("b.txt"))
    assert states(found) == [("a.txt", REFUSED), ("b.txt", NEW)]
    assert "already registered with other content, made by task" in found[0].fault and "(them)" in found[0].fault


def test_the_database_may_go_away_for_a_moment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "PATIENCE", (0.01, 0.01))
    real = stages.Ingestion._copied

    def copied(self: Any, ready: Any) -> Any:
        with connect(place.registry.address) as other, other.cursor() as cursor:
            cursor.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        return real(self, ready)

    monkeypatch.setattr(stages.Ingestion, "_copied", copied)
    assert states(place.ingest(place.note("a.txt"))) == [("a.txt", NEW)]


def test_unknown_filetypes_are_told(place: Place) -> None:
    with pytest.raises(InputError, match="no filetype is called 'nots'\n  did you mean 'note'"):
        place.ingest(place.note("a.txt"), filetype="nots")


def test_an_upgrade_is_not_needed_to_be_told_so(postgres: Any, template: str, tmp_path: Path) -> None:
    with Registry.open(make_database(postgres, template)) as registry:
        assert states(Place(registry, tmp_path).ingest(Place(registry, tmp_path).note("a.txt")))[0][1] == NEW


def test_functions_of_metadata_are_asked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "function", lambda name: lambda file, metadata: file.stat().st_size + metadata["n"])
    text = (
        "<filetype_metadata>\n<bag>\nmetadata_table = bag\n<columns>\nn = int\nmore = int function:more\n</columns>\n"
    )
    place.document = loads(text + "</bag>\n</filetype_metadata>\n")
    file = place.source / "a.bin"
    file.write_text("four")
    (found,) = place.ingest(file, filetype="bag", settings={"n": "3"})
    assert found.metadata == {"n": 3, "more": 7}


def test_rows_of_a_dimension_come_again_with_another_version(place: Place) -> None:
    """The file is there already; that its rows are wanted under another name is no reason to give it one."""
    place.document = loads("<filetype_metadata>\n<tags>\ningestor = visit_tag\n</tags>\n</filetype_metadata>\n")
    path = place.source / "deep.txt"
    path.write_text("# tag visit\ndeep 9\n")
    found = [place.ingest(path, filetype="tags", settings=one)[0].state for one in ({}, {}, {"version": "2026a"})]
    assert found == [NEW, PRESENT, PRESENT]
    rows = place.registry.run_sql("select version, tag, visit from visit_tag order by 1").rows
    assert rows == (("2026a", "deep", 9), ("deep", "deep", 9)) and place.counts() == (1, 1, 1)
    contradicting = place.source / "other.txt"
    contradicting.write_text("# tag visit\ndeep 9\n")
    assert place.ingest(contradicting, filetype="tags", settings={"version": "deep"})[0].state == NEW
    assert states(place.ingest(path, filetype="tags", dry=True)) == [("deep.txt", PRESENT)]


def test_truth_may_be_written_in_words(place: Place) -> None:
    text = (
        "<filetype_metadata>\n<b>\nmetadata_table = b\n<columns>\ngood = bool\n</columns>\n</b>\n</filetype_metadata>\n"
    )
    place.document = loads(text)
    said = {"a.txt": "True", "b.txt": "f", "c.txt": "perhaps"}
    found = [place.ingest(place.note(n), filetype="b", settings={"good": v})[0] for n, v in said.items()]
    assert [one.metadata.get("good") for one in found] == [True, False, None]
    assert found[2].state == BAD and "'perhaps' is no bool" in found[2].fault


def test_an_ingestor_that_is_not_installed_is_told_once(place: Place) -> None:
    place.document = loads("<filetype_metadata>\n<tags>\ningestor = visit_tga\n</tags>\n</filetype_metadata>\n")
    with pytest.raises(InputError, match="no ingestor is called 'visit_tga'\n  did you mean 'visit_tag'"):
        place.ingest(place.note("a.txt"), filetype="tags")


def test_copies_go_by_the_archive_of_the_site(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that does not arrive is the fault of one file, as long as others do."""
    real = local.send

    def send(source: Path, target: Path, checksum: str | None, **more: Any) -> Any:
        if source.name == "b.txt":
            raise TransferError(f"copy of {source} is short")
        return real(source, target, checksum, **more)

    monkeypatch.setattr(local, "send", send)
    found = place.ingest(*[place.note(f"{name}.txt") for name in "abc"])
    assert [one.state for one in found] == [NEW, BAD, NEW] and "is short" in found[1].fault


def test_what_is_set_and_no_column_is_refused(place: Place) -> None:
    with pytest.raises(InputError, match="filetype 'note' has no column 'vist' to set") as caught:
        place.ingest(place.note("a.txt"), settings={"vist": "3"})
    assert "did you mean 'visit'?" in caught.value.remedy and place.registered() == []
    (found,) = place.ingest(place.note("a.txt"), settings={"visit": "3", "version": "1"})
    assert (found.state, found.metadata["visit"]) == (NEW, 3)


def test_a_list_of_something_else_and_odd_names_are_told_in_one_line(place: Place) -> None:
    (place.home / "binary").write_bytes(b"a\n\0\xff" + b"x" * 9000)
    with pytest.raises(InputError, match="this line is no path") as caught:
        place.ingest(lists=[str(place.home / "binary")])
    assert str(caught.value.location) == f"{place.home}/binary:2:1"
    (place.source / "link").symlink_to("nowhere")
    place.note("a\nb\x1b[31m.txt")
    found = place.ingest(place.source)
    told = [one.fault for one in found]
    assert found[0].remedy == "give it another name"
    assert "\\nb\\x1b[31m.txt': its name holds a slash or a control character" in told[0]
    assert "\n" not in told[0] and "\x1b" not in told[0]
    assert told[1] == f"{place.source}/link: is a link that leads nowhere"


def test_a_folder_that_cannot_be_looked_into_is_told_and_the_others_go_in(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.note("a.txt")
    place.note("dark/b.txt")
    place.note("light/c.txt")
    scandir = os.scandir

    def closed(path: Any) -> Any:
        if str(path).endswith("dark"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = place.ingest(place.source)
    assert states(found) == [("dark", BAD), ("a.txt", NEW), ("c.txt", NEW)]
    assert found[0].fault == f"cannot look into {place.source}/dark: Permission denied"
    assert states(place.ingest(place.source / "dark")) == [("dark", BAD)]


def test_a_file_that_changes_before_it_is_copied_ends_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place.note("a.txt")
    store = LocalArchive.store

    def slow(archive: LocalArchive, source: Path, target: str, checksum: str | None) -> Any:
        with source.open("a") as stream:
            stream.write("MORE = 1\n")
        return store(archive, source, target, checksum)

    monkeypatch.setattr(LocalArchive, "store", slow)
    (found,) = place.ingest(path)
    assert (found.state, found.fault) == (BAD, f"{path} changed before it was copied")
    assert place.registered() == [] and not list(place.archive.rglob("*.txt"))
