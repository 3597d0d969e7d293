"""What wrapper plug-ins may do in their phases, and that nothing else comes of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from job.house import House

from facade.errors import InputError, MissingInputError
from facade.job import phases

Wrap = Callable[..., None]


@pytest.fixture
def wrap(monkeypatch: pytest.MonkeyPatch) -> Wrap:
    """Have the wrapper called ``mine`` be a plug-in of these phases, or this class."""

    def of(found: object = None, **functions: Any) -> None:
        monkeypatch.setattr(phases, "_plugin", lambda name: found or SimpleNamespace(**functions))

    return of


def quantum(house: House, *execs: dict[str, Any], **more: Any) -> int:
    """Add a quantum of the wrapper ``mine`` that reads two files and writes two, one of them optional."""
    inputs = [house.input("a.txt", "a\n"), house.input("b.txt", "b\n", rename="second.txt")]
    outputs = [house.output("x.txt", filetype="table"), house.output("y.txt", optional=True)]
    house.filetypes = {"table": {"metadata_table": "t", "columns": {
        "Seeing": {"type": "float", "source": ""}, "visit": {"type": "int", "source": ""},
        "good": {"type": "bool", "source": ""}}}}  # fmt: skip
    for one in execs:
        one.update(used=["a.txt", "b.txt"], derived=[["x.txt", "a.txt"], ["x.txt", "b.txt"]])
    return house.add(*execs, **{"inputs": inputs, "outputs": outputs, "wrapper": "mine", **more})


def copying(house: House) -> dict[str, Any]:
    return house.copy("out/x.txt", "in/a.txt", "in/b.txt")


def line(house: House, kind: str) -> dict[str, Any]:
    return next(one for one in house.lines() if one["kind"] == kind)


def failure(house: House) -> tuple[str, str, str]:
    found = house.ended()[41]["failure"]
    return found["class"], found["step"], found["message"]


def test_a_plug_in_without_phases_does_what_is_usual(house: House, wrap: Wrap) -> None:
    wrap()
    quantum(house, house.copy("out/x.txt", "in/a.txt", "in/second.txt"))
    assert house.run() == 0
    assert (house.archive / "red/x.txt").read_text() == "A\nB\n"
    assert line(house, "exec")["used"] == [["a.txt", ""], ["b.txt", ""]]
    assert len(line(house, "outputs")["derived"]) == 2


def test_all_phases_in_their_order(house: House, wrap: Wrap) -> None:
    calls: list[str] = []

    class Mine:
        """One object per quantum."""

        def prepare(self, run: Any) -> None:
            self.seen = [dict(item) for item in run.outputs]
            calls.append(f"prepare {run.keys} {run.identity['attnum']} {[i['path'] for i in run.inputs]}")

        def command(self, run: Any, argv: Any) -> list[str]:
            calls.append("command")
            return [*argv, "in/b.txt"]

        def run(self, run: Any, program: Any) -> Any:
            calls.append(f"run {program.execnum} {program.name} {len(program.argv)} {program.generated}")
            return program.execute(env={"MINE": "1"})

        def inputs(self, run: Any, program: Any) -> list[str]:
            calls.append(f"inputs {program.used}")
            return ["in/b.txt"]

        def outputs(self, run: Any) -> Any:
            calls.append("outputs")
            yield {**self.seen[0], "metadata": {"seeing": "0.5", "VISIT": 1, "good": True}}

        def derive(self, run: Any) -> Any:
            calls.append("derive")
            return [("out/x.txt", "b.txt")]

    wrap(Mine)
    quantum(house, house.copy("out/x.txt", "in/a.txt"))
    assert house.run() == 0
    assert calls == [
        "prepare {'visit': 1} 1 ['in/a.txt', 'in/b.txt']", "command", "run 1 python 5 ('x.txt', 'y.txt')".replace(
            "python", house.quanta[0]["execs"][0]["name"]), "inputs ['a.txt', 'b.txt']", "outputs", "derive",
    ]  # fmt: skip
    assert line(house, "exec")["used"] == [["b.txt", ""]] and line(house, "exec")["argv"][-1] == "in/b.txt"
    assert line(house, "outputs")["files"][0]["metadata"] == {"visit": 1, "Seeing": 0.5, "good": True}
    assert line(house, "outputs")["derived"] == [[["x.txt", ""], ["b.txt", ""]]]


def test_what_was_not_used_is_no_parent(house: House, wrap: Wrap) -> None:
    wrap(inputs=lambda run, program: ["a.txt"])
    quantum(house, copying(house))
    assert house.run() == 0
    assert line(house, "exec")["used"] == [["a.txt", ""]]
    assert line(house, "outputs")["derived"] == [[["x.txt", ""], ["a.txt", ""]]]


def test_outputs_get_their_declared_names(house: House, wrap: Wrap) -> None:
    wrap(outputs=lambda run: [{"filename": "x.txt", "path": "scratch/weird name.out"}])
    code = "import os; os.mkdir('scratch'); open('scratch/weird name.out', 'w').write('x'); open('out/y.txt','w')"
    quantum(house, house.python(code))
    assert house.run() == 0
    files = line(house, "outputs")["files"]
    assert [one["filename"] for one in files if one["filetype"] != "log"] == ["x.txt"]
    assert (house.archive / "red/x.txt").read_text() == "x"


def test_a_program_that_a_wrapper_runs_in_its_own_way(house: House, wrap: Wrap) -> None:
    def run(run: Any, program: Any) -> int:
        (run.directory / "out/x.txt").write_text("by hand")
        run.log("by hand")
        return 0

    wrap(run=run)
    quantum(house, house.exec("no such program"))
    assert house.run() == 0
    ran = line(house, "exec")
    assert (ran["exit_code"], ran["signal"], ran["argv"]) == (0, 0, ["no such program"])
    assert ran["start"] <= ran["end"] and "facade: by hand" in house.log()


@pytest.mark.parametrize(
    ("result", "expected"),
    [(3, ("exec-failed", 3, 0)), (-11, ("killed", None, 11)), (SimpleNamespace(exit_code=4), ("exec-failed", 4, 0)),
     (SimpleNamespace(exit_code=None, signal=9), ("killed", None, 9))],
)  # fmt: skip
def test_how_it_says_that_a_program_failed(house: House, wrap: Wrap, result: object, expected: object) -> None:
    wrap(run=lambda run, program: result, inputs=lambda run, program: 1 / 0)
    quantum(house, copying(house))
    assert house.run() == 1
    found = house.ended()[41]["failure"]
    assert (found["class"], found["exit_code"], found["signal"]) == expected
    assert line(house, "exec")["used"] == [["a.txt", ""], ["b.txt", ""]]  # as declared: nobody knows better


def test_several_calls_share_one_limit_and_are_added_up(house: House, wrap: Wrap) -> None:
    def run(run: Any, program: Any) -> Any:
        for _ in range(3):
            program.execute([sys.executable, "-c", "import time; time.sleep(0.8)"])
        return program.execute(["true"])

    wrap(run=run)
    quantum(house, copying(house), allowance={"seconds": 1})
    assert house.run() == 1
    kind, step, message = failure(house)
    assert (kind, step) == ("timeout", "exec") and "ran for longer than 1 s" in message
    assert house.log().count("--- exec 1") == 8
    ran = line(house, "exec")
    assert ran["utime"] > 0 and ran["start"] < ran["end"]


def _raise(error: BaseException) -> Callable[..., Any]:
    def phase(*_: object) -> None:
        raise error

    return phase


@pytest.mark.parametrize(
    ("phase", "function", "step", "message"),
    [
        ("prepare", _raise(KeyError("oh")), "prepare", "KeyError: 'oh'"),
        ("prepare", _raise(InputError("no such calibration")), "prepare", "no such calibration"),
        ("prepare", _raise(SystemExit(3)), "prepare", "it called sys.exit(3)"),
        ("prepare", lambda: None, "prepare", "takes 0 positional arguments"),
        ("command", lambda run, argv: None, "exec", "a list of texts that begins with a program, got None"),
        ("command", lambda run, argv: "ls -l", "exec", "got 'ls -l'"),
        ("command", lambda run, argv: [], "exec", "got []"),
        ("command", lambda run, argv: ["a", 1], "exec", "got ['a', 1]"),
        ("command", lambda run, argv: ["a\0"], "exec", "a list of texts"),
        ("run", lambda run, program: None, "exec", "what program.execute() returns, or an exit code, got None"),
        ("run", lambda run, program: True, "exec", "got True"),
        ("run", lambda run, program: program.execute([]), "exec", "a list of texts"),
        ("inputs", lambda run, program: ["x.txt"], "exec", "not declared to be used: 'x.txt'"),
        ("inputs", lambda run, program: "a.txt", "exec", "expected names of files, got 'a.txt'"),
        ("outputs", lambda run: ["z.txt"], "collect", "'z.txt' is no declared output"),
        ("outputs", lambda run: ["x.txt", "out/x.txt"], "collect", "'out/x.txt' is reported twice"),
        ("outputs", lambda run: [5], "collect", "expected mappings with filename, perhaps path and metadata, got 5"),
        ("outputs", lambda run: [{"filename": "x.txt", "file": "x"}], "collect", "expected mappings"),
        ("outputs", lambda run: [{"filename": "x.txt", "metadata": {"sky": 1}}], "collect", "has no column 'sky'"),
        ("outputs", lambda run: [{"filename": "x.txt", "metadata": {"visit": 2}}], "collect", "visit = 2, but 1 is"),
        ("outputs", lambda run: [{"filename": "x.txt", "metadata": {"seeing": "bad"}}], "collect", "is no float"),
        ("outputs", lambda run: [{"filename": "x.txt", "path": "../x"}], "collect", "'../x'"),
        ("outputs", lambda run: [{"filename": "x.txt", "path": "/etc/hostname"}], "collect", "'/etc/hostname' does"),
        ("outputs", lambda run: [{"filename": "x.txt", "path": "no"}], "collect", "there is no file 'no'"),
        ("outputs", lambda run: [{"filename": "x.txt", "path": "in"}], "collect", "is not a regular file"),
        ("outputs", lambda run: [{"filename": "x.txt"}, {"filename": "y.txt", "path": "in/a.txt"}], "collect",
         "is an input and cannot become the output 'y.txt'"),
        ("outputs", lambda run: [{"filename": "x.txt", "path": "in/a.txt"}], "collect", "out/x.txt is there already"),
        ("derive", lambda run: [("a.txt", "x.txt")], "collect", "'a.txt' is not made by any program"),
        ("derive", lambda run: [("x.txt", "y.txt")], "collect", "'y.txt' is neither used nor made by an earlier"),
        ("derive", lambda run: [("x.txt", "x.txt")], "collect", "cannot be derived from itself"),
        ("derive", lambda run: [("x.txt", "a")], "collect", "'a' is neither used nor made"),
        ("derive", lambda run: [("x.txt",)], "collect", "expected pairs of names (child, parent)"),
    ],
)  # fmt: skip
def test_faults_of_a_plug_in(house: House, wrap: Wrap, phase: str, function: Any, step: str, message: str) -> None:
    wrap(**{phase: function})
    quantum(house, copying(house))
    assert house.run() == 1
    kind, where, what = failure(house)
    assert (kind, where) == ("wrapper", step)
    assert f"wrapper 'mine', phase {phase}: " in what and message in what
    assert not (house.archive / "red").exists() and (house.archive / "raw/a.txt").read_text() == "a\n"


def test_the_traceback_of_a_fault_is_in_the_log(house: House, wrap: Wrap) -> None:
    wrap(prepare=lambda run: 1 / 0)
    quantum(house, copying(house))
    assert house.run() == 1
    assert "ZeroDivisionError" in house.log() and "test_wrapper_phases.py" in house.log()


def test_a_wrapper_that_misses_an_input_says_so(house: House, wrap: Wrap) -> None:
    wrap(prepare=_raise(MissingInputError("no flat for this night")))
    quantum(house, copying(house))
    assert house.run() == 1
    assert failure(house)[0] == "input-missing"


def test_a_required_output_that_is_not_reported(house: House, wrap: Wrap) -> None:
    wrap(outputs=lambda run: ["y.txt"])
    quantum(house, house.python("open('out/x.txt','w').write('x'); open('out/y.txt','w').write('y')"))
    assert house.run() == 1
    assert failure(house)[0] == "output-missing" and "not reported by the wrapper: 'x.txt'" in failure(house)[2]


def test_links_out_are_no_outputs(house: House, wrap: Wrap) -> None:
    wrap(outputs=lambda run: [{"filename": "x.txt", "path": "l/passwd"}])
    quantum(house, house.python("import os; os.symlink('/etc', 'l')"))
    assert house.run() == 1
    assert "'l/passwd' does not lie in the directory" in failure(house)[2]


def test_an_input_of_an_earlier_attempt_has_two_names(house: House, wrap: Wrap) -> None:
    seen: list[Any] = []

    def inputs(run: Any, program: Any) -> Any:
        seen.extend(program.used)
        return program.used[:1]

    wrap(inputs=inputs)
    taken = house.input("old_r1p01.txt", "old\n", staged="new.txt")
    program = house.copy("out/x.txt", "in/new.txt")
    house.add(program, inputs=[taken], outputs=[house.output("x.txt")], wrapper="mine")
    program["used"] = ["old_r1p01.txt"]
    assert house.run() == 0
    assert seen == ["new.txt"] and line(house, "exec")["used"] == [["old_r1p01.txt", ""]]


def test_what_is_made_by_an_earlier_program_is_a_parent(house: House, wrap: Wrap) -> None:
    wrap(derive=lambda run: [("mid.txt", "a.txt"), ("x.txt", "mid.txt")])
    first, second = house.copy("out/mid.txt", "in/a.txt"), house.copy("out/x.txt", "out/mid.txt")
    first.update(used=["a.txt"], generated=["mid.txt"])
    second.update(generated=["x.txt"])
    outputs = [house.output("mid.txt"), house.output("x.txt")]
    house.add(first, second, inputs=[house.input("a.txt")], outputs=outputs, wrapper="mine")
    assert house.run() == 0
    assert line(house, "outputs")["derived"] == [[["mid.txt", ""], ["a.txt", ""]], [["x.txt", ""], ["mid.txt", ""]]]
