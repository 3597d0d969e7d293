"""Whatever stands in names, headers and values: it is stored as it is, or refused with a reason, never carried out."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from database import FILETYPES, IDENTITY, Receipt, make_database, raw, submit
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from facade.errors import FacadeError, InputError
from facade.registry.embedded import Embedded
from facade.registry.face import Registry

pytest_plugins = ["database"]
FRAGMENTS = (
    "'", '"', "''", "\\", "\\'", "$$", "$1", "%s", "%(x)s", "%%", ":'file'", ";", "--", "/*", "\0", "\n", "\r", "\t",
    "\\N", "\\.", "'; drop table desfile; --", "' or '1'='1", "{a,b}", "{}", "null", "NaN", "é≠🜚🔭", "\u202e", "\ud800",
    "\x1b[31m", "../", "/", "-rf", " ", "=", ",", "!", "%", "_", "*", "pg_sleep(1)", "1e999", "9" * 30, "select",
    "E'\\x41'", "U&'\\0041'",
)  # fmt: skip
LONG = "x'\"\\🔭" * 150_000
NASTY = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=6).map("".join),
    st.text(max_size=40),
)
MANY = settings(
    max_examples=20, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors],
)  # fmt: skip
THINGS = (
    "select relname::text, relkind::text from pg_class where relnamespace = 'public'::regnamespace order by 1",
    "select proname::text, prosrc from pg_proc where pronamespace = 'public'::regnamespace order by 1",
    "select rolname::text from pg_roles order by 1",
)
ROWS = "select (select count(*) from desfile), (select count(*) from task), (select count(*) from proctag)"


@pytest.fixture(scope="module")
def shared(postgres: Embedded, template: str) -> Iterator[Registry]:
    """One registry for all that is tried; what it is made of must be the same in the end."""
    with Registry.open(make_database(postgres, template)) as opened:
        opened.ingest("raws", FILETYPES, [raw("raw1.fits", visit=901, ccd=1)])
        submit(opened)
        before = [set(opened.run_sql(question).rows) for question in THINGS]
        yield opened
        after = [set(opened.run_sql(question).rows) for question in THINGS]
        assert all(then <= now for then, now in zip(before, after, strict=True))
        assert after[1:] == before[1:], "only tables of metadata may have come"


def stored(text: str) -> str:
    """Return what the registry makes of a text: what PostgreSQL cannot hold is shown as such (docs/contracts.md)."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


@MANY
@given(NASTY)
@example(LONG)
def test_what_a_job_tells_is_stored_as_it_is(shared: Registry, text: str) -> None:
    ids = submit(shared, quanta=1)
    task, unique = ids.quanta[1], uuid.uuid4().hex
    receipt = Receipt(ids).started()
    receipt.lines[0]["host"] = receipt.lines[0]["slot"] = text
    receipt.executed(task, ["raw1.fits", text[:500]])
    receipt.lines[-1] |= {"argv": [text, unique], "version": text, "name": text}
    message = {
        "execnum": 1,
        "time": "2026-11-20T15:20:00+00:00",
        "level": 1,
        "pattern": text,
        "message": text,
        "line": 1,
    }
    receipt.add("messages", quantum=task, log=text, rows=[message], counts=[[text[:500], 1, 1]])
    receipt.add("quantum-ended", quantum=task, state="failed",
                failure={"class": "exec-failed", "step": text, "message": text, "tail": text, "signal": 9})  # fmt: skip
    receipt.ended("failed")
    shared.report(receipt.id, receipt.lines)
    (failure,) = shared.overview(ids.attempt_id).failures
    assert (failure.message, failure.step, failure.tail, failure.host) == (stored(text),) * 4
    found = shared.run_sql(f"select argv[1], version, name from pfw_exec where argv[2] = '{unique}'").rows
    assert found == ((stored(text),) * 3,)


