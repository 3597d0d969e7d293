"""Jobs with an archive on the cluster's disk: where they read, where they store, what their receipts say of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from job.house import House

from facade.archive import Transfer
from facade.archive.local import LocalArchive
from facade.errors import BAD_INPUT, TransferError
from facade.needs import RETRY


@dataclass
class Near(House):
    """A house with a second archive; *more* is what its capsules say of that."""

    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.near.mkdir()
        self.said(["near", "home"], ["near"])

    @property
    def near(self) -> Path:
        return self.root / "near"

    def said(self, read: list[str], store: list[str], **more: Any) -> None:
        target = {"name": "near", "root": str(self.near), "options": {"tries": "2"}}
        self.more = {"target": target, "read": read, "store": store, **more}

    def write(self) -> Path:
        path = super().write()
        path.write_text(json.dumps({**json.loads(path.read_text()), **self.more}))
        return path

    def stored(self, run: int = 1) -> list[tuple[str, list[str]]]:
        """Return (archive, names) of the stored lines of a run."""
        lines = [line for line in self.lines(run) if line["kind"] == "stored"]
        return [(line["archive"], [name for name, _, _ in line["files"]]) for line in lines]


@pytest.fixture
def near(tmp_path: Path) -> Near:
    return Near(tmp_path)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


LOG = "Ht0_r11p01_step_w00001.log"


def test_outputs_are_stored_there_and_inputs_taken_from_there_first(near: Near) -> None:
    there, home = near.input("there.txt", "there\n"), near.input("home.txt", "home\n")
    (near.near / "raw").mkdir()
    (near.archive / "raw/there.txt").rename(near.near / "raw/there.txt")
    near.add(near.copy("out/a", "in/there.txt", "in/home.txt"), inputs=[there, home], outputs=[near.output("a")])
    assert near.run() == 0
    assert (near.near / "red/a").read_text() == "THERE\nHOME\n"
    assert names(near.archive) == ["home.txt"] and near.stored() == [("near", ["a", LOG])]


def test_outputs_are_stored_in_both(near: Near) -> None:
    near.said(["near", "home"], ["near", "home"])
    near.add(near.copy("out/a"), outputs=[near.output("a")])
    near.add(near.copy("out/b", "out/a"), inputs=[near.made("a")], outputs=[near.output("b")])
    assert near.run() == 0
    assert (
        names(near.near)
        == names(near.archive)
        == ["Ht0_r11p01_step_w00001.log", "Ht0_r11p01_step_w00002.log", "a", "b"]
    )
    assert [archive for archive, _ in near.stored()] == ["near", "home"] * 2
    assert near.stored()[0][1] == near.stored()[1][1] == ["a", LOG]


def test_what_lies_nowhere_is_told_with_both_places(near: Near) -> None:
    lost = near.input("lost.txt")
    (near.archive / "raw/lost.txt").unlink()
    near.add(near.copy("out/a", "in/lost.txt"), inputs=[lost], outputs=[near.output("a")])
    assert near.run() == 1
    message = near.ended()[41]["failure"]["message"]
    assert str(near.near / "raw/lost.txt") in message and str(near.archive / "raw/lost.txt") in message
    assert near.stored() == [("near", [LOG])], "the log of what failed is kept"


def test_a_resume_finds_what_an_earlier_run_stored_there(near: Near) -> None:
    near.add(near.copy("out/a"), outputs=[near.output("a")])
    again = near.python("import os, sys; sys.exit(not os.path.exists(sys.argv[1]))", used=["a"])
    again["argv"].append(str(near.root / "go"))
    near.add(again, inputs=[near.made("a", path="elsewhere")])
    assert near.run() == 1
    (near.root / "go").touch()
    for folder in near.workdirs():
        for file in folder.rglob("a"):
            file.unlink()
    assert near.run() == 0 and 41 not in near.ended(2)


@pytest.mark.parametrize(
    ("read", "store", "told"),
    [(["far"], ["near"], "archive 'far' is named"), ([], ["near"], "which archives"), (["home"], [], "which archives")],
)
def test_a_capsule_that_does_not_say_where_is_refused(
    near: Near, capsys: pytest.CaptureFixture[str], read: list[str], store: list[str], told: str
) -> None:
    near.said(read, store)
    near.add(near.copy("out/a"), outputs=[near.output("a")])
    assert near.run() == BAD_INPUT and told in capsys.readouterr().err


@pytest.mark.parametrize("ahead", [False, True])
def test_inputs_of_all_quanta_are_fetched_when_the_job_starts(near: Near, ahead: bool) -> None:
    near.more = {"stage": "job"} if ahead else {}
    first, second, lost = near.input("a.txt", "a\n"), near.input("b.txt", "b\n"), near.input("lost.txt")
    (near.archive / "raw/lost.txt").unlink()
    near.add(near.python(f"import os; os.remove({str(near.archive / 'raw/b.txt')!r})"), inputs=[first])
    near.add(near.copy("out/b", "in/b.txt"), inputs=[second], outputs=[near.output("b")])
    near.add(near.copy("out/c", "in/lost.txt"), inputs=[lost], outputs=[near.output("c")])
    assert near.run() == 1
    states = [near.ended()[task]["state"] for task in (41, 42, 43)]
    assert states == ["succeeded", "succeeded" if ahead else "failed", "failed"]
    failure = near.ended()[43]["failure"]
    assert (failure["class"], failure["step"]) == ("input-missing", "stage-in"), "told by whoever reads it"


def test_an_archive_that_is_down_is_not_asked_for_every_input(near: Near, monkeypatch: pytest.MonkeyPatch) -> None:
    near.more = {"stage": "job"}
    asked = []

    def fetch(archive: LocalArchive, source: str, *more: object) -> Transfer:
        asked.append(source)
        raise TransferError("it is down")

    monkeypatch.setattr(LocalArchive, "fetch", fetch)
    items = [near.input(f"{n}.txt") for n in range(5)]
    for item in items:
        near.add(near.copy(f"out/{item['filename']}", f"in/{item['filename']}"), inputs=[item])
    assert near.run() == RETRY
    assert asked[0] == asked[1] == "raw/0.txt" and len(asked) == 6, "once ahead, then each by its quantum"
