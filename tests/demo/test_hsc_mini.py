"""The demo's programs, run as a campaign runs them: real processes on simulated exposures, one patch in two filters."""

from __future__ import annotations

import filecmp
import hashlib
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

pytest.importorskip("numpy")
pytest.importorskip("fitsio")
pytest.importorskip("sep")

import numpy as np

from hsc_mini import check, fitsfile, picture
from hsc_mini.faults import InputFault
from hsc_mini.geometry import SkyMap, Tan, pixel_map
from hsc_mini.mapper import DEFAULT_TEMPLATES, HscMapper, parse_id, read_policy
from hsc_mini.simulate import simulate

ROOT = Path(__file__).parents[2]
SCRIPTS: Mapping[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
PATCH = "0,1"
BANDS = ("HSC-I", "HSC-R")
IO = ("repo", "--output", "repo")


@dataclass(frozen=True)
class Done:
    """What a program left behind."""

    code: int
    log: str


def run(program: str, *arguments: str, cwd: Path) -> Done:
    """Run a program by the entry point that pip would make a script of."""
    module, function = SCRIPTS[program].split(":")
    code = f"import sys; from {module} import {function}; sys.argv[0] = {program!r}; sys.exit({function}())"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    return Done(done.returncode, done.stdout + done.stderr)


def run_all(commands: Sequence[Sequence[str]], cwd: Path) -> None:
    """Run programs that do not depend on each other, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        for command, done in zip(commands, pool.map(lambda words: run(*words, cwd=cwd), commands), strict=True):
            assert done.code == 0, f"{' '.join(command)}\n{done.log}"


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sim")
    simulate(out)
    return out


def overlaps(data: Path) -> list[tuple[str, int, int, str]]:
    """Return patch, visit, ccd, filter of every line of the overlap table."""
    lines = (data / "overlap-sim59.txt").read_text().splitlines()
    assert lines[0] == "# tract patch visit ccd filter"
    return [(patch, int(visit), int(ccd), band) for _, patch, visit, ccd, band in map(str.split, lines[1:])]


def filled_templates() -> dict[str, dict[str, str]]:
    """Return the campaign's templates as they are for request 11, attempt 1."""
    text = (ROOT / "wcl/demo/butler_template.yaml").read_text()
    text = text.replace("${reqnum}", "11").replace("${attnum:2}", "01")
    templates = yaml.safe_load(text)
    assert "$" not in str(templates)
    return dict(templates)


def write_raws_list(path: Path, data: Path) -> None:
    """Write what facade's query gives createButlerRegistry."""
    lines = ["# visit, ccd, filter, field, dateObs, taiObs, pointing, expTime"]
    for raw in sorted((data / "raw").iterdir()):
        header = fitsfile.read_header(raw)
        date = header.text("DATE-OBS")
        visit = int(header.text("EXP-ID")[4:])
        lines.append(
            f"{visit}, {header.text('DET-ID')}, {header.text('FILTER01')}, {header.text('OBJECT')}, "
            f"{date}, {date}, 533, {header.text('EXPTIME')}"
        )
    path.write_text("\n".join(lines) + "\n")


def build_repository(folder: Path, data: Path) -> Path:
    """Make ``folder/repo`` as facade's wrapper does: configuration, registry, linked inputs."""
    repo = folder / "repo"
    for name in ("raw", "calib", "deepCoadd"):
        (repo / name).mkdir(parents=True)
    lines = ["!RepositoryCfg_v1", "_mapper: !!python/name:hsc_mini.mapper.HscMapper ''", "_mapperArgs: {}"]
    lines += ["_parents: []", "_policy:"]
    for section, types in filled_templates().items():
        lines.append(f"  {section}:")
        lines += [f"    {name}: {{template: '{template}'}}" for name, template in types.items()]
    (repo / "repositoryCfg.yaml").write_text("\n".join([*lines, "_root: null", ""]))
    for raw in (data / "raw").iterdir():
        visit, ccd = int(raw.stem[4:10]), int(raw.stem[10:])
        (repo / f"raw/HSC-{visit:07d}-{ccd:03d}.fits").symlink_to(raw)
    for calibration in (data / "calib").iterdir():
        (repo / "calib" / calibration.name.replace("-sim59", "")).symlink_to(calibration)
    (repo / "deepCoadd/skyMap.json").symlink_to(data / "skymap-sim59.json")
    with tarfile.open(data / "refcat-sim59.tar") as tar:
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Debian 12 has Python 3.11.2
        tar.extractall(repo, **safe)
    write_raws_list(folder / "raws.list", data)
    run_all([["createButlerRegistry", "raws.list", "--output", "repo/registry.sqlite3"]], folder)
    return repo


@pytest.fixture
def repo(tmp_path: Path, data: Path) -> Path:
    return build_repository(tmp_path, data)


def patch_commands(data: Path, patch: str, io: Sequence[str]) -> Iterator[list[list[str]]]:
    """Yield the commands that make one patch from its raws, one list per step."""
    rows = [row for row in overlaps(data) if row[0] == patch]
    ccds = sorted({(visit, ccd) for _, visit, ccd, _ in rows})
    yield [["processCcd", *io, "--id", f"visit={visit}", f"ccd={ccd}", "--doraise"] for visit, ccd in ccds]
    visits = sorted({(visit, band) for _, visit, _, band in rows})
    warps = []
    for visit, band in visits:
        ccds_of_visit = [ccd for _, number, ccd, _ in rows if number == visit]
        selected = [word for ccd in ccds_of_visit for word in ("--selectId", f"visit={visit}", f"ccd={ccd}")]
        identity = ["--id", "tract=0", f"patch={patch}", f"filter={band}", "--doraise", "-c", "warpKernel=lanczos3"]
        warps.append(["makeCoaddTempExp", *io, *identity, *selected])
    yield warps
    one = {band: [*io, "--id", "tract=0", f"patch={patch}", f"filter={band}"] for band in BANDS}
    both = [*io, "--id", "tract=0", f"patch={patch}", "filter=HSC-I^HSC-R"]
    chosen = {b: [w for visit, band in visits if band == b for w in ("--selectId", f"visit={visit}")] for b in BANDS}
    yield [["assembleCoadd", *one[band], *chosen[band]] for band in BANDS]
    yield [["detectCoaddSources", *one[band]] for band in BANDS]
    yield [["mergeCoaddDetections", *both]]
    yield [["measureCoaddSources", *one[band]] for band in BANDS]
    yield [["mergeCoaddMeasurements", *both]]
    yield [["forcedPhotCoadd", *one[band]] for band in BANDS]


@pytest.fixture(scope="session")
def campaign(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A repository in which one patch has been made from raws to forced catalogues."""
    folder = tmp_path_factory.mktemp("campaign")
    build_repository(folder, data)
    for commands in patch_commands(data, PATCH, IO):
        run_all(commands, folder)
    return folder / "repo"


def checksums(folder: Path) -> dict[str, str]:
    """Return the checksum of every file below *folder* by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- the simulated data set


def test_two_simulations_with_one_seed_are_the_same_bytes(data: Path, tmp_path: Path) -> None:
    simulate(tmp_path)
    assert checksums(tmp_path) == checksums(data)


def test_a_data_set_is_16_raws_with_their_calibrations_tables_and_truth(data: Path) -> None:
    names = list(checksums(data))
    assert len([name for name in names if re.fullmatch(r"raw/HSCA90\d{4}(16|23)\.fits", name)]) == 16
    assert sorted(name for name in names if not name.startswith("raw/")) == [
        "calib/BIAS-sim59-016.fits", "calib/BIAS-sim59-023.fits",
        "calib/FLAT-sim59-HSC-I-016.fits", "calib/FLAT-sim59-HSC-I-023.fits",
        "calib/FLAT-sim59-HSC-R-016.fits", "calib/FLAT-sim59-HSC-R-023.fits",
        "overlap-sim59.txt", "refcat-sim59.tar", "skymap-sim59.json", "truth.fits",
    ]  # fmt: skip


def test_every_patch_sees_every_visit(data: Path) -> None:
    seen = {(patch, visit) for patch, visit, _, _ in overlaps(data)}
    assert {patch for patch, _ in seen} == {"0,0", "0,1", "1,0", "1,1"}
    assert len(seen) == 32


def test_overlap_table_tells_which_ccds_a_warp_gets_pixels_from(data: Path, campaign: Path) -> None:
    for warp in (campaign / "coadd").glob("warp-*.fits"):
        header = fitsfile.read_header(warp)
        listed = [str(c) for patch, visit, c, _ in overlaps(data) if (patch, visit) == (PATCH, header.integer("VISIT"))]
        assert header.text("CCDS").split(",") == listed


def test_raws_say_that_they_are_simulated_and_agree_on_their_date(data: Path) -> None:
    for raw in (data / "raw").iterdir():
        header = fitsfile.read_header(raw)
        assert header.cards["SIMUL"] is True
        assert header.text("INSTRUME").endswith("(sim)")
        night = np.datetime64("1858-11-17") + np.timedelta64(int(header.number("MJD")), "D")
        assert str(night) == header.text("DATE-OBS")
        assert header.text("FRAMEID") == raw.stem


# --- geometry


def test_the_quadratic_pixel_map_agrees_with_exact_trigonometry(data: Path) -> None:
    patch = SkyMap.load(data / "skymap-sim59.json").patch(0, PATCH)
    turned = np.array([[-1.0, 0.02], [0.02, 1.0]]) * 0.336 / 3600
    source = Tan((320.31, -0.395), (250.0, 260.0), turned)
    x, y = pixel_map(patch.wcs, patch.side, source)
    columns, rows = np.meshgrid(np.arange(patch.side), np.arange(patch.side))
    true_x, true_y = source.to_pixels(*patch.wcs.to_sky(columns, rows))
    assert max(np.abs(x - true_x).max(), np.abs(y - true_y).max()) < 1e-4


# --- one patch


def test_a_patch_agrees_with_the_truth(data: Path, campaign: Path) -> None:
    comparisons = check.compare(data / "truth.fits", (campaign / "coadd").glob("forced_src-*.fits"))
    assert [one.band for one in comparisons] == ["HSC-I", "HSC-R"]
    for one in comparisons:
        assert one.good, one
        assert one.matched >= 0.9 * one.objects


def test_check_fails_catalogues_that_are_off(data: Path, campaign: Path, tmp_path: Path) -> None:
    good = campaign / "coadd/forced_src-HSC-I-0-0x1-r11p01.fits"
    _, table = fitsfile.read_hdu(good, "FORCED")
    table["mag"] += 0.1
    fitsfile.write(tmp_path / "off.fits", fitsfile.read_header(good).select("FILTER"), [("FORCED", table, {})])
    truth = str(data / "truth.fits")
    assert check.main([truth, str(good)]) == 0
    assert check.main([truth, str(tmp_path / "off.fits")]) == 1
    assert check.main([truth, str(tmp_path / "none.fits")]) == 3


def test_products_have_the_names_of_the_template(campaign: Path) -> None:
    coadd = {re.sub(r"-90\d{4}", "-V", path.name) for path in (campaign / "coadd").iterdir()}
    per_band = {
        f"{kind}-{band}-0-0x1-r11p01.fits"
        for kind in ("warp", "coadd", "calexp", "bkgd", "det", "meas", "forced_src")
        for band in BANDS
    }
    expected = {re.sub(r"^(warp.*)-r", r"\1-V-r", name) for name in per_band}
    assert coadd == expected | {f"{kind}-0-0x1-r11p01.fits" for kind in ("mergeDet", "ref")}
    assert (campaign / "corr/calexp-HSC-R-903334-016-r11p01.fits").is_file()
    assert (campaign / "corr/src-HSC-R-903334-016-r11p01.fits").is_file()


def test_products_carry_metadata(campaign: Path) -> None:
    header = fitsfile.read_header(campaign / "corr/calexp-HSC-R-903334-016-r11p01.fits")
    assert (header.integer("VISIT"), header.integer("CCD"), header.text("FILTER")) == (903334, 16, "HSC-R")
    assert 0.5 < header.number("SEEING") < 1.3
    assert header.number("SKYLEVEL") > 0 and header.integer("NSRC") > 20 and header.number("ZP") > 30
    forced = fitsfile.read_header(campaign / "coadd/forced_src-HSC-I-0-0x1-r11p01.fits")
    assert (forced.integer("TRACT"), forced.text("PATCH"), forced.text("FILTER")) == (0, PATCH, "HSC-I")
    assert forced.integer("NOBJ") > 20


def test_two_runs_of_every_program_are_the_same_bytes(data: Path, campaign: Path, tmp_path: Path) -> None:
    io = (str(campaign), "--output", str(tmp_path / "again"))
    for commands in patch_commands(data, PATCH, io):
        run_all(commands[:1], tmp_path)
    again = [path for path in (tmp_path / "again").rglob("*") if path.is_file()]
    assert len(again) == 11
    for path in again:
        assert filecmp.cmp(path, campaign / path.relative_to(tmp_path / "again"), shallow=False), path.name


def test_quality_numbers_and_progress_go_to_stderr(repo: Path) -> None:
    done = run("processCcd", *IO, "--id", "visit=903334", "ccd=16", cwd=repo.parent)
    assert re.search(r"^QC processCcd seeing 0\.\d+$", done.log, re.M)
    assert re.search(r"^INFO processCcd status=done wall=", done.log, re.M)


def test_a_picture_is_a_png_of_the_coadds_size(campaign: Path, tmp_path: Path) -> None:
    coadds = [str(campaign / f"coadd/calexp-{band}-0-0x1-r11p01.fits") for band in BANDS]
    assert picture.main([str(tmp_path / "sky.png"), *coadds]) == 0
    png = (tmp_path / "sky.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (306, 306)


# --- what goes wrong


def process(repo: Path, *more: str) -> Done:
    return run("processCcd", *IO, "--id", "visit=903334", "ccd=16", *more, cwd=repo.parent)


@pytest.mark.parametrize("override", ["nonsense=1", "detectSigma", "detectSigma=many", "doCosmicRays=perhaps"])
def test_a_wrong_configuration_is_2(repo: Path, override: str) -> None:
    done = process(repo, "-c", override)
    assert done.code == 2, done.log
    assert override.partition("=")[0] in done.log


def test_a_data_id_that_lacks_a_key_is_2(repo: Path) -> None:
    done = run("processCcd", *IO, "--id", "visit=903334", cwd=repo.parent)
    assert (done.code, "lacks ccd" in done.log) == (2, True)


def test_ccds_of_two_visits_in_one_warp_are_2(repo: Path) -> None:
    selected = ["--selectId", "visit=903986", "ccd=16", "--selectId", "visit=903988", "ccd=16"]
    identity = ["--id", "tract=0", "patch=0,1", "filter=HSC-I"]
    assert run("makeCoaddTempExp", *IO, *identity, *selected, cwd=repo.parent).code == 2


def test_a_missing_raw_is_3_and_is_named(repo: Path) -> None:
    (repo / "raw/HSC-0903334-016.fits").unlink()
    done = process(repo)
    assert (done.code, "no raw for visit=903334 ccd=16" in done.log) == (3, True)


@pytest.mark.parametrize("kept", [0, 1000, 5760, 200_000, 330_000])
def test_a_truncated_raw_is_3(repo: Path, kept: int) -> None:
    raw = repo / "raw/HSC-0903334-016.fits"
    short = raw.read_bytes()[:kept]
    raw.unlink()
    raw.write_bytes(short)
    done = process(repo)
    assert done.code == 3, done.log
    assert not (repo / "corr").exists()


def test_a_raw_of_another_ccd_is_3(repo: Path) -> None:
    raw, other = repo / "raw/HSC-0903334-016.fits", repo / "raw/HSC-0903334-023.fits"
    raw.unlink()
    raw.symlink_to(other)
    done = process(repo)
    assert (done.code, "calib/BIAS-016.fits is not for ccd 23" in done.log) == (3, True)


def test_too_few_matches_are_a_science_failure(repo: Path) -> None:
    done = process(repo, "-c", "minMatches=500")
    assert (done.code, "astrometry: only" in done.log) == (4, True)


def test_measuring_without_the_reference_catalogue_must_be_asked_for(campaign: Path, tmp_path: Path) -> None:
    copy = tmp_path / "repo"
    shutil.copytree(campaign, copy, symlinks=True, ignore=shutil.ignore_patterns("ref_cats"))
    measure = ("measureCoaddSources", *IO, "--id", "tract=0", f"patch={PATCH}", "filter=HSC-I")
    done = run(*measure, cwd=tmp_path)
    assert (done.code, "no ref_cat for" in done.log) == (3, True)
    assert run(*measure, "-c", "doMatchSources=False", cwd=tmp_path).code == 0


def test_a_warp_of_another_sky_map_is_3(campaign: Path, tmp_path: Path) -> None:
    copy = tmp_path / "repo"
    shutil.copytree(campaign, copy, symlinks=True)
    skymap = SkyMap.load(copy / "deepCoadd/skyMap.json")
    (copy / "deepCoadd/skyMap.json").unlink()
    (copy / "deepCoadd/skyMap.json").write_text(replace(skymap, patch_pixels=200).dumps())
    identity = ("--id", "tract=0", f"patch={PATCH}", "filter=HSC-I", "--selectId", "visit=903986")
    done = run("assembleCoadd", *IO, *identity, cwd=tmp_path)
    assert (done.code, "not on the pixels of patch 0,1" in done.log) == (3, True)


def test_fail_code_stops_a_program_before_its_work(repo: Path) -> None:
    assert process(repo, "-c", "failCode=7").code == 7
    assert not (repo / "corr").exists()


def test_a_visit_that_the_registry_does_not_know_names_data_id_and_dataset(repo: Path) -> None:
    (repo / "raw/HSC-0000001-016.fits").symlink_to(repo / "raw/HSC-0903334-016.fits")
    done = run("processCcd", *IO, "--id", "visit=1", "ccd=16", cwd=repo.parent)
    assert done.code == 3
    assert "no unique filter for flat of visit=1 ccd=16: 0 rows" in done.log


@pytest.mark.parametrize("content", [None, b"not a database"])
def test_a_registry_that_cannot_be_asked_is_3(repo: Path, content: bytes | None) -> None:
    (repo / "registry.sqlite3").unlink()
    if content:
        (repo / "registry.sqlite3").write_bytes(content)
    done = process(repo)
    assert (done.code, "registry.sqlite3" in done.log) == (3, True)


def test_a_directory_without_mapper_is_not_a_repository(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    done = process(tmp_path / "repo")
    assert (done.code, "not a butler repository" in done.log) == (3, True)


# --- the repository's configuration


def test_a_configuration_cannot_make_objects(tmp_path: Path) -> None:
    (tmp_path / "repositoryCfg.yaml").write_text(
        "!RepositoryCfg_v1\n_mapper: !!python/object/apply:os.system ['touch owned']\n_policy: {}\n"
    )
    with pytest.raises(InputFault, match="could not determine a constructor"):
        read_policy(tmp_path)


def test_a_repository_of_another_mapper_is_refused(tmp_path: Path) -> None:
    (tmp_path / "_mapper").write_text("lsst.obs.test.TestMapper\n")
    with pytest.raises(InputFault, match="mapper is 'lsst"):
        read_policy(tmp_path)


def test_a_mapper_file_alone_means_the_default_templates(tmp_path: Path) -> None:
    (tmp_path / "_mapper").write_text("hsc_mini.mapper.HscMapper\n")
    assert read_policy(tmp_path) == {}


def test_a_comma_in_a_patch_is_part_of_its_name_and_an_x_in_file_names() -> None:
    data_id = parse_id(["tract=0", "patch=0,1", "filter=HSC-I"])
    assert data_id == {"tract": 0, "patch": "0,1", "filter": "HSC-I"}
    assert HscMapper().path("deepCoadd", data_id) == "coadd/coadd-HSC-I-0-0x1.fits"


def test_the_campaigns_template_covers_the_same_datasets_with_distinct_names() -> None:
    templates = filled_templates()
    assert {section: set(types) for section, types in templates.items()} == {
        section: set(types) for section, types in DEFAULT_TEMPLATES.items()
    }
    names = [template.rpartition("/")[2] for types in templates.values() for template in types.values()]
    assert len(set(names)) == len(names)


# --- createButlerRegistry


def test_a_registry_has_the_tables_of_a_gen2_repository(repo: Path) -> None:
    with sqlite3.connect(repo / "registry.sqlite3") as connection:
        assert connection.execute("select count(*) from raw").fetchone() == (16,)
        row = connection.execute("select * from raw_visit where visit = 903986").fetchone()
    assert row == (903986, "SIM-STRIPE82L", "HSC-I", "2013-11-02", "2013-11-02")


def test_two_registries_of_one_list_are_the_same_bytes(repo: Path) -> None:
    run_all([["createButlerRegistry", "raws.list", "--output", "again.sqlite3"]], repo.parent)
    assert (repo.parent / "again.sqlite3").read_bytes() == (repo / "registry.sqlite3").read_bytes()


HEAD = "# visit, ccd, filter, field, dateObs, taiObs, pointing, expTime\n"
RAW = "903334, 16, HSC-R, F, 2013-06-17, 2013-06-17, 533, 60.0\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: the first line"),
        (RAW, ":1: the first line"),
        (HEAD, "lists no raw"),
        ("# visit, ccd, colour\n" + RAW, "not of the registry: ['colour']"),
        (HEAD + "903334, 16, HSC-R\n", ":2: 3 values for 8 columns"),
        (HEAD + RAW.replace("16,", "sixteen,"), ":2: invalid literal"),
        (HEAD + RAW + RAW, "contradict each other"),
        (HEAD + RAW + RAW.replace(" 16,", " 23,").replace("HSC-R", "HSC-I"), "contradict each other"),
    ],
)
def test_a_bad_list_of_raws_is_3(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "raws.list").write_text(text)
    done = run("createButlerRegistry", "raws.list", "--output", "registry.sqlite3", cwd=tmp_path)
    assert (done.code, message in done.log) == (3, True), done.log
    assert not list(tmp_path.glob("*.sqlite3*"))


# --- start-up decides what a campaign costs


def test_programs_import_nothing_heavy() -> None:
    modules = {entry.split(":")[0] for entry in SCRIPTS.values() if entry.startswith("hsc_mini.")}
    assert len(modules) == 10
    heavy = "{'astropy', 'scipy', 'facade'} & set(sys.modules)"
    code = f"import sys, {', '.join(sorted(modules))}; sys.exit(str({heavy} or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_a_task_that_looks_nothing_up_does_not_need_the_registry(campaign: Path, tmp_path: Path) -> None:
    copy = tmp_path / "repo"
    shutil.copytree(campaign, copy, symlinks=True)
    (copy / "registry.sqlite3").unlink()
    run_all([["forcedPhotCoadd", *IO, "--id", "tract=0", f"patch={PATCH}", "filter=HSC-I"]], tmp_path)


def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "table.fits"
    code = f"""
import resource, numpy
from pathlib import Path
from hsc_mini import fitsfile
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
fitsfile.write(Path({str(path)!r}), {{}}, [("T", numpy.zeros(1000, dtype=[("a", "f8")]), {{}})])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0 and "File too large" in done.stderr
    assert not path.exists()