@MANY
@given(NASTY)
@example(LONG)
def test_a_file_of_any_name_is_found_by_it_or_refused(shared: Registry, text: str) -> None:
    name = f"{text}{uuid.uuid4().hex}"
    one = raw(name, content=name.encode("utf-8", "replace").decode(), visit=1, ccd=2) | {"path": text}
    try:
        shared.ingest("raws", FILETYPES, [one])
    except FacadeError as error:
        assert "index row" not in error.message
        return
    assert shared.lookup([(name, "")])[(name, "")]["checksum"] == one["checksum"]
    assert [file.name for file in shared.provenance(name, ("up",)).files.values()] == [name]


@MANY
@given(NASTY)
def test_a_submission_of_any_name_is_registered_or_refused(shared: Registry, text: str) -> None:
    with (
        suppress(FacadeError),
        shared.submission(
            IDENTITY | {"unitname": text, "campaign": text, "pipeline": text}, uuid.uuid4(), text, None
        ) as opened,
    ):
        ids = opened.register(
            plan_id=uuid.uuid4().hex, plan_body=b"{}", run_dir=text, engine="local", archive_path=text,
            blocks=[{"name": text, "modules": [text]}],
            jobs=[{"jobnum": 1, "block": 0, "keys": {text: text}, "quanta": 1}],
            quanta=[{"wrapnum": 1, "module": text, "wrapper": text, "jobnum": 1, "keys": {text: text}}],
            queries=[],
        )  # fmt: skip
        assert ids.attempt_id
    for attempt in shared.attempts(limit=1):
        assert shared.attempt(attempt.name) is not None


ASKING: dict[str, Callable[[Registry, str], Any]] = {
    "files": lambda registry, text: registry.rows.files("raw", {"ccd": text, "filename": text}),
    "files of a type": lambda registry, text: registry.rows.files(text, {}),
    "a column": lambda registry, text: registry.rows.files("raw", {text: "1"}),
    "a table": lambda registry, text: registry.rows.table(text, {}),
    "rows of a table": lambda registry, text: registry.rows.table("overlap", {"patch": text}),
    "a file": lambda registry, text: registry.lookup([(text, text)]),
    "provenance": lambda registry, text: registry.provenance(text, ("up", "down")),
    "ancestors": lambda registry, text: registry.run_named("lineage-up", {"file": text}),
    "an attempt": lambda registry, text: registry.attempt(text),
    "attempts": lambda registry, text: registry.attempts(unitname=text),
    "a tag": lambda registry, text: registry.tag(1, text, text),
    "no tag": lambda registry, text: registry.untag(1, text),
    "run times": lambda registry, text: registry.run_times(text, text, [text]),
    "a question": lambda registry, text: registry.run_named(text, {}),
    "files by metadata": lambda registry, text: registry.run_named(
        "files-by-metadata", {"filetype": "raw", "where": f"ccd={text}"}
    ),
    "any column of metadata": lambda registry, text: registry.run_named(
        "files-by-metadata", {"filetype": "raw", "where": text}
    ),
    "likest": lambda registry, text: registry.likest(11, text, [(text, text)]),
    "a receipt": lambda registry, text: registry.receipt_lines([text]),
    "metadata tables": lambda registry, text: registry.ensure_metadata_tables(
        {"fuzz": {"metadata_table": text, "columns": {"a": {"type": "int"}}}}
    ),
    "metadata columns": lambda registry, text: registry.ensure_metadata_tables(
        {"fuzz": {"metadata_table": "image", "columns": {text: {"type": "no"}}}}
    ),
}


@pytest.mark.parametrize("name", sorted(ASKING))
@MANY
@given(NASTY)
@example(LONG)
@example("")
def test_a_question_about_anything_is_answered_or_refused(shared: Registry, name: str, text: str) -> None:
    before = shared.run_sql(ROWS).rows[0][:2]
    with suppress(FacadeError):
        ASKING[name](shared, text)
    assert shared.run_sql(ROWS).rows[0][:2] == before


@pytest.mark.parametrize("name", ["lineage-up", "used-by", "failed", "wallclock"])
@MANY
@given(NASTY)
def test_a_named_question_takes_any_value_as_a_value(shared: Registry, name: str, text: str) -> None:
    from facade.registry.questions import named_queries

    with suppress(InputError):
        shared.run_named(name, dict.fromkeys(named_queries()[name].parameters, text))
