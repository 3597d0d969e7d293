"""A job end to end: real files, real programs."""

from __future__ import annotations

import json
import shlex
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from job.house import House, chain, sha256

from facade.job.runner import run_job
from facade.job.surroundings import locked


def test_two_quanta_run_and_everything_is_written_down(house: House) -> None:
    chain(house)
    assert house.run() == 0
    assert (house.archive / "red/b.txt").read_text() == "ABC\n"
    one = ["staging", "running", "exec", "saving", "outputs", "stored", "quantum-ended"]
    assert house.kinds() == ["job-started", *one, *one, "job-ended"]
    lines = house.lines()
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    start, second = lines[0], [line for line in lines if line.get("quantum") == 42]
    assert (start["attempt_id"], start["job"], start["run"], start["batch_id"]) == (1, 12, 1, "")
    ran, outputs, stored = second[2], second[4], second[5]
    assert (ran["exit_code"], ran["signal"], ran["used"]) == (0, 0, [["a.txt", ""]])
    assert ran["utime"] + ran["stime"] > 0 and ran["maxrss"] > 1000
    assert outputs["files"][0] == {
        "filename": "b.txt", "compression": "", "filetype": "mid", "size": 4, "checksum": sha256("ABC\n"), "execnum": 1,
        "metadata": {"visit": 1}, "metadata_table": "",
    }  # fmt: skip
    assert outputs["files"][1]["filetype"] == "log" and outputs["files"][1]["execnum"] is None
    assert outputs["derived"] == [[["b.txt", ""], ["a.txt", ""]]]
    assert stored["files"] == [["b.txt", "", "red"], ["Ht0_r11p01_step_w00002.log", "", "log/step"]]
    assert house.workdirs() == []


def test_the_log_has_the_command_line_and_how_it_ended(house: House) -> None:
    chain(house)
    house.run()
    log = house.log()
    command = next(line for line in log.splitlines() if line.startswith("$ "))
    assert shlex.split(command[2:]) == house.quanta[0]["execs"][0]["argv"]
    assert "wrote out/a.txt" in log and "--- exec 1 " in log and ": exit 0; " in log


def test_a_program_that_fails_fails_its_quantum_and_blocks_what_needs_it(house: House) -> None:
    house.add(
        house.python("print('to be seen'); raise SystemExit(7)"),
        house.python("open('never', 'w')"),
        outputs=[house.output("a.txt")],
    )
    house.add(house.copy("out/b.txt"), inputs=[house.made("a.txt")], outputs=[house.output("b.txt")])
    house.add(house.copy("out/c.txt"), inputs=[house.made("b.txt")], outputs=[house.output("c.txt")])
    house.add(house.copy("out/d.txt"), outputs=[house.output("d.txt")])
    assert house.run() == 1
    ended = house.ended()
    failure = ended[41]["failure"]
    assert (failure["class"], failure["step"], failure["exit_code"], failure["signal"]) == ("exec-failed", "exec", 7, 0)
    assert "to be seen" in failure["tail"] and "job directory kept: " in failure["message"]
    assert [ended[n]["state"] for n in (41, 42, 43, 44)] == ["failed", "blocked", "blocked", "succeeded"]
    assert (ended[42]["failure"]["step"], ended[42]["failure"]["class"]) == ("upstream", "exec-failed")
    assert "a.txt of quantum 1 (step)" in ended[42]["failure"]["message"]
    assert [line["execnum"] for line in house.lines() if line["kind"] == "exec" and line["quantum"] == 41] == [1]
    assert "exited with 7" in house.log() and "to be seen" in house.log()
    assert len(house.workdirs()) == 1 and str(house.workdirs()[0]) in house.log()
    assert house.lines()[-1]["failure"]["class"] == "exec-failed"


def test_a_program_killed_by_a_signal(house: House) -> None:
    house.add(house.python("import os; os.kill(os.getpid(), 11)"))
    assert house.run() == 1
    failure = house.ended()[41]["failure"]
    assert (failure["class"], failure["exit_code"], failure["signal"]) == ("killed", None, 11)
    assert "11 (SIGSEGV)" in failure["message"]


