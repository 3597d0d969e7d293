"""Every named question answers its example, by ``facade sql`` and in psql."""

from __future__ import annotations

import os
import shlex
import subprocess
from contextlib import closing

import pytest
from asking.place import Place

from facade.registry import Registry, binaries, roles, schema
from facade.registry.connection import Session
from facade.registry.questions import SET, named_queries

QUERIES = named_queries()


@pytest.mark.parametrize("name", QUERIES)
def test_the_example_of_a_question_sets_what_its_text_sets(name: str) -> None:
    words = shlex.split(QUERIES[name].example)
    assert words[:3] == ["facade", "sql", name]
    typed = dict(zip((word.removeprefix("--") for word in words[3::2]), words[4::2], strict=True))
    sets = [line.split(None, 2)[1:] for line in SET.findall(QUERIES[name].text)]
    assert typed == {key: value for key, value in ((one[0], shlex.split(one[1])[0]) for one in sets) if value}
    assert {one[0] for one in sets} == set(QUERIES[name].parameters)
    assert all(one.what for one in QUERIES[name].parameters.values())


def test_every_question_answers_its_example_and_is_answered_alike_by_psql(place: Place) -> None:
    beside = [found.folder / "psql" for found in binaries.find() if (found.folder / "psql").exists()]
    environment = {**os.environ, **place.address.environment()}
    for name, query in QUERIES.items():
        answer = place.world.facade(*shlex.split(query.example)[1:], "--csv").stdout
        assert len(answer.splitlines()) > 1, f"{name} found nothing"
        text = place.world.facade("sql", name, "--text").stdout
        psql = subprocess.run(
            [beside[0], "-X", "--csv", "-v", "ON_ERROR_STOP=1", place.address.url],
            input=text, env=environment, text=True, capture_output=True, check=True,
        )  # fmt: skip
        assert len(psql.stdout.splitlines()) == len(answer.splitlines()), name
        assert psql.stdout.splitlines()[0] == answer.splitlines()[0], name


def test_what_questions_say_of_the_survey(place: Place) -> None:
    ask = place.world.json
    assert [(row["modname"], row["last_message"]) for row in ask("sql", "failed", "--attempt", "Ht0_r11p01")] == [
        ("detect", "ERROR: no sources in HSC-I")
    ]
    number = place.world.json("stat", "Ht0_r11p01")["attempt"]["id"]
    assert ask("sql", "failed", f"--attempt={number}") == ask("sql", "failed", "attempt=Ht0_r11p01")
    assert [row["attnum"] for row in ask("sql", "used-by", "--file", "BIAS-sim59-016.fits")] == [1, 3]
    resources = {row["module"]: row for row in ask("sql", "resources", "--attempt", "Ht0_r11p03")}
    assert list(resources) == ["processccd", "assemble", "detect"] and resources["processccd"]["quanta"] == 2
    assert 0 < float(resources["processccd"]["memory_max_mb"]) < 500
    found = ask("sql", "files-by-metadata", "--filetype", "calexp", "--where", "visit=903334,ccd=22")
    assert [row["filename"] for row in found] == [f"calexp-903334-22-r11p{n}.fits" for n in ("01", "03")]
    assert found[0]["metadata"] == {"visit": 903334, "ccd": 22}
    moved = {(row["module"], row["direction"]): row for row in ask("sql", "transfers", "--attempt", "Ht0_r11p03")}
    raws = sum(path.stat().st_size for path in (place.archive / "raw").iterdir())
    assert moved["processccd", "fetched"]["bytes"] == raws and moved["processccd", "fetched"]["retries"] == 0
    coadd = place.product("calexp-HSC-I-0-0x1-r11p03.fits", 3).stat().st_size
    assert moved["assemble", "stored"]["bytes"] > coadd and float(moved["assemble", "stored"]["seconds"]) > 0
    disk = {row["attempt"]: row for row in ask("sql", "disk", "--reqnum", "11")}
    sizes = sum(path.stat().st_size for path in place.archive.glob("MMG/r11/p02/**/*") if path.is_file())
    assert int(disk["Ht0_r11p02"]["bytes"]) == sizes and disk["Ht0_r11p02"]["files"] == 2
    assert {one["name"] for one in ask("sql")} == set(QUERIES)


