"""Finding files, calling attempts junk, removing what nobody needs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from asking.place import Place

from facade import removal
from facade.archive.local import LocalArchive
from facade.errors import RefusedError, TransferError
from facade.registry import Registry, holdings
from facade.site import Site


def test_files_are_found_by_everything_that_is_known_of_them(place: Place) -> None:
    files, coadd = place.listed, "calexp-HSC-I-0-0x1-r11p01.fits"
    assert files(coadd, "HSCA90398616.fits") == ["HSCA90398616.fits", coadd]
    assert files("calexp-*-r11p01.fits") == ["calexp-903334-16-r11p01.fits", "calexp-903334-22-r11p01.fits", coadd]
    assert files("?SCA*16.fits") == ["HSCA90398616.fits"]
    assert files("--filetype", "calexp", "--where", "ccd=20:30") == [f"calexp-903334-22-r11p0{n}.fits" for n in (1, 3)]
    assert files(
        "--filetype", "calexp", "--where", "ccd=!22", "--where", "visit=903334", "--attempt", "Ht0_r11p03"
    ) == ["calexp-903334-16-r11p03.fits"]
    assert files("--tag", "PROTO-0.1", "--filetype", "deepcoadd_calexp") == [coadd]
    made, products = files("--attempt", "Ht0_r11p02"), files("--attempt", "Ht0_r11p02", "--products")
    assert [name for name in made if not name.endswith(".log")] == ["det-HSC-I-0-0x1-r11p02.txt"]
    assert products == [coadd, "det-HSC-I-0-0x1-r11p02.txt"]
    assert files("--in", "home", "*bias*") == [] and len(files("--in", "home", "BIAS*")) == 2
    found = place.world.json("files", "calexp-903334-16-r11p01.fits")[0]
    assert found["metadata"] == {"visit": 903334, "ccd": 16} and found["attempt"] == "Ht0_r11p01"
    path = place.world.facade("files", "calexp-903334-16-r11p01.fits", "--paths").stdout
    assert Path(path.strip()) == place.product("calexp-903334-16-r11p01.fits")
    assert "2 files" in place.world.facade("files", "BIAS*").stderr


def test_what_is_not_known_is_told_with_what_may_be_meant(place: Place) -> None:
    def told(*words: str) -> str:
        return place.world.facade("files", *words, code=2).stderr

    assert "did you mean HSCA90398616.fits" in told("HSCA90398617.fits")
    assert "did you mean 'PROTO-0.1'" in told("--tag", "PROTO-01")
    assert "did you mean 'calexp'" in told("--filetype", "calxp")
    assert "have no column 'cdd'" in told("--filetype", "calexp", "--where", "cdd=1")
    assert "which is not a whole number" in told("--filetype", "calexp", "--where", "ccd=x")
    assert "files of type det have no metadata" in told("--filetype", "det", "--where", "ccd=1")
    assert "no archive is called 'hom'" in told("--in", "hom")
    assert "need a filetype" in told("a*", "--where", "ccd=1") and "which files?" in told()
    assert "there is no attempt 'x'" in told("--attempt", "x")


def test_data_of_an_attempt_are_junk_until_that_is_undone(place: Place) -> None:
    run = place.world.facade
    assert "tagged PROTO-0.1" in run("junk", "Ht0_r11p01", code=4).stderr
    assert (
        "are now junk" in run("junk", "Ht0_r11p03").stderr and "were already junk" in run("junk", "Ht0_r11p03").stderr
    )
    assert all(one["junk"] for one in place.world.json("files", "--attempt", "Ht0_r11p03"))
    assert "are now active" in run("junk", "--undo", "Ht0_r11p03").stderr
    assert not any(one["junk"] for one in place.world.json("files", "--attempt", "Ht0_r11p03"))


def test_junk_is_removed_and_stays_known(place: Place) -> None:
    run, before = place.world.facade, place.present()
    mine = {path for path in before if "/p03/" in path}
    assert "say first: facade junk Ht0_r11p03" in run("rm", "Ht0_r11p03", code=4).stderr
    run("junk", "Ht0_r11p03")
    listed = run("rm", "Ht0_r11p03", "--dry-run").stdout.splitlines()
    assert {line.removeprefix("home: ") for line in listed} == mine and place.present() == before
    gone = place.world.json("rm", "Ht0_r11p03")
    assert {one["path"] for one in gone} == mine and place.present() == before - mine
    coadd = place.world.json("files", "calexp-HSC-I-0-0x1-r11p03.fits")[0]
    assert coadd["places"] == [] and len(coadd["sha256"]) == 64
    up = place.world.json("provenance", "calexp-HSC-I-0-0x1-r11p03.fits")
    assert {one["filename"] for one in up if one["depth"] == 1} >= {"calexp-903334-16-r11p03.fits"}
    assert place.world.json("rm", "Ht0_r11p03") == []


def test_what_others_need_is_not_removed_and_it_is_told_who_needs_it(place: Place) -> None:
    run, before = place.world.facade, place.present()
    run("untag", "Ht0_r11p01", "PROTO-0.1")
    assert "Ht0_r11p02 read files of it, or took them" in run("junk", "Ht0_r11p01").stderr
    told = run("rm", "Ht0_r11p01", code=4).stderr
    assert "calexp-HSC-I-0-0x1-r11p01.fits is read by Ht0_r11p02" in told and "needed by Ht0_r11p02" in told
    assert "taken by Ht0_r11p02" in told and place.present() == before
    told = run("rm", "HSCA90398616.fits", code=4).stderr
    assert "HSCA90398616.fits is read by Ht0_r11p03" in told and "Ht0_r11p01" not in told
    assert "made by Ht0_r11p03" in run("rm", "calexp-903334-16-r11p03.fits", code=4).stderr
    run("junk", "Ht0_r11p02")
    run("rm", "Ht0_r11p01", "Ht0_r11p02")
    assert {path for path in before - place.present()} == {
        path for path in before if "/p01/" in path or "/p02/" in path
    }


def test_what_a_tag_keeps_is_not_removed_even_if_it_is_junk(place: Place) -> None:
    place.world.facade("junk", "Ht0_r11p03")
    place.world.facade("tag", "Ht0_r11p03", "KEEP")
    assert "(tagged KEEP)" in place.world.facade("rm", "Ht0_r11p03", code=4).stderr


def test_what_an_attempt_that_is_not_done_will_read_is_not_removed(place: Place) -> None:
    """Attempt 1 has failed; going on with it reads the coadd, which it has not read so far."""
    place.world.facade("junk", "Ht0_r11p03")
    with Registry.open(place.address) as registry:
        coadd = registry.care.find(removal.Wanted(names=["calexp-HSC-I-0-0x1-r11p01.fits"]))[0]
        raw = registry.care.find(removal.Wanted(names=["HSCA90398616.fits"]))[0]
        registry._session.rows("delete from opm_used")
        needs = {(one.name, one.how, one.attempt) for one in registry.care.needs([coadd.id, raw.id])}
    assert (raw.name, "in the plan of", "Ht0_r11p01") in needs
    assert {attempt for _, _, attempt in needs} == {"Ht0_r11p01", "Ht0_r11p02"}
    assert "in the plan of" in place.world.facade("rm", "HSCA90398616.fits", code=4).stderr


def test_a_copy_may_go_while_another_stays(place: Place) -> None:
    (place.home / "site.wcl").write_text("<archive disk>\n    root = disk\n</archive>\n")
    place.world.facade("files", "HSCA90398616.fits")
    there = place.home / "disk/raw/HSCA90398616.fits"
    there.parent.mkdir(parents=True)
    there.write_bytes((place.archive / "raw/HSCA90398616.fits").read_bytes())
    with Registry.open(place.address) as registry:
        raw = registry.care.registered("home", ["HSCA90398616.fits"])["HSCA90398616.fits"]
        registry.add_locations("disk", registry.care.page("home", raw.id - 1, 1, None, ""))
    place.world.facade("rm", "HSCA90398616.fits", code=4)
    assert there.exists()
    home = place.archive / "raw/HSCA90398616.fits"
    home.rename(place.home / "aside")
    told = place.world.facade("rm", "--archive", "disk", "HSCA90398616.fits", code=1).stderr
    assert "it is needed, and no other archive has it whole" in told and there.exists()
    home.write_bytes(bytes(there.stat().st_size))
    assert told == place.world.facade("rm", "--archive", "disk", "HSCA90398616.fits", code=1).stderr and there.exists()
    (place.home / "aside").rename(home)
    place.world.facade("rm", "--archive", "disk", "HSCA90398616.fits")
    assert not there.exists() and (place.archive / "raw/HSCA90398616.fits").exists()
    assert "is read by" in place.world.facade("rm", "--archive", "home", "HSCA90398616.fits", code=4).stderr
    place.world.facade("rm", "--archive", "nowhere", "HSCA90398616.fits", code=2)


def test_two_that_remove_one_copy_each_leave_one(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.home / "site.wcl").write_text("<archive disk>\n    root = disk\n</archive>\n")
    name, there, home = "HSCA90398616.fits", place.home / "disk/raw", place.archive / "raw"
    there.mkdir(parents=True)
    (there / name).write_bytes((home / name).read_bytes())
    with Registry.open(place.address) as registry:
        raw = registry.care.registered("home", [name])[name]
        registry.add_locations("disk", registry.care.page("home", raw.id - 1, 1, None, ""))
    site, both, real = Site.here({"FACADE_HOME": str(place.home)}), threading.Barrier(2), removal._stays

    def stays(site: Site, copy: removal.Copy) -> bool:
        found = real(site, copy)
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=2)
        return found

    def remove(archive: str) -> removal.Removed:
        with Registry.open(place.address) as registry:
            wanted = removal.wanted(registry, site, [name], archive)
            both.wait(timeout=30)
            return removal.remove(registry, site, wanted, lambda number: None)

    monkeypatch.setattr(removal, "_stays", stays)
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(remove, ["home", "disk"]))
    assert sorted(len(one.gone) for one in done) == [0, 1]
    assert sum((folder / name).exists() for folder in (there, home)) == 1
    assert len(place.world.json("files", name)[0]["places"]) == 1


def test_what_cannot_be_removed_stays_known_where_it_is(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.world.facade("junk", "Ht0_r11p03")
    stubborn, real = "calexp-903334-16-r11p03.fits", LocalArchive.remove

    def remove(self: LocalArchive, source: str) -> bool:
        if source.endswith(stubborn):
            raise TransferError(f"cannot remove {source}: read-only file system")
        return real(self, source)

    monkeypatch.setattr(LocalArchive, "remove", remove)
    site = Site.here({"FACADE_HOME": str(place.home)})
    with Registry.open(place.address) as registry:
        wanted = removal.wanted(registry, site, ["Ht0_r11p03"])
        done = removal.remove(registry, site, wanted, lambda number: None)
        assert len(done.gone) == len(wanted) - 1 and "read-only" in done.failed[0] and len(done.failed) == 1
        left = [one.file.name for one in removal.wanted(registry, site, ["Ht0_r11p03"])]
    assert left == [stubborn] and place.product(stubborn, 3).exists()


def test_what_somebody_needs_meanwhile_is_not_removed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.world.facade("junk", "Ht0_r11p03")
    monkeypatch.setattr(removal, "BATCH", 1)
    site = Site.here({"FACADE_HOME": str(place.home)})
    with Registry.open(place.address) as registry:
        wanted = removal.wanted(registry, site, ["Ht0_r11p03"])

        def read(number: int) -> None:
            registry._session.rows(
                "insert into opm_used select (select min(task_id) from pfw_exec), id from desfile"
                " where pfw_attempt_id = 3 on conflict do nothing"
            )

        with pytest.raises(RefusedError, match="is read by Ht0_r11p01"):
            removal.remove(registry, site, wanted, read)
        left = removal.wanted(registry, site, ["Ht0_r11p03"])
    assert len(left) == len(wanted) - 1 and all((place.archive / one.path).exists() for one in left)
    assert place.answer("compare")["findings"] == []


class Killed(BaseException):
    """Stands for ``kill -9``: nobody catches it."""


def test_wherever_a_removal_is_cut_short_saying_it_again_ends_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before or after every single step, again and again, it never forgets a file that is there."""
    place.world.facade("junk", "Ht0_r11p03")
    monkeypatch.setattr(removal, "BATCH", 3)
    monkeypatch.setattr(removal, "THREADS", 1)
    steps, deaths = 0, 0

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*words: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == deaths // 2 + 1 and deaths % 2:  # before this step; the time before, after it
                raise Killed
            found = real(*words)
            if steps == deaths // 2 + 1:
                raise Killed
            return found

        return step

    monkeypatch.setattr(LocalArchive, "remove", dying(LocalArchive.remove))
    monkeypatch.setattr("facade.registry.holdings.forget", dying(holdings.forget))
    site, again = Site.here({"FACADE_HOME": str(place.home)}), True
    number = len([path for path in place.present() if "/p03/" in path])
    while again:
        with Registry.open(place.address) as registry:
            try:
                removal.remove(registry, site, removal.wanted(registry, site, ["Ht0_r11p03"]), lambda number: None)
                again = False
            except Killed:
                deaths += 1
            steps = 0
            found = registry.care.find(removal.Wanted(attempt=registry.attempt("Ht0_r11p03").id))
            placed = {one.at(at) for one in found for at in one.places}
        there = {path for path in place.present() if "/p03/" in path}
        assert there <= placed and len(found) == number
    assert deaths >= number and not there and not placed
    assert place.answer("compare")["findings"] == []