def test_a_program_that_is_not_there(house: House) -> None:
    house.add(house.exec("no-such-program", "x"))
    assert house.run() == 1
    failure = house.ended()[41]["failure"]
    assert (failure["class"], failure["exit_code"]) == ("exec-failed", 127)
    assert "'no-such-program' not found; PATH=/" in failure["message"]


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("pass", "out/a.txt: not written; out/b.txt: not written"),
        ("open('out/a.txt','w'); open('out/b.txt','w').write('x')", "out/a.txt: empty"),
        ("import os; os.mkdir('out/a.txt'); open('out/b.txt','w').write('x')", "out/a.txt: not a regular file"),
        ("import os; os.symlink('nowhere','out/a.txt'); open('out/b.txt','w').write('x')", "a.txt: a link to nothing"),
        ("import os; os.symlink('/etc/passwd','out/a.txt'); open('out/b.txt','w').write('x')", "to /etc/passwd"),
    ],
)
def test_outputs_that_are_not_there(house: House, code: str, problem: str) -> None:
    house.add(house.python(code), outputs=[house.output("a.txt"), house.output("b.txt")])
    assert house.run() == 1
    failure = house.ended()[41]["failure"]
    assert (failure["class"], failure["step"]) == ("output-missing", "collect")
    assert problem in failure["message"]
    assert not (house.archive / "red").exists()
    assert [f["filetype"] for line in house.lines() if line["kind"] == "outputs" for f in line["files"]] == ["log"]


def test_optional_and_unsaved_outputs(house: House) -> None:
    house.add(
        house.copy("out/tmp.txt"),
        outputs=[house.output("tmp.txt", save=False), house.output("more.txt", optional=True)],
    )
    house.add(
        house.copy("else/b.txt", "else/tmp.txt"),
        inputs=[house.made("tmp.txt", path="else")],
        outputs=[house.output("b.txt", path="else")],
    )
    assert house.run() == 0
    assert sorted(p.name for p in (house.archive / "red").iterdir()) == ["b.txt"]
    outputs = [line for line in house.lines() if line["kind"] == "outputs"]
    assert [f["filename"] for f in outputs[0]["files"]] == ["tmp.txt", "Ht0_r11p01_step_w00001.log"]


def test_an_altered_input_is_a_transfer_failure_that_may_be_retried(house: House) -> None:
    raw = house.input("raw.txt", "abc\n")
    (house.archive / "raw/raw.txt").write_text("abd\n")
    house.add(house.copy("out/a.txt", "in/raw.txt"), inputs=[raw], outputs=[house.output("a.txt")])
    assert house.run() == 75
    failure = house.ended()[41]["failure"]
    assert (failure["class"], failure["step"]) == ("transfer", "stage-in")
    assert all(text in failure["message"] for text in (sha256("abc\n"), sha256("abd\n"), "archive/raw/raw.txt"))
    assert house.kinds() == ["job-started", "staging", "outputs", "stored", "quantum-ended", "job-ended"]


def test_a_missing_input(house: House) -> None:
    raw = house.input("raw.txt")
    (house.archive / "raw/raw.txt").unlink()
    house.add(house.copy("out/a.txt", "in/raw.txt"), inputs=[raw], outputs=[house.output("a.txt")])
    assert house.run() == 1
    assert house.ended()[41]["failure"]["class"] == "input-missing"


def test_another_file_at_the_destination_is_never_replaced(house: House) -> None:
    house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt"), house.output("b.txt", optional=True)])
    (house.archive / "red").mkdir()
    (house.archive / "red/a.txt").write_text("somebody else's")
    assert house.run() == 1
    failure = house.ended()[41]["failure"]
    assert failure["step"] == "stage-out" and "exists with other content" in failure["message"]
    assert (house.archive / "red/a.txt").read_text() == "somebody else's"
    assert [p.name for p in (house.archive / "red").iterdir()] == ["a.txt"]


def test_a_second_process_is_refused(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt")])
    house.write()
    with locked(house.capsule):
        assert house.run() == 4
    assert "is being run by another process" in capsys.readouterr().err
    assert house.run() == 0


def test_jobs_run_outside_the_main_thread_too(house: House) -> None:
    house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt")])
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(house.run()))
    thread.start()
    thread.join(20)
    assert codes == [0]


@pytest.mark.parametrize(
    "name", ["with space.txt", 'it\'s "quoted".txt', "ünïcode-Δ.txt", "-leading.txt", "$HOME;ls.txt"]
)
def test_odd_file_names(house: House, name: str) -> None:
    house.add(house.copy(f"out/{name}", f"in/{name}"), inputs=[house.input(name)], outputs=[house.output(name)])
    assert house.run() == 0
    assert (house.archive / "red" / name).read_text() == "RAW\n"


