"""Wrappers that are programs: what they are given, what they may answer, and that nothing else comes of it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from job.house import House

from facade.job import handover
from facade.wcl import load

PERL = """#!/usr/bin/env perl
# Runs every program as it is told to; understands what facade writes when no value needs quotes.
use strict; use warnings;
my %option = @ARGV; my ($exec, %line);
open(my $in, '<', $option{'--input'}) or die; 
while (<$in>) {
    $exec = $1 if /^<(exec_\\d+)>/;
    $line{$exec} = $1 if $exec && /^    cmdline = (.*)/;
}
open(my $out, '>', $option{'--output'}) or die;
for my $exec (sort keys %line) {
    my $status = system($line{$exec}) >> 8;
    print $out "<$exec>\\n    status = $status\\n</$exec>\\n";
    last if $status;
}
"""

RUNNER = """
import shlex, subprocess, sys
sys.path[:0] = {path!r}
from facade.wcl import load
option = dict(zip(sys.argv[1::2], sys.argv[2::2]))
given = load(option["--input"]).root
out = open(option["--output"], "w")
def run(n="exec_1"):
    words = [text.text for _, text in given.section(n).section("argv").values()]
    return subprocess.call(words)
"""


def program(house: House, text: str, name: str = "wrap") -> str:
    file = house.root / name
    file.write_text(text)
    file.chmod(0o755)
    return f"exec:{file}"


def python(house: House, code: str) -> str:
    return program(house, f"#!{sys.executable}\n{RUNNER.format(path=sys.path)}\n{code}\n")


def quantum(house: House, wrapper: str, *execs: dict[str, Any], **more: Any) -> None:
    inputs = [house.input("a.txt", "a\n"), house.input("b.txt", "b\n", rename="second.txt")]
    outputs = [house.output("x.txt", filetype="table"), house.output("y.txt", optional=True)]
    house.filetypes = {"table": {"metadata_table": "t", "columns": {"Seeing": {"type": "float", "source": ""}}}}
    for one in execs:
        one.update(used=["a.txt", "b.txt"], derived=[["x.txt", "a.txt"], ["x.txt", "b.txt"]])
    house.add(*execs, **{"inputs": inputs, "outputs": outputs, "wrapper": wrapper, **more})


def copying(house: House) -> dict[str, Any]:
    return house.copy("out/x.txt", "in/a.txt", "in/second.txt")


def lines(house: House, kind: str) -> list[dict[str, Any]]:
    return [one for one in house.lines() if one["kind"] == kind]


def failure(house: House) -> dict[str, Any]:
    found = house.ended()[41]["failure"]
    assert isinstance(found, dict)
    return found


def output_of(house: House, text: str, code: int = 0) -> str:
    """Return a wrapper that runs the first program and then writes *text*."""
    return python(house, f"run(); out.write({text!r}); out.close(); sys.exit({code})")


GOOD = "<exec_1>\nstatus = 0\n</exec_1>\n"


@pytest.mark.skipif(shutil.which("perl") is None, reason="there is no perl")
def test_a_wrapper_in_another_language(house: House) -> None:
    wrapper = program(house, PERL)
    quantum(house, wrapper, copying(house), house.exec("echo", "said"))
    assert house.run() == 0
    assert (house.archive / "red/x.txt").read_text() == "A\nB\n"
    ran = lines(house, "exec")
    assert [(one["execnum"], one["exit_code"], one["used"]) for one in ran] == [
        (1, 0, [["a.txt", ""], ["b.txt", ""]]),
        (2, 0, [["a.txt", ""], ["b.txt", ""]]),
    ]
    assert ran[0]["argv"] == house.quanta[0]["execs"][0]["argv"]
    assert ran[0]["utime"] + ran[0]["stime"] == 0 < ran[1]["utime"] + ran[1]["stime"]  # known of both together only
    assert "wrote out/x.txt" in house.log() and "said" in house.log()
    assert len(lines(house, "outputs")[0]["derived"]) == 2
    assert house.workdirs() == []


def test_what_a_wrapper_is_given(house: House) -> None:
    keep = house.root / "kept.wcl"
    wrapper = python(house, f"import shutil; shutil.copy(option['--input'], {str(keep)!r}); run(); out.write({GOOD!r})")
    listing = {"section": "list.l", "filename": "l.txt", "compression": "", "filetype": "list", "path": "list",
               "archive_path": "lists", "content": "in/a.txt\n", "metadata": {}}  # fmt: skip
    more = {"allowance": {"seconds": 60, "memory": 2000, "cpus": 2}, "lists": [listing], "parameters": {"p": "8,6"}}
    quantum(house, wrapper, copying(house), **more)
    house.quanta[0]["inputs"][0]["metadata"] = {"filter": "it's # i", "visit": 5, "none": None}
    assert house.run() == 0
    given = load(keep).root
    assert {key: value.text for key, value in given.values()} == {
        "format": "1", "attempt": "Ht0_r11p01", "module": "step", "wrapnum": "1",
        "directory": given.text("directory"), "output": "wcl/w00001_output.wcl",
    }  # fmt: skip
    plain = given.plain()
    assert plain["identity"]["unitname"] == "Ht0" and plain["keys"] == {"visit": "1"}
    assert plain["parameters"] == {"p": "8,6"}
    assert plain["limits"] == {"seconds": "60", "memory": "2000", "cpus": "2"}
    assert plain["inputs"] == {
        "file_1": {"section": "file.raw", "filename": "a.txt", "fullname": "in/a.txt", "filetype": "raw",
                   "metadata": {"filter": "it's # i", "visit": "5"}},
        "file_2": {"section": "file.raw", "filename": "b.txt", "fullname": "in/b.txt", "filetype": "raw",
                   "rename": "second.txt", "metadata": {}},
    }  # fmt: skip
    assert plain["lists"] == {
        "file_1": {"section": "list.l", "filename": "l.txt", "fullname": "list/l.txt", "metadata": {}}
    }
    assert plain["outputs"]["file_2"] == {
        "section": "file.out", "filename": "y.txt", "fullname": "out/y.txt", "filetype": "mid", "optional": "True",
        "metadata": {"visit": "1"},
    }  # fmt: skip
    assert plain["exec_1"]["argv"]["2"] == "out/x.txt" and plain["exec_1"]["used"] == {"1": "a.txt", "2": "b.txt"}
    assert plain["exec_1"]["cmdline"].endswith("copy.py out/x.txt in/a.txt in/second.txt")


def test_what_a_wrapper_may_tell(house: House) -> None:
    told = """
    format = 1
    <exec_1>
        status = 0
        used = in/b.txt
        utime = 1.5
        maxrss = 2000
    </exec_1>
    <outputs>
        <x>
            filename = x.txt
            fullname = odd/place
            <metadata>
                seeing = 0.5
                visit = 1
            </metadata>
        </x>
    </outputs>
    <ancestry>
        <one>
            children = x.txt
            parents = b.txt
        </one>
    </ancestry>
    """
    wrapper = python(house, f"import os; run(); os.renames('out/x.txt', 'odd/place'); out.write({told!r})")
    quantum(house, wrapper, copying(house))
    assert house.run() == 0
    ran, outputs = lines(house, "exec")[0], lines(house, "outputs")[0]
    assert (ran["used"], ran["utime"], ran["stime"], ran["maxrss"]) == ([["b.txt", ""]], 1.5, 0, 2000)
    assert outputs["files"][0]["metadata"] == {"visit": 1, "Seeing": 0.5}
    assert outputs["derived"] == [[["x.txt", ""], ["b.txt", ""]]]
    assert (house.archive / "red/x.txt").read_text() == "A\nB\n"


def test_a_program_that_failed(house: House) -> None:
    quantum(house, program(house, PERL), house.python("raise SystemExit(3)"), house.exec("touch", "never"))
    assert house.run() == 1
    found = failure(house)
    assert (found["class"], found["step"], found["exit_code"]) == ("exec-failed", "exec", 3)
    assert [one["exit_code"] for one in lines(house, "exec")] == [3]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("", 0, "does not say how exec_1 ended"),
        (GOOD, 4, "it exited with 4, but no program failed"),
        (GOOD + "message = no disk\n", 4, "no program failed; it says: no disk"),
        ("<exec_1>\n", 0, "section <exec_1> is never closed"),
        ("</hello>\n", 0, "wcl/w00001_output.wcl:1:1: error"),
        ("<exec_1>\n</exec_1>\n", 0, "wcl/w00001_output.wcl:1:1: <exec_1> needs status"),
        ("<exec_1>\nstatus = x\n</exec_1>\n", 0, "output.wcl:2:1: status = x is no number from 0 on"),
        ("<exec_1>\nstatus = 1.5\n</exec_1>\n", 0, "needs status, an exit code from 0 to 255"),
        ("<exec_1>\nstatus = 0\nsignal = 9\n</exec_1>\n", 0, "needs status"),
        ("<exec_1>\nstatus = 0\nuse = a.txt\n</exec_1>\n", 0, "'use' is not known here (known: status, signal"),
        (GOOD + "<exec_7>\nstatus = 0\n</exec_7>\n", 0, "tells of exec_7, which was not planned"),
        (GOOD + "<exec_x>\nstatus = 0\n</exec_x>\n", 0, "'exec_x' is not known here (known: exec_N, outputs"),
        ("<exec_1>\nstatus = 0\nused = /etc/passwd\n</exec_1>\n", 0, "not declared to be used: '/etc/passwd'"),
        (GOOD + "<outputs>\nx = 1\n</outputs>\n", 0, "'x' is not known here"),
        (GOOD + "<outputs>\n<f>\nfullname = x\n</f>\n</outputs>\n", 0, "<f> needs a filename"),
        (GOOD + "<outputs>\n<f>\nfilename = z.txt\n</f>\n</outputs>\n", 0, "'z.txt' is no declared output"),
        (GOOD + "<outputs>\n<f>\nfilename = x.txt\nfullname = /etc/hostname\n</f>\n</outputs>\n", 0,
         "'/etc/hostname' does not lie in the directory"),
        (GOOD + "<outputs>\n<f>\nfilename = x.txt\nfullname = ../../../raw/a.txt\n</f>\n</outputs>\n", 0, "'../../.."),
        (GOOD + "<ancestry>\n<d>\nchildren = x.txt\nparents = /etc/passwd\n</d>\n</ancestry>\n", 0,
         "'/etc/passwd' is neither used nor made"),
        ("<<include /etc/passwd>>\n", 0, "its output WCL makes no sense: wcl/w00001_output.wcl:1:"),
    ],
)  # fmt: skip
def test_output_wcl_that_makes_no_sense(house: House, text: str, code: int, message: str) -> None:
    quantum(house, output_of(house, text, code), copying(house))
    assert house.run() == 1
    found = failure(house)
    assert found["class"] == "wrapper" and message in found["message"] and "exec:" in found["message"]
    assert "root:" not in house.log() and not (house.archive / "red").exists()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; os.remove(option['--output'])", "it exited with 0 but wrote no output WCL, wcl/w00001_output.wcl"),
        ("import os; os.remove(option['--output']); sys.exit(5)", "it exited with 5 and wrote no output WCL"),
        ("import os; o = option['--output']; os.remove(o); os.mkdir(o)", "is not a regular file"),
        ("import os; o = option['--output']; os.remove(o); os.mkfifo(o)", "is not a regular file"),
        ("import os; o = option['--output']; os.remove(o); os.symlink('/etc/passwd', o)", "must be a regular file"),
        ("import os; os.rename('wcl', 'w'); os.symlink('/etc', 'wcl')", "lies outside the directory of the quantum"),
        ("out.write('<a>' * 2_000_000)", "has more than 4 MB"),
        ("out.write('<a>\\n<b>\\n' * 100_000)", "its output WCL makes no sense"),
        ("out.close(); open(option['--output'], 'wb').write(b'a = \\xff\\n')", "not UTF-8 text"),
        ("sys.exit(5)", "does not say how exec_1 ended"),
    ],
)
def test_output_wcl_that_is_none(house: House, code: str, message: str) -> None:
    quantum(house, python(house, f"run()\n{code}"), copying(house))
    assert house.run() == 1
    found = failure(house)
    assert found["class"] == "wrapper" and message in found["message"]
    assert len(found["message"]) < 3000


def test_a_wrapper_that_is_not_there(house: House) -> None:
    quantum(house, "exec:no-such-wrapper", copying(house))
    assert house.run() == 1
    assert failure(house)["class"] == "wrapper"
    assert "wrapper 'exec:no-such-wrapper': program 'no-such-wrapper' not found; PATH=" in failure(house)["message"]


def test_a_wrapper_that_dies(house: House) -> None:
    quantum(house, python(house, "import os; os.kill(os.getpid(), 11)"), copying(house))
    assert house.run() == 1
    found = failure(house)
    assert (found["class"], found["signal"]) == ("killed", 11) and "(wrapper /" in found["message"]


def test_a_wrapper_has_the_time_of_its_programs_together(house: House) -> None:
    code = "import time; time.sleep(1.3); [run(n) for n in ('exec_1', 'exec_2')]; time.sleep(60)"
    quantum(house, python(house, code), copying(house), house.exec("true"), allowance={"seconds": 1})
    assert house.run() == 1
    found = failure(house)
    assert found["class"] == "timeout" and "ran for longer than 2 s" in found["message"]
    assert "wrote out/x.txt" in house.log()


def test_what_wcl_cannot_hold_is_told(house: House) -> None:
    quantum(house, program(house, PERL), house.exec("echo", "two\nlines"))
    assert house.run() == 1
    assert "'cmdline': a value of WCL is one line of text" in failure(house)["message"]
    assert failure(house)["class"] == "wrapper"


def test_quanta_side_by_side_have_texts_of_their_own(house: House) -> None:
    wrapper = program(house, PERL)
    for number in range(4):
        one = house.copy("out/o.txt", f"in/i{number}.txt")
        house.add(one, inputs=[house.input(f"i{number}.txt", f"{number}\n")], wrapper=wrapper,
                  outputs=[house.output(f"o{number}.txt", path="out")], allowance={"threads": 4})  # fmt: skip
        one["argv"][2] = f"out/o{number}.txt"
    assert house.run() == 0
    assert [(house.archive / f"red/o{n}.txt").read_text() for n in range(4)] == ["0\n", "1\n", "2\n", "3\n"]


def test_an_input_wcl_does_not_follow_links_out(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job/wcl").symlink_to(tmp_path)
    with pytest.raises(Exception, match="is a link out"):
        handover.write_input(tmp_path / "job/wcl/in.wcl", "x = 1\n", tmp_path / "job")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["job"]
