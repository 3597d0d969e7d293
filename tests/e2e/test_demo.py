"""The demo campaign from ingested files to answered questions, by both engines."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import Attempts
from e2e.world import BIN

from hsc_mini import check

MODULES = {
    "create_butler_registry": 1, "processccd": 16, "make_coadd_temp_exp": 32, "assemble_coadd": 8,
    "detect_coadd_sources": 8, "merge_coadd_detections": 4, "measure_coadd_sources": 8,
    "merge_coadd_measurements": 4, "forced_phot_coadd": 8,
}  # fmt: skip

# DMTN-059's three queries, word for word; reqnum and attnum are the demo's own
FILES_BY_TAG = """select f.path ||'/'||f.filename from file_archive_info f, desfile d, proctag t
      where d.filetype='deepcoadd_calexp' and t.tag='PROTO-0.1' and t.pfw_attempt_id=d.pfw_attempt_id
        and f.desfile_id=d.id order by f.filename;"""
EXECUTIONS = """select modname, count(*) from pfw_wrapper w, pfw_attempt a
      where w.pfw_attempt_id=a.id and a.reqnum=11 and a.attnum={attnum} group by modname order by min(w.wrapnum);"""
WALLCLOCK = """select end_time - start_time from task t, pfw_attempt a
      where t.id=a.task_id and a.reqnum=11 and a.attnum={attnum};"""


def psql(attempts: Attempts, text: str) -> list[str]:
    """Ask with psql itself."""
    done = subprocess.run(
        [str(BIN / "facade"), "db", "psql", "-At", "-c", text],
        env=attempts.world.env(), text=True, capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def of_attempt(attempts: Attempts, attnum: int, select: str) -> list[dict[str, Any]]:
    return attempts.world.rows(select.replace("ATTEMPT", f"(select id from pfw_attempt where attnum={attnum})"))


@pytest.mark.parametrize("engine", ["local", "condor"])
def test_executions_come_out_as_in_the_note(attempts: Attempts, engine: str) -> None:
    found = psql(attempts, EXECUTIONS.format(attnum=getattr(attempts, engine)))
    assert found == [f"{module}|{count}" for module, count in MODULES.items()]


def test_tagged_coadds_are_found_by_the_notes_query(attempts: Attempts) -> None:
    name = f"Ht0_r11p{attempts.local:02d}"
    attempts.world.facade("tag", name, "PROTO-0.1")
    suffix = f"r11p{attempts.local:02d}.fits"
    assert psql(attempts, FILES_BY_TAG) == [
        f"MMG/hsctest/MDEV/r11/Ht0/p{attempts.local:02d}/coadd/calexp-{band}-0-{patch}-{suffix}"
        for band in ("HSC-I", "HSC-R") for patch in ("0x0", "0x1", "1x0", "1x1")
    ]  # fmt: skip


@pytest.mark.parametrize("engine", ["local", "condor"])
def test_wall_clock_is_known(attempts: Attempts, engine: str) -> None:
    [found] = psql(attempts, WALLCLOCK.format(attnum=getattr(attempts, engine)))
    assert found.startswith("00:0")


@pytest.mark.parametrize("engine", ["local", "condor"])
def test_every_file_lies_in_the_archive_with_its_registered_content(attempts: Attempts, engine: str) -> None:
    from facade.archive import content_of

    rows = of_attempt(
        attempts, getattr(attempts, engine),
        "select a.root || '/' || f.path || '/' || f.filename || f.compression as place, d.checksum, d.filesize"
        " from desfile d join file_archive_info f on f.desfile_id = d.id join archive a on a.name = f.archive_name"
        " where d.pfw_attempt_id = ATTEMPT",
    )  # fmt: skip
    # 121 products, 89 logs, one list for each quantum that has one: 1 + 32 + 8 + 4 + 4
    assert len(rows) == 121 + 89 + 49
    for row in rows:
        found = content_of(Path(row["place"]))
        assert (found.checksum, found.size) == (row["checksum"], row["filesize"])


@pytest.mark.parametrize("engine", ["local", "condor"])
def test_every_product_has_one_maker(attempts: Attempts, engine: str) -> None:
    rows = of_attempt(
        attempts, getattr(attempts, engine),
        "select d.filename, count(g.task_id) as makers, max(t.kind::text) as kind"
        " from desfile d left join opm_was_generated_by g on g.desfile_id = d.id left join task t on t.id = g.task_id"
        " where d.pfw_attempt_id = ATTEMPT and d.filetype not in ('log', 'list') group by d.id, d.filename",
    )  # fmt: skip
    assert len(rows) == 121
    assert {(row["makers"], row["kind"]) for row in rows} == {(1, "exec")}


def test_both_engines_leave_the_same_files_metadata_and_edges(attempts: Attempts) -> None:
    assert _products(attempts, attempts.local) == _products(attempts, attempts.condor)
    assert _edges(attempts, attempts.local) == _edges(attempts, attempts.condor)
    for table in ("image", "catalog", "coadd"):
        assert _metadata(attempts, attempts.local, table) == _metadata(attempts, attempts.condor, table)


def _plain(attnum: int, name: str) -> str:
    return name.replace(f"r11p{attnum:02d}", "r11pNN").replace(f"/p{attnum:02d}/", "/pNN/")


def _products(attempts: Attempts, attnum: int) -> Counter[tuple[str, ...]]:
    rows = of_attempt(
        attempts, attnum,
        "select d.filename, d.filetype, d.checksum, f.path || '/' as path from desfile d"
        " join file_archive_info f on f.desfile_id = d.id where d.pfw_attempt_id = ATTEMPT",
    )  # fmt: skip
    # what a log says and a list names differs by design: times, hosts, the attempt's number
    return Counter(
        (_plain(attnum, row["filename"]), row["filetype"], _plain(attnum, row["path"]),
         row["checksum"] if row["filetype"] not in ("log", "list") else "")
        for row in rows
    )  # fmt: skip


def _edges(attempts: Attempts, attnum: int) -> Counter[tuple[str, ...]]:
    used = of_attempt(
        attempts, attnum,
        "select q.modname || q.wrapkeys || e.name as maker, d.filename from opm_used u join pfw_exec e using (task_id)"
        " join quantum q on q.task_id = e.pfw_wrapper_task_id join desfile d on d.id = u.desfile_id"
        " where e.pfw_attempt_id = ATTEMPT",
    )  # fmt: skip
    derived = of_attempt(
        attempts, attnum,
        "select c.filename as child, p.filename as parent from opm_was_derived_from w"
        " join desfile c on c.id = w.child_desfile_id join desfile p on p.id = w.parent_desfile_id"
        " where c.pfw_attempt_id = ATTEMPT",
    )  # fmt: skip
    edges = Counter(("used", row["maker"], _plain(attnum, row["filename"])) for row in used)
    edges.update(("derived", _plain(attnum, row["child"]), _plain(attnum, row["parent"])) for row in derived)
    return edges


def _metadata(attempts: Attempts, attnum: int, table: str) -> list[dict[str, Any]]:
    rows = of_attempt(
        attempts, attnum,
        f"select d.filename, m.* from {table} m join desfile d on d.id = m.desfile_id"
        " where d.pfw_attempt_id = ATTEMPT order by d.filename",
    )  # fmt: skip
    assert rows
    return [{k: _plain(attnum, str(v)) for k, v in row.items() if k != "desfile_id"} for row in rows]


def test_used_edges_name_everything_a_command_read(attempts: Attempts) -> None:
    rows = of_attempt(
        attempts, attempts.local,
        "select q.modname, q.wrapkeys, d.filetype, count(*) as files from opm_used u join pfw_exec e using (task_id)"
        " join quantum q on q.task_id = e.pfw_wrapper_task_id join desfile d on d.id = u.desfile_id"
        " where e.pfw_attempt_id = ATTEMPT group by 1, 2, 3",
    )  # fmt: skip
    used: dict[str, set[tuple[tuple[str, int], ...]]] = {}
    by_quantum: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows:
        by_quantum.setdefault((row["modname"], row["wrapkeys"]), {})[row["filetype"]] = row["files"]
    for (module, _), files in by_quantum.items():
        used.setdefault(module, set()).add(tuple(sorted(files.items())))
    template = ("butler_template", 1)
    assert used["create_butler_registry"] == {(("list", 1),)}
    assert used["processccd"] == {
        (("butler_registry", 1), template, ("hsc_bias", 1), ("hsc_flat", 1), ("hsc_raw", 1), ("ref_cat", 1))
    }
    assert used["make_coadd_temp_exp"] == {
        (("butler_registry", 1), template, ("calexp", ccds), ("list", 1), ("skymap", 1)) for ccds in (1, 2)
    }
    assert used["assemble_coadd"] == {(template, ("deepcoadd_tempexp", 4), ("list", 1), ("skymap", 1))}
    assert used["merge_coadd_detections"] == {(template, ("deepcoadd_det", 2), ("list", 1))}
    assert used["forced_phot_coadd"] == {(template, ("deepcoadd_calexp", 1), ("deepcoadd_ref", 1))}


def test_derived_edges_are_those_declared(attempts: Attempts) -> None:
    rows = of_attempt(
        attempts,
        attempts.condor,
        "select c.filetype as child, p.filetype as parent, count(*) as edges from opm_was_derived_from w"
        " join desfile c on c.id = w.child_desfile_id join desfile p on p.id = w.parent_desfile_id"
        " where c.pfw_attempt_id = ATTEMPT group by 1, 2",
    )
    assert {(row["child"], row["parent"]): row["edges"] for row in rows} == {
        ("butler_registry", "list"): 1,
        ("calexp", "hsc_raw"): 16,
        ("calexp", "hsc_bias"): 16,
        ("calexp", "hsc_flat"): 16,
        ("src", "hsc_raw"): 16,
        ("deepcoadd_tempexp", "calexp"): 58,
        ("deepcoadd", "deepcoadd_tempexp"): 32,
        ("deepcoadd_calexp", "deepcoadd"): 8,
        ("deepcoadd_bkgd", "deepcoadd"): 8,
        ("deepcoadd_det", "deepcoadd"): 8,
        ("deepcoadd_mergedet", "deepcoadd_det"): 8,
        ("deepcoadd_meas", "deepcoadd_calexp"): 8,
        ("deepcoadd_meas", "deepcoadd_mergedet"): 8,
        ("deepcoadd_ref", "deepcoadd_meas"): 8,
        ("deepcoadd_forced_src", "deepcoadd_calexp"): 8,
        ("deepcoadd_forced_src", "deepcoadd_ref"): 8,
    }


def test_recorded_command_lines(attempts: Attempts) -> None:
    rows = of_attempt(
        attempts, attempts.condor,
        "select q.modname, q.wrapkeys, e.argv from pfw_exec e join quantum q on q.task_id = e.pfw_wrapper_task_id"
        " where e.pfw_attempt_id = ATTEMPT and q.modname in ('make_coadd_temp_exp', 'merge_coadd_detections')",
    )  # fmt: skip
    by_key = {(row["modname"], row["wrapkeys"]): row["argv"] for row in rows}
    [warp] = [argv for (m, keys), argv in by_key.items() if '"0,1"' in keys and "903990" in keys]
    where = warp.index("--selectId")
    assert warp[:where] == [
        "makeCoaddTempExp", "repo", "--output", "repo", "--id", "tract=0", "patch=0,1", "filter=HSC-I", "--doraise",
        "-c", "warpKernel=lanczos3",
    ]  # fmt: skip
    overlap = attempts.world.json("query", "overlap", "--tract", 0, "--version", "sim59", "--filetype", "hsc_raw",
                                  "--by", "patch", "--patch", "0,1", "--visit", 903990)  # fmt: skip
    assert warp[where:] == [w for row in overlap for w in ("--selectId", "visit=903990", f"ccd={row['ccd']}")]
    merges = [argv for (m, _), argv in by_key.items() if m == "merge_coadd_detections"]
    assert {argv[-1] for argv in merges} == {"filter=HSC-I^HSC-R"}


def test_photometry_and_astrometry_are_right(attempts: Attempts) -> None:
    archive = attempts.world.home / "archive/MMG/hsctest/MDEV/r11/Ht0" / f"p{attempts.local:02d}"
    found = check.compare(attempts.world.data / "truth.fits", sorted(archive.glob("coadd/forced_src-*.fits")))
    assert {one.band for one in found} == {"HSC-I", "HSC-R"}
    for one in found:
        assert abs(one.magnitude_offset) < 0.03
        assert one.position_offset < 0.1


def test_provenance_of_a_coadd_reaches_the_raws(attempts: Attempts) -> None:
    rows = attempts.world.json("provenance", f"calexp-HSC-I-0-0x1-r11p{attempts.local:02d}.fits")
    raws = {row["filename"] for row in rows if row["filetype"] == "hsc_raw"}
    overlap = attempts.world.json("query", "overlap", "--tract", 0, "--version", "sim59", "--filetype", "hsc_raw",
                                  "--by", "patch", "--patch", "0,1", "--filter", "HSC-I")  # fmt: skip
    assert raws == {f"HSCA{row['visit']}{row['ccd']:02d}.fits" for row in overlap}
    down = attempts.world.json("provenance", sorted(raws)[0], "--down")
    assert f"calexp-HSC-I-0-0x1-r11p{attempts.local:02d}.fits" in {row["filename"] for row in down}


def test_a_plan_is_the_same_bytes_each_time_whatever_was_run_meanwhile(attempts: Attempts, tmp_path: Path) -> None:
    from e2e.world import CAMPAIGN

    for name in ("a", "b"):
        attempts.world.facade("plan", CAMPAIGN, "-o", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    ids = {row["plan_id"] for row in attempts.world.json("stat")}
    shown = attempts.world.facade("plan", CAMPAIGN).stdout
    assert any(plan_id[:12] in shown for plan_id in ids)