def test_what_is_not_known_is_told_with_what_may_be_meant(place: Place) -> None:
    def told(*words: str) -> str:
        return place.world.facade("sql", *words, code=2).stderr

    assert "did you mean 'lineage-up'" in told("lineage-upp", "--file", "x")
    assert "needs file\n  file: its name, with its compression\n  as in: facade sql used-by" in told("used-by")
    assert "has no parameter 'attemp'" in told("failed", "--attemp", "1")
    assert "'--attempt' needs a value" in told("failed", "--attempt")
    assert "no attempt 'Ht0_r11p09'" in told("failed", "--attempt", "Ht0_r11p09")
    assert "did you mean BIAS-sim59-016.fits" in told("used-by", "--file", "BIAS-sim59-061.fits")
    assert "did you mean 'PROTO-0.1'" in told("files-by-tag", "--tag", "PROTO-0.2", "--filetype", "calexp")
    assert "did you mean 'calexp'" in told("files-by-metadata", "--filetype", "calexo", "--where", "ccd=16")
    assert "does not exist" in told("files-by-metadata", "--filetype", "calexp", "--where", "cdd=16")
    assert "invalid input syntax" in told("files-by-metadata", "--filetype", "calexp", "--where", "ccd=many")
    assert "a condition is COLUMN=VALUE" in told("files-by-metadata", "--filetype", "calexp", "--where", "ccd")


def test_what_is_asked_is_data_whatever_it_holds(place: Place) -> None:
    for evil in ("'; drop table desfile; --", "%s %(x)s", "\\'; select 1", "a'||'b", ":'file'"):
        place.world.facade("sql", "used-by", "--file", evil, code=2)
        place.world.facade("sql", "files-by-metadata", "--filetype", "calexp", "--where", f"ccd={evil}", code=2)
        place.world.facade("sql", "files-by-metadata", "--filetype", "calexp", "--where", f"{evil}=16", code=2)
        place.world.facade("files", evil, code=2)
    assert place.listed("BIAS-*") == ["BIAS-sim59-016.fits", "BIAS-sim59-022.fits"]


def test_readers_may_ask_every_question(place: Place) -> None:
    schema.upgrade(place.address)
    with Registry.open(place.address) as registry:
        reader = roles.login(registry._session, "reader")
        assert reader is not None
        with closing(Session(reader)) as session:
            for query in QUERIES.values():
                words = shlex.split(query.example)[3:]
                values = dict(zip((word.removeprefix("--") for word in words[::2]), words[1::2], strict=True))
                assert session.rows(query.bound(), values), query.name


LARGE = {"task", "task_event", "desfile", "quantum", "pfw_job", "pfw_exec", "pfw_wrapper", "file_location", "opm_used",
         "opm_was_derived_from", "task_message", "task_message_count", "left_out", "image", "calibration"}  # fmt: skip


def test_no_question_needs_to_read_all_of_a_large_table(place: Place) -> None:
    """With sequential scans forbidden, one that is there all the same has no index in its place."""
    with Registry.open(place.address) as registry, registry._session.transaction() as cursor:
        cursor.execute("set local enable_seqscan = off")

        def read(text: str, values: dict[str, str]) -> set[str]:
            cursor.execute(f"explain {text}", values)
            steps = [row["QUERY PLAN"] for row in cursor.fetchall()]
            return {step.partition("Seq Scan on ")[2].split()[0] for step in steps if "Seq Scan on" in step} & LARGE

        assert read("select * from desfile where filesize = 3", {}) == {"desfile"}
        for query in QUERIES.values():
            words = shlex.split(query.example)[3:]
            values = dict(zip((word.removeprefix("--") for word in words[::2]), words[1::2], strict=True))
            assert read(query.bound(), values) == set(), query.name
