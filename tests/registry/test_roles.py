"""What each role may do and may not, by trying it; and databases that have no roles."""

from __future__ import annotations

import hashlib
import stat
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from database import FILETYPES, Receipt, lineage, make_database, raw, sibling, submit

from facade.errors import RegistryError
from facade.registry import roles, schema
from facade.registry.connection import Address, Session, StatementError, connect, write_passfile
from facade.registry.embedded import Embedded
from facade.registry.face import Registry
from facade.registry.reporter import JOB_REPORT, Reporter
from facade.registry.runs import encode
from facade.registry.values import Column, Ids
from facade.states import State

pytest_plugins = ["database"]

WRITES = (
    "insert into task_event (task_id, run, state, at) values (1, 1, 'succeeded', now())",
    "update desfile set checksum = repeat('0', 64)",
    "update task set state = 'succeeded'",
    "update file_location set path = 'x'",
    "delete from task_event",
    "delete from opm_used",
    "truncate receipt",
    "insert into proctag (tag, pfw_attempt_id, added_by) values ('x', 1, 'x')",
)
DEFINITIONS = (
    "create table mine ()",
    "create temporary table mine ()",
    "create schema mine",
    "create function mine() returns int language sql as 'select 1'",
    "alter table task add column mine int",
    "drop table task_event",
    "create index on task (name)",
    "alter function put_metadata(text, jsonb) security definer",
    "alter table task disable trigger all",
    "create role mine",
)
SECRETS = (
    "select body from plan",
    "select campaign from planning",
    "select found from planning",
    "select * from job_token",
    "select * from role_login",
)
OTHERS = ("task", "task_event", "pfw_attempt", "pfw_job", "quantum", "pfw_exec", "task_message", "receipt", "archive")


@pytest.fixture
def own(registry: Registry) -> Registry:
    """A registry whose roles are its own, not those of the database that it is a copy of."""
    schema.upgrade(registry.address)
    registry.ensure_metadata_tables(FILETYPES)
    return registry


@pytest.fixture(scope="module")
def unchanged(postgres: Embedded, template: str) -> Iterator[Registry]:
    """As `own`, for tests that change nothing."""
    with Registry.open(make_database(postgres, template)) as opened:
        schema.upgrade(opened.address)
        opened.ensure_metadata_tables(FILETYPES)
        yield opened


def session(registry: Registry, kind: str) -> Session:
    address = roles.login(registry._session, kind)
    assert address is not None
    return Session(address)


