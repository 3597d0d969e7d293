"""What the wrappers make of a job directory; they are reached by name, as campaigns do."""

from __future__ import annotations

import io
import os
import sqlite3
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from facade import plugins
from facade.errors import InputError

IDENTITY = {"project": "MMG", "reqnum": 11, "unitname": "Ht0", "attnum": 5}


@dataclass
class FakeRun:
    """A quantum whose files the test has put into *directory*."""

    directory: Path
    parameters: Mapping[str, str] = field(default_factory=dict)
    inputs: Sequence[Mapping[str, Any]] = ()
    identity: Mapping[str, plugins.Scalar] = field(default_factory=lambda: dict(IDENTITY))
    keys: Mapping[str, plugins.Scalar] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def log(self, text: str) -> None:
        self.said.append(text)


def staged(directory: Path, path: str, rename: str = "", text: str = "x", **metadata: Any) -> dict[str, Any]:
    file = directory / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return {"section": "file.x", "filename": file.name, "path": path, "rename": rename, "metadata": metadata}


def prepare(name: str, run: FakeRun) -> None:
    """Prepare twice: it must be safe to repeat."""
    wrapper = plugins.wrapper(name)
    wrapper.prepare(run)
    wrapper.prepare(run)
    assert wrapper.command(run, ["a b", "c"]) == ["a b", "c"]


def raw(visit: int, ccd: int, **more: Any) -> dict[str, Any]:
    return {"visit": visit, "ccd": ccd, "filter": "HSC-I", "pointing": 533, "field": "STRIPE82L",
            "dateobs": "2013-06-17T10:00:00", "taiobs": "2013-06-17", "exptime": 30.0, "expid": "HSCA90333400",
            **more}  # fmt: skip


# -- second names


@pytest.mark.parametrize("name", ["generic", "lsst"])
def test_an_input_with_a_second_name(tmp_path: Path, name: str) -> None:
    item = staged(tmp_path, "repo/raw/it's a.fits", "HSC-0903334-016.fits")
    run = FakeRun(tmp_path, inputs=[item, staged(tmp_path, "repo/other.fits")])
    prepare(name, run)
    link = tmp_path / "repo/raw/HSC-0903334-016.fits"
    assert os.readlink(link) == "it's a.fits"
    assert sorted(os.listdir(tmp_path / "repo")) == ["other.fits", "raw"]


def test_a_later_quantum_takes_the_second_name_over(tmp_path: Path) -> None:
    for text in ("one.pickle", "two.pickle"):
        prepare("generic", FakeRun(tmp_path, inputs=[staged(tmp_path, f"repo/{text}", "skyMap.pickle")]))
    assert os.readlink(tmp_path / "repo/skyMap.pickle") == "two.pickle"
    assert sorted(os.listdir(tmp_path / "repo")) == ["one.pickle", "skyMap.pickle", "two.pickle"]


def test_a_file_does_not_give_its_name_away(tmp_path: Path) -> None:
    items = [staged(tmp_path, "repo/b.txt", text="mine"), staged(tmp_path, "repo/a.txt", "b.txt")]
    with pytest.raises(InputError, match="a file of that name is there"):
        plugins.wrapper("generic").prepare(FakeRun(tmp_path, inputs=items))
    assert (tmp_path / "repo/b.txt").read_text() == "mine"


# -- the repository

TEMPLATE = """
exposures:
  calexp: corr/D%(visit)08d_%(filter)s_c%(ccd)03d_r${reqnum}p${attnum:2}_calexp.fits
datasets:
  src: {template: "cat/it's_${unitname}_src.fits"}
"""
REPO = {"job_repo_dir": "repo", "mapper": "lsst.obs.hsc.HscMapper", "butler_template": "conf/butler.yaml"}


def load(path: Path) -> Any:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda loader, suffix, node: suffix)
    Loader.add_constructor("!RepositoryCfg_v1", lambda loader, node: loader.construct_mapping(node, deep=True))
    return yaml.load(path.read_text(), Loader)