def test_what_is_removed_or_made_again_is_called_by_its_name_and_no_pattern(place: Place) -> None:
    names = ["star*.txt", "star1.txt", "star?.txt"]
    for name in names:
        (place.home / name).write_text(name)
    place.world.facade("ingest", "--filetype", "det", "--definitions", place.home / "campaign.wcl",
                       *[place.home / name for name in names])  # fmt: skip
    assert place.listed("star*.txt") == names
    assert "no file is registered as 'star*'" in place.world.facade("rm", "star*", code=2).stderr
    assert "no file is registered as 'calexp-*'" in place.world.facade("reproduce", "calexp-*", code=2).stderr
    assert [one["filename"] for one in place.answer("rm", "star*.txt")] == ["star*.txt"]
    left = {one["filename"]: len(one["places"]) for one in place.world.json("files", "star*.txt")}
    assert left == {"star*.txt": 0, "star1.txt": 1, "star?.txt": 1}


def test_a_copy_stays_if_the_other_archive_is_not_described_here(place: Place) -> None:
    """The others go all the same, and the registry knows."""
    names = ["HSCA90398616.fits", "loose.txt"]
    (place.home / names[1]).write_text("loose")
    place.world.facade("ingest", "--filetype", "det", "--definitions", place.home / "campaign.wcl",
                       place.home / names[1])  # fmt: skip
    with Registry.open(place.address) as registry:
        for file in registry.care.registered("home", names).values():
            registry.add_locations("attic", registry.care.page("home", file.id - 1, 1, None, ""))
    told = place.world.facade("rm", "--archive", "home", *names, code=1).stderr
    assert "HSCA90398616.fits: the site file has no archive 'attic'" in told and "1 files of 5 bytes" in told
    assert (place.archive / "raw/HSCA90398616.fits").exists()
    places = {one["filename"]: [at["archive"] for at in one["places"]] for one in place.world.json("files", *names)}
    assert places == {"HSCA90398616.fits": ["attic", "home"], "loose.txt": ["attic"]}