@pytest.fixture(scope="module")
def operator(unchanged: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Somebody who was granted the role of operators."""
    name = f"{database_of(unchanged)}_alice"
    unchanged._session.rows(f"create role {name} login password 'wonder' in role {database_of(unchanged)}_submit")
    passfile = tmp_path_factory.mktemp("alice") / "pgpass"
    write_passfile(passfile, ["*"], name, "wonder")
    with Registry.open(Address(unchanged.address.url.replace("facade_owner", name), passfile)) as opened:
        yield opened


def database_of(registry: Registry) -> str:
    return registry.address.url.rpartition("/")[2]


def refused(session: Session, statement: str, *params: object) -> None:
    with pytest.raises(StatementError) as caught:
        session.rows(statement, params or None)
    assert caught.value.sqlstate == "42501", caught.value


# -- jobs


@pytest.mark.parametrize(
    "statement", (*WRITES, *DEFINITIONS, *SECRETS, "select plan_id from plan", "select programs from pfw_attempt")
)
def test_jobs_may_not(unchanged: Registry, statement: str) -> None:
    with closing(session(unchanged, "job")) as job:
        refused(job, statement)


def test_jobs_see_nothing_of_other_attempts_and_become_nobody_else(unchanged: Registry) -> None:
    name = database_of(unchanged)
    with closing(session(unchanged, "job")) as job:
        for table in (*OTHERS, "pfw_wrapper", "image", "alembic_version"):
            refused(job, f"select * from {table}")
        for role in ("facade_owner", f"{name}_submit", f"{name}_reader"):
            refused(job, f"set role {role}")
        for call in (
            "report(array[gen_random_uuid()], array['[]'::jsonb])",
            "settle_edges()",
            "put_metadata('image', '[]')",
            "give_rights('postgres', 'postgres', 'postgres')",
            "open_receipts(array[gen_random_uuid()], array['[]'::jsonb])",
        ):
            refused(job, f"select {call}")


def test_jobs_may_look_up_files(own: Registry) -> None:
    own.ingest("raws", FILETYPES, [raw("raw1.fits", visit=1)])
    address = roles.login(own._session, "job")
    assert address is not None
    with Registry.open(address) as job:
        found = job.lookup([("raw1.fits", ""), ("none.fits", "")])
    assert [(row["filesize"], row["path"]) for row in found.values()] == [(5, "raw/2013")]


def test_a_job_reports_its_own_attempt_with_its_token(own: Registry, tmp_path: Path) -> None:
    ids = submit(own)
    address = own.address_for_jobs("Ht0_r11p01", ids.attempt_id, tmp_path)
    assert address.passfile is not None and stat.S_IMODE(address.passfile.stat().st_mode) == 0o600
    owners = own.address.passfile
    assert owners is not None and owners.read_text().strip().rpartition(":")[2] not in address.passfile.read_text()
    receipt = Receipt(ids).started().quantum(1).quantum(2).ended()
    reporter = Reporter(address)
    for line in receipt.lines:
        reporter.put(line)
    assert reporter.close(30), reporter.error
    assert set(own.quantum_states(ids.attempt_id).values()) == {State.SUCCEEDED}
    assert set(own.lookup([("calexp-1.fits", "")])) == {("calexp-1.fits", "")}
    assert own.run_sql("select ccd from image order by 1").rows == ((1,), (2,))


def test_a_token_is_kept_as_its_hash_and_another_is_minted_each_time(own: Registry, tmp_path: Path) -> None:
    ids = submit(own)
    tokens = [own.address_for_jobs("a", ids.attempt_id, tmp_path).token for _ in range(2)]
    known = own._session.rows("select digest, pfw_attempt_id from job_token")
    assert {bytes(row["digest"]) for row in known} == {hashlib.sha256(str(t).encode()).digest() for t in tokens}
    assert len(set(tokens)) == 2 and {row["pfw_attempt_id"] for row in known} == {ids.attempt_id}
    own.address_for_jobs("thought of", None, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1 and len(own._session.rows("select 1 from job_token")) == 2


def attempts(own: Registry, folder: Path) -> tuple[Ids, Ids, Session, str]:
    """Two attempts; the first has reported. With a session of jobs, and the token of the second."""
    first, second = submit(own), submit(own)
    receipt = Receipt(first).started().quantum(1).ended()
    own.report(receipt.id, receipt.lines)
    token = own.address_for_jobs("second", second.attempt_id, folder).token
    return first, second, session(own, "job"), str(token)


def told(job: Session, token: str, receipt: Receipt) -> int:
    """Report as jobs do; return the last line applied."""
    text = "[" + ",".join(map(encode, receipt.lines)) + "]"
    (row,) = job.rows(JOB_REPORT, {"token": token, "receipts": [receipt.id], "lines": [text]})
    return int(row["job_report"][0])


def test_a_token_of_another_attempt_is_refused(own: Registry, tmp_path: Path) -> None:
    first, second, job, token = attempts(own, tmp_path)
    with closing(job):
        for stranger in (token, "", "x" * 32):
            with pytest.raises(StatementError, match="the token of this job is not") as caught:
                told(job, stranger, Receipt(first).started().quantum(2))
            assert caught.value.sqlstate == "42501"
        assert told(job, token, Receipt(second).started()) == 1
    assert own.quantum_states(first.attempt_id) == {1: State.SUCCEEDED, 2: State.PLANNED}


def test_a_receipt_of_another_attempt_cannot_be_gone_on_with(own: Registry, tmp_path: Path) -> None:
    first, second, job, token = attempts(own, tmp_path)
    mine, others = Receipt(second).started(), Receipt(first).started()
    own.report(others.id, others.lines)
    mine.id = others.id
    with closing(job), pytest.raises(StatementError, match="the token of this job is not for attempt") as caught:
        told(job, token, mine.quantum(1))
    assert caught.value.sqlstate == "42501"


@pytest.mark.parametrize("kind", ["quantum-state", "exec", "messages", "outputs", "quantum-ended", "stored", "junk"])
def test_lines_about_another_attempts_quanta_are_refused(own: Registry, tmp_path: Path, kind: str) -> None:
    first, second, job, token = attempts(own, tmp_path)
    other, receipt = first.quanta[2], Receipt(second).started()
    before = own._session.rows("select state::text, run from task order by id")
    match kind:
        case "quantum-state":
            receipt.add(kind, quantum=other, state="running")
        case "exec":
            receipt.executed(other, ())
        case "messages":
            receipt.add(kind, quantum=other, log="x", rows=[])
        case "outputs" | "stored":
            receipt.add(kind, quantum=other, archive="home", files=[], derived=[])
        case "quantum-ended":
            receipt.add(kind, quantum=other, state="failed", failure=None)
        case "junk":
            receipt.add("outputs", job=first.jobs[1], files=[], derived=[])
    with closing(job), pytest.raises(StatementError, match=r"no quantum has task|is not the job of this receipt"):
        told(job, token, receipt)
    assert own._session.rows("select state::text, run from task order by id") == before


def test_files_of_another_attempt_stay_as_they_are(own: Registry, tmp_path: Path) -> None:
    """The same name with the same content may be told again; what is recorded of it is not changed."""
    own.ingest("raws", FILETYPES, [raw("raw1.fits", visit=1)])
    _, second, job, token = attempts(own, tmp_path)
    receipt = Receipt(second).started().quantum(1, used=["raw1.fits"])
    for line in receipt.lines:
        if line["kind"] == "outputs":
            line["files"] = line["files"][:1]  # not the log, whose content differs
            line["files"][0]["metadata"] = {"ccd": 7, "visit": 7}
        if line["kind"] == "stored":
            line["files"] = [["calexp-1.fits", "", "elsewhere"], ["raw1.fits", "", "elsewhere"]]
    with closing(job):
        assert told(job, token, receipt) == len(receipt.lines)
    assert own.run_sql("select path from file_location where path = 'elsewhere'").rows == ()
    assert own.run_sql("select visit, ccd from image where ccd = 7").rows == ()
    assert own.run_sql("select count(*) from opm_was_derived_from").rows == ((0,),)


def test_the_search_path_of_a_job_does_not_mislead_what_it_calls(own: Registry, tmp_path: Path) -> None:
    ids = submit(own)
    token = str(own.address_for_jobs("a", ids.attempt_id, tmp_path).token)
    with closing(session(own, "job")) as job:
        job.rows("set search_path = pg_catalog")
        statement = JOB_REPORT.replace("job_report", "public.job_report")
        (row,) = job.rows(statement, {"token": token, "receipts": [str(uuid.uuid4())], "lines": ["[]"]})
        assert row["job_report"] in ([0], [None])


# -- readers and operators


@pytest.mark.parametrize("statement", WRITES + DEFINITIONS + SECRETS)
def test_readers_may_not(unchanged: Registry, statement: str) -> None:
    with closing(session(unchanged, "reader")) as reader:
        refused(reader, statement)


def test_readers_may_ask(own: Registry) -> None:
    submit(own)
    with closing(session(own, "reader")) as reader:
        for table in (*OTHERS, "pfw_wrapper", "pfw_decision", "image", "desfile", "alembic_version"):
            reader.rows(f"select * from {table}")
        assert len(reader.rows("select plan_id from plan")) == 1
        refused(reader, "select report(array[gen_random_uuid()], array['[]'::jsonb])")
    assert own.run_sql("select current_user::text").rows[0][0].endswith("_reader")
    own.ensure_metadata_tables({"new": {"metadata_table": "later", "columns": {"a": {"type": "int"}}}})
    assert own.run_sql("select a from later").rows == ()


@pytest.mark.parametrize(
    "statement",
    [
        *(one for one in DEFINITIONS if "temporary" not in one),
        "delete from task_event",
        "update task_event set detail = ''",
        "update plan set body = ''",
        "delete from plan",
        "update filetype set metadata_table = 'task'",
        "insert into filetype (name) values ('x')",
        "update alembic_version set version_num = '0'",
        "update role_login set password = ''",
        "truncate task",
        "select give_rights('postgres', 'postgres', 'postgres')",
        "set role facade_owner",
    ],
)
def test_operators_may_not(operator: Registry, statement: str) -> None:
    refused(operator._session, statement)


def test_operators_may_do_their_work(operator: Registry, tmp_path: Path) -> None:
    assert operator.upgrade() == schema.newest()
    operator.set_archive("home", "/archive")
    assert operator.ingest("raws", FILETYPES, [raw("raw1.fits", visit=1)]).new == 1
    ids = submit(operator)
    receipt = Receipt(ids).started().quantum(1, used=["raw1.fits"]).failed(2).ended("failed")
    address = operator.address_for_jobs("a", ids.attempt_id, tmp_path)
    assert address.token and operator.report(receipt.id, receipt.lines) == len(receipt.lines)
    operator.mark([ids.attempt_task], State.RUNNING)
    operator.finish(ids.attempt_id, State.FAILED)
    operator.tag(ids.attempt_id, "T", "alice")
    operator.untag(ids.attempt_id, "T")
    operator.set_data_state(ids.attempt_id, "junk")
    assert operator.forget_locations([("raw1.fits", "")], "home") == 1
    assert [row["filename"] for row in lineage(operator, "calexp-1.fits")] == ["calexp-1.fits", "raw1.fits"]
    assert operator.run_sql("select current_user::text").rows[0][0].endswith("_reader")
    assert operator.roles().problems == ()
    with pytest.raises(RegistryError, match=r"may not do this: .*\n.*facade db upgrade --definitions FILE"):
        operator.ensure_metadata_tables({"x": {"metadata_table": "x", "columns": {"a": {"type": "int"}}}})


def test_an_operators_other_words_on_a_column_do_not_count(operator: Registry, own: Registry) -> None:
    columns: dict[str, Column] = {"visit": {"type": "int", "unit": "mine"}, "ccd": {"type": "int"}}
    assert operator.ensure_metadata_tables({"raw": {"metadata_table": "image", "columns": columns}}) == []
    words = own.run_sql("select columns from filetype where name = 'raw'").rows
    assert words == (({"visit": {"type": "int"}, "ccd": {"type": "int"}},),)


# -- making them


def test_upgrading_again_mends_what_was_spoilt(own: Registry, tmp_path: Path) -> None:
    name, ids = database_of(own), submit(own)
    first = own.address_for_jobs("a", ids.attempt_id, tmp_path)
    assert own.upgrade(rights=True) == schema.newest()
    connect(first).close()  # its password is the same
    with closing(session(own, "job")) as job:
        job.rows(f"alter role {name}_job set search_path = nowhere")
        job.rows(f"alter role {name}_job password 'mine alone'")
    own._session.rows(f"grant select on plan to {name}_job")
    (problem,) = own.roles().problems
    assert "jobs cannot log in" in problem
    own.upgrade(rights=True)
    assert own.roles().problems == ()
    with closing(session(own, "job")) as job:
        refused(job, "select body from plan")
        assert job.rows("show search_path") == [{"search_path": '"$user", public'}]


def test_no_password_is_in_a_statement_that_the_server_logs(postgres: Embedded, database: Address) -> None:
    with Registry.open(database) as registry:
        registry._session.rows(f"alter database {database_of(registry)} set log_statement = 'all'")
        registry._session.close()
        registry.upgrade()
        logged = "".join(path.read_text() for path in (postgres.data / "log").iterdir())
        assert f"create role {database_of(registry)}_job" in logged
        for kind in roles.LOGINS:
            found = roles.login(registry._session, kind)
            assert found is not None and found.password and found.password not in logged


def test_databases_of_one_server_have_roles_of_their_own(own: Registry, postgres: Embedded, template: str) -> None:
    other = make_database(postgres, template)
    schema.upgrade(other)
    with Registry.open(other) as second:
        mine, others = (roles.login(one._session, "job") for one in (own, second))
        assert mine is not None and others is not None
        assert mine.url != others.url and mine.password != others.password
        with closing(
            Session(replace(mine, url=mine.url.rpartition("/")[0] + "/" + other.url.rpartition("/")[2]))
        ) as job:
            refused(job, "select from desfile")
            refused(job, "select job_report('', array[gen_random_uuid()], array['[]'::jsonb])")
    long = roles.names("a" * 60)
    assert len(set(long.values())) == 3 and all(len(name) <= 63 for name in long.values())
    assert roles.names("a" * 61)["job"] != long["job"]


@pytest.fixture
def plain(postgres: Embedded, tmp_path: Path) -> Iterator[Address]:
    """An empty database of somebody who may not make roles."""
    name = f"plain_{uuid.uuid4().hex[:12]}"
    passfile = tmp_path / "plain.pgpass"
    write_passfile(passfile, ["*"], name, "plain")
    with closing(connect(sibling(postgres.address(), "postgres"))) as owner, owner.cursor() as cursor:
        cursor.execute(f"create role {name} login password 'plain'")
        cursor.execute(f"create database {name} owner {name}")
    yield Address(sibling(postgres.address(), name).url.replace("facade_owner", name), passfile)


def test_who_may_not_make_roles_goes_on_with_one_login(plain: Address, tmp_path: Path) -> None:
    with Registry.open(plain) as registry:
        registry.upgrade()
        (problem,) = registry.roles().problems
        assert "jobs log in as plain_" in problem and "have an administrator run 'facade db upgrade'" in problem
        ids = submit(registry)
        assert registry.address_for_jobs("a", ids.attempt_id, tmp_path / "credentials") == plain
        assert not (tmp_path / "credentials").exists() and plain.token is None
        receipt = Receipt(ids).started().ended()
        reporter = Reporter(plain)
        for line in receipt.lines:
            reporter.put(line)
        assert reporter.close(30)
        assert registry.run_sql("select current_user::text").rows[0][0].startswith("plain_")


def test_an_administrator_makes_the_roles_for_them(plain: Address, postgres: Embedded, tmp_path: Path) -> None:
    with Registry.open(plain) as registry:
        registry.upgrade()
        ids = submit(registry)
        with Registry.open(sibling(postgres.address(), plain.url.rpartition("/")[2])) as administrator:
            administrator.upgrade(rights=True)
        assert registry.roles().problems == ()
        address = registry.address_for_jobs("a", ids.attempt_id, tmp_path)
        assert address.token and connect(address).info.user.endswith("_job")
        registry.upgrade(rights=True)
        connect(address).close()
        with closing(session(registry, "job")) as job:
            refused(job, "create temporary table mine ()")


def test_one_who_may_make_roles_need_be_no_superuser(plain: Address, postgres: Embedded, tmp_path: Path) -> None:
    name = plain.url.rpartition("/")[2]
    with closing(connect(sibling(postgres.address(), "postgres"))) as owner, owner.cursor() as cursor:
        cursor.execute(f"alter role {name} createrole")
    with Registry.open(plain) as registry:
        registry.upgrade()
        assert registry.roles().problems == () and set(registry.roles().names) == {"job", "submit", "reader"}
        registry.upgrade(rights=True)
        ids = submit(registry)
        with closing(session(registry, "job")) as job:
            token = str(registry.address_for_jobs("a", ids.attempt_id, tmp_path).token)
            assert told(job, token, Receipt(ids).started()) == 1
            for statement in WRITES + DEFINITIONS + SECRETS:
                refused(job, statement)


def test_roles_of_somebody_else_are_left_alone(plain: Address, postgres: Embedded) -> None:
    name = plain.url.rpartition("/")[2]
    with closing(connect(sibling(postgres.address(), name))) as owner, owner.cursor() as cursor:
        cursor.execute(f"create role {name}_job login password 'theirs'")
        with Registry.open(sibling(postgres.address(), name)) as registry:
            registry.upgrade()
            assert any("belongs to somebody else" in problem for problem in registry.roles().problems)
            assert roles.login(registry._session, "job") is None
        cursor.execute("select has_table_privilege(%s, 'desfile', 'select') as may", (f"{name}_job",))
        assert cursor.fetchone() == {"may": False}
        cursor.execute(f"drop role {name}_job")