def rows(repo: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(repo / "registry.sqlite3")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_the_repository_of_a_job(tmp_path: Path) -> None:
    items = [
        staged(tmp_path, "conf/butler.yaml", text=TEMPLATE),
        staged(tmp_path, "repo/raw/a.fits", **raw(903334, 16)),
    ]
    prepare("lsst", FakeRun(tmp_path, REPO, items))
    assert load(tmp_path / "repo/repositoryCfg.yaml") == {
        "_mapper": "lsst.obs.hsc.HscMapper", "_mapperArgs": {}, "_parents": [], "_root": None,
        "_policy": {
            "exposures": {"calexp": {"template": "corr/D%(visit)08d_%(filter)s_c%(ccd)03d_r11p05_calexp.fits"}},
            "datasets": {"src": {"template": "cat/it's_Ht0_src.fits"}},
        },
    }  # fmt: skip
    assert rows(
        tmp_path / "repo", "select visit, ccd, filter, pointing, field, expTime, dateObs, proposal from raw"
    ) == [(903334, 16, "HSC-I", 533, "STRIPE82L", 30.0, "2013-06-17", None)]
    assert rows(tmp_path / "repo", "select visit, field, filter, dateObs, taiObs from raw_visit") == [
        (903334, "STRIPE82L", "HSC-I", "2013-06-17", "2013-06-17")
    ]
    assert sorted(os.listdir(tmp_path / "repo")) == ["raw", "registry.sqlite3", "repositoryCfg.yaml"]


def test_quanta_of_one_job_share_the_registry(tmp_path: Path) -> None:
    parameters = {"job_repo_dir": "repo", "mapper": "lsst.obs.hsc.HscMapper"}
    for ccd in (16, 23):
        run = FakeRun(tmp_path, parameters, [staged(tmp_path, f"repo/{ccd}.fits", **raw(903334, ccd, pointing=None))])
        prepare("lsst", run)
    prepare("lsst", FakeRun(tmp_path, parameters, [staged(tmp_path, "repo/16.fits", **raw(903334, 16))]))
    assert rows(tmp_path / "repo", "select ccd, pointing from raw order by ccd") == [(16, 533), (23, None)]
    assert rows(tmp_path / "repo", "select count(*) from raw_visit") == [(1,)]
    assert (tmp_path / "repo/_mapper").read_text() == "lsst.obs.hsc.HscMapper\n"


def test_a_staged_registry_is_used_as_it_is(tmp_path: Path) -> None:
    parameters = {"job_repo_dir": "repo", "mapper": "lsst.obs.hsc.HscMapper"}
    prepare("lsst", FakeRun(tmp_path, parameters, [staged(tmp_path, "repo/a.fits", **raw(1, 1))]))
    given = staged(tmp_path, "repo/reg-v3.sqlite3", "registry.sqlite3", text="given")
    prepare("lsst", FakeRun(tmp_path, parameters, [given, staged(tmp_path, "repo/a.fits", **raw(1, 1))]))
    prepare("lsst", FakeRun(tmp_path, parameters, [staged(tmp_path, "repo/b.fits", **raw(1, 2))]))
    assert (tmp_path / "repo/registry.sqlite3").read_text() == "given"
    assert os.readlink(tmp_path / "repo/registry.sqlite3") == "reg-v3.sqlite3"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("exposures: {calexp: 'a_${attempt}.fits'}", r"\$\{attempt\} in template .* is not known"),
        ("exposures: {calexp: 'a_${attnum:x}.fits'}", "only"),
        ("exposures: {calexp: 5}", "calexp has no template"),
        ("[1, 2]", "is not a map"),
        ("a: [", "cannot read butler_template"),
        ('exposures: {calexp: "a\\nb"}', "cannot be written down"),
        ("exposures: {'a: b': x}", "cannot be written down"),
    ],
)
def test_templates_that_make_no_sense(tmp_path: Path, template: str, message: str) -> None:
    run = FakeRun(tmp_path, REPO, [staged(tmp_path, "conf/butler.yaml", text=template)])
    with pytest.raises(InputError, match=message):
        plugins.wrapper("lsst").prepare(run)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"job_repo_dir": "repo"}, "no mapper"),
        ({"job_repo_dir": "repo", "mapper": "x'; evil"}, "not the full name of a class"),
        ({"job_repo_dir": "../repo", "mapper": "a.B"}, "job_repo_dir = ../repo does not lie in the job directory"),
        ({**REPO, "butler_template": "none.yaml"}, "cannot read butler_template"),
        ({"job_repo_dir": "repo", "mapper": "a.B", "ref_cats_root": "cats"}, "there is no such folder"),
        ({"untar_files": "/etc/x.tar"}, "untar_files = /etc/x.tar does not lie"),
        ({"untar_files": "none.tar"}, "cannot unpack"),
    ],
)
def test_parameters_that_make_no_sense(tmp_path: Path, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plugins.wrapper("lsst").prepare(FakeRun(tmp_path, parameters))


@pytest.mark.parametrize("absolute", [True, False])
def test_reference_catalogues_are_linked(tmp_path: Path, absolute: bool) -> None:
    (tmp_path / "job/cats").mkdir(parents=True)
    (tmp_path / "job/cats/shard").touch()
    root = str(tmp_path / "job/cats") if absolute else "cats"
    parameters = {"job_repo_dir": "deep/repo", "mapper": "a.B", "ref_cats_root": root}
    prepare("lsst", FakeRun(tmp_path / "job", parameters))
    link = tmp_path / "job/deep/repo/ref_cats"
    assert os.listdir(link) == ["shard"]
    assert os.path.isabs(os.readlink(link)) is absolute


# -- tar files


def tar(path: Path, *members: tuple[str, bytes, str]) -> Path:
    """Write a tar file of (name, type, data or link target)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(data)
            else:
                info.linkname = data
            archive.addfile(info, io.BytesIO(data.encode()))
    return path


FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize(("into", "folder"), [("", "cal"), ("repo/calib", "repo/calib")])
def test_tar_files_are_unpacked_once(tmp_path: Path, into: str, folder: str) -> None:
    tar(tmp_path / "cal/a.tgz", ("x/1", FILE, "one"), ("x/..2", FILE, "two"), ("y", LINK, "x/1"), ("z", HARD, "x/1"))
    tar(tmp_path / "cal/b.tgz", ("x/3", FILE, "three"))
    run = FakeRun(tmp_path, {"untar_files": "cal/a.tgz, cal/b.tgz", "untar_dir": into})
    prepare("lsst", run)
    assert (tmp_path / folder / "y").read_text() == (tmp_path / folder / "z").read_text() == "one"
    assert sorted(os.listdir(tmp_path / folder / "x")) == ["..2", "1", "3"]
    assert run.said == [f"unpacked cal/{name}: {n} members" for name, n in
                        (("a.tgz", 4), ("b.tgz", 1), ("a.tgz", 0), ("b.tgz", 0))]  # fmt: skip


def test_owners_and_modes_are_made_harmless_by_any_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Debian 12 has Python 3.11.2, whose tarfile has no filters yet
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("x/tool")
        info.size, info.mode, info.uid, info.gid, info.uname = 2, 0o4777, 12345, 12345, "games"
        archive.addfile(info, io.BytesIO(b"hi"))
    prepare("lsst", FakeRun(tmp_path, {"untar_files": "a.tar"}))
    found = (tmp_path / "x/tool").stat()
    assert (found.st_mode & 0o7777, found.st_uid) == (0o755, os.getuid())


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", FILE, "x")],
        [("a/../../evil", FILE, "x")],
        [("/tmp/evil", FILE, "x")],
        [("l", LINK, "/etc")],
        [("l", LINK, "../..")],
        [("a/l", LINK, "../../x")],
        [("l", HARD, "../x")],
        [("l", HARD, "/etc/passwd")],
        [("a", LINK, "b"), ("a/evil", FILE, "x")],
        [("d/x", FILE, "x"), ("a", LINK, "d"), ("b", LINK, "a/../..")],
        [("a", LINK, "d"), ("b", LINK, "a/x")],
        [("dev", tarfile.CHRTYPE, "")],
        [("pipe", tarfile.FIFOTYPE, "")],
    ],
)
def test_tar_files_that_are_not_safe(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    tar(tmp_path / "job/a.tar", ("good", FILE, "x"), *members)
    with pytest.raises(InputError, match="is not safe to unpack: member"):
        plugins.wrapper("lsst").prepare(FakeRun(tmp_path / "job", {"untar_files": "a.tar", "untar_dir": "in"}))
    assert sorted(os.listdir(tmp_path)) == ["job"] and os.listdir(tmp_path / "job") == ["a.tar"]


@pytest.mark.parametrize("cut", [0, 10, 100])
def test_tar_files_that_are_damaged(tmp_path: Path, cut: int) -> None:
    path = tar(tmp_path / "a.tar", ("good", FILE, "x" * 100_000 + os.urandom(500).hex()))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match="cannot unpack"):
        plugins.wrapper("lsst").prepare(FakeRun(tmp_path, {"untar_files": "a.tar"}))