def test_checksums_of_intermediates_come_from_the_parents_receipt(house: House, tmp_path: Path) -> None:
    house.jobnum = 1003
    house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt")])
    assert house.run() == 0
    child = House(tmp_path / "child")
    child.archive.rmdir()
    child.archive.symlink_to(house.archive)
    parent = house.jobs / "j001003.receipt.01.jsonl"
    (child.jobs.parent / "001").mkdir()
    (child.jobs.parent / "001" / parent.name).write_bytes(parent.read_bytes())
    child.add(
        child.copy("out/b.txt", "out/a.txt"),
        inputs=[child.made("a.txt", 1003)],
        outputs=[child.output("b.txt")],
        log={"filename": "b.log", "archive_path": "log/step"},
    )
    assert child.run() == 0
    assert (house.archive / "red/b.txt").read_text() == "MADE\n"


def test_without_a_receipt_the_registry_is_asked(house: House) -> None:
    (house.archive / "red").mkdir()
    (house.archive / "red/a.txt").write_text("a\n")
    house.add(house.copy("out/b.txt", "out/a.txt"), inputs=[house.made("a.txt", 3)], outputs=[house.output("b.txt")])
    assert house.run() == 1
    assert "a.txt (made by job 3)" in house.ended()[41]["failure"]["message"]
    asked: list[Any] = []

    def expected(names: list[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, str]]:
        asked.extend(names)
        return {("a.txt", ""): (2, sha256("a\n"))}

    assert house.run(expected=expected) == 0
    assert asked == [("a.txt", "")]


def test_lists_are_written_before_the_program_and_recorded(house: House) -> None:
    item = {"section": "list.x", "filename": "x.list", "path": "list", "archive_path": "red", "filetype": "list",
            "content": "one é\ntwo\n", "metadata": {}}  # fmt: skip
    house.add(house.copy("out/a.txt", "list/x.list"), lists=[item], outputs=[house.output("a.txt")])
    assert house.run() == 0
    assert (house.archive / "red/x.list").read_text() == "one é\ntwo\n"
    outputs = next(line for line in house.lines() if line["kind"] == "outputs")
    assert next((f["filename"], f["execnum"]) for f in outputs["files"]) == ("x.list", None)


def test_the_reporter_gets_every_line_and_cannot_break_the_job(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        def __init__(self) -> None:
            self.lines: list[dict[str, Any]] = []

        def put(self, line: dict[str, Any]) -> None:
            self.lines.append(line)
            if len(self.lines) == 5:
                raise RuntimeError("no database")

    house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt")])
    reporter = Broken()
    assert house.run(reporter=reporter) == 0
    assert reporter.lines == house.lines()[:5]
    assert "no database" in capsys.readouterr().err


def test_a_wrapper_that_breaks_fails_the_quantum(house: House) -> None:
    house.add(house.copy("out/a.txt"), wrapper="nonesuch", outputs=[house.output("a.txt")])
    assert house.run() == 1
    failure = house.ended()[41]["failure"]
    assert (failure["class"], failure["step"]) == ("wrapper", "prepare")
    assert "no wrapper is called 'nonesuch'" in failure["message"]


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}', '{"format": 1}', "\x00\xff"])
def test_a_bad_capsule_is_bad_input(house: House, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    house.capsule.write_text(text)
    assert run_job(house.capsule) == 2
    assert str(house.capsule) in capsys.readouterr().err


def test_a_fault_in_a_capsule_is_named_with_its_place(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.add(house.copy("out/a.txt"), outputs=[house.output("a.txt")])
    tree = json.loads(house.write().read_text())
    tree["quanta"][0]["outputs"][0]["path"] = "../../etc"
    house.capsule.write_text(json.dumps(tree))
    assert run_job(house.capsule) == 2
    assert "quanta[0].outputs[0].path: expected a folder below" in capsys.readouterr().err


def test_an_environment_without_the_way_to_the_database(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACADE_DB", "postgresql://secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    house.add(house.python("import os; print(sorted(k for k in os.environ if k.startswith(('FACADE_', 'AWS_S'))))"))
    assert house.run() == 0
    assert "['FACADE_EXEC', 'FACADE_TEST']" in house.log()


def test_what_a_program_leaves_running_is_killed(house: House) -> None:
    code = "import subprocess; p = subprocess.Popen(['sleep', '60']); open('out/pid', 'w').write(str(p.pid))"
    house.add(house.python(code), outputs=[house.output("pid")])
    assert house.run() == 0
    pid = int((house.archive / "red/pid").read_text())
    deadline = time.monotonic() + 5
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _alive(pid)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_versions_of_programs_are_asked_once(house: House) -> None:
    for name in ("a.txt", "b.txt"):
        house.add(house.copy(f"out/{name}", version_flag="--version"), outputs=[house.output(name)])
    assert house.run() == 0
    versions = [line["version"] for line in house.lines() if line["kind"] == "exec"]
    assert len(set(versions)) == 1 and versions[0].startswith("Python 3")
