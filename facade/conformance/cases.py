"""What a wrapper must do: each function runs a job and says what it expects to find afterwards."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from facade.conformance.job import Job

ODD = ("two words", "it's", 'say "so"', "ünï→code", "-dash", "$HOME;echo no", "per%cent#hash", "back\\slash", "8,6")
"""What names of files and words of command lines may look like."""
GRACE = 15
"""Seconds in which a job that was told to end has ended."""


def one_program(job: Job) -> None:
    """One program that reads one file and writes another."""
    job.quantum(job.copy("a.txt", "x.txt"), inputs=[job.input("a.txt", "a\n")], outputs=[job.output("x.txt")])
    job.run()
    job.content("x.txt", "a\n")
    for line in job.lines("exec"):
        job.expect("exit code in the receipt", line["exit_code"], 0)
        job.expect("files used", line["used"], [["a.txt", ""]])
    job.expect("programs in the receipt", len(job.lines("exec")), 1)
    made = [pair for line in job.lines("outputs") for pair in line["derived"]]
    job.expect("derivations", made, [[["x.txt", ""], ["a.txt", ""]]])


def several_programs(job: Job) -> None:
    """Two programs, the second of which reads what the first wrote."""
    second = job.program("--in=out/mid.txt", "--out=out/x.txt", used=["mid.txt"], made=["x.txt"])
    outputs = [job.output("mid.txt"), job.output("x.txt")]
    job.quantum(job.copy("a.txt", "mid.txt"), second, inputs=[job.input("a.txt", "a\n")], outputs=outputs)
    job.run()
    job.content("x.txt", "a\n")
    job.expect("programs in the receipt", [line["execnum"] for line in job.lines("exec")], [1, 2])


def failing_program(job: Job) -> None:
    """A program that exits with 3: the quantum fails, the next program is not run, nothing is registered."""
    job.quantum(job.copy("a.txt", "x.txt", "--exit=3"), job.program(), inputs=[job.input("a.txt", "a\n")],
                outputs=[job.output("x.txt")])  # fmt: skip
    job.run(1)
    job.failed("exec-failed", 3)
    job.expect("was the next program run", bool(job.seen(1, 2)), False)
    job.content("x.txt", None)
    job.expect("log saved", bool(job.log()), True)


def missing_output(job: Job) -> None:
    """A program that succeeds without writing an output that was declared."""
    job.quantum(job.program(used=["a.txt"], made=["x.txt"]), inputs=[job.input("a.txt", "a\n")],
                outputs=[job.output("x.txt")])  # fmt: skip
    job.run(1)
    job.failed("output-missing")


def optional_output(job: Job) -> None:
    """An output that may be missing, and is."""
    copying = job.copy("a.txt", "x.txt")
    copying["generated"].append("y.txt")
    outputs = [job.output("x.txt"), job.output("y.txt", optional=True)]
    job.quantum(copying, inputs=[job.input("a.txt", "a\n")], outputs=outputs)
    job.run()
    job.content("x.txt", "a\n")
    job.content("y.txt", None)


def list_file(job: Job) -> None:
    """A program that reads its inputs from a list."""
    names = [f"m{number}.txt" for number in range(3)]
    listing = {"section": "list.members", "filename": "members.list", "compression": "", "path": "list",
               "archive_path": "list", "content": "".join(f"in/{name}\n" for name in names)}  # fmt: skip
    reading = job.program("--list=list/members.list", "--out=out/x.txt", used=[*names, "members.list"], made=["x.txt"])
    inputs = [job.input(name, f"{name}\n") for name in names]
    job.quantum(reading, inputs=inputs, lists=[listing], outputs=[job.output("x.txt")])
    job.run()
    job.content("x.txt", "".join(f"{name}\n" for name in names))


def odd_names(job: Job) -> None:
    """Names with blanks, quotes, unicode, leading dashes: files and words arrive as they were planned."""
    names = [f"{odd} {number}.txt" for number, odd in enumerate(ODD)]
    inputs = [job.input(name, f"{name}\n") for name in names]
    outputs = [job.output(f"-x {name}") for name in names]
    words = [word for name in names for word in (f"--in=in/{name}", name)]
    made = [f"--out=out/-x {name}" for name in names]
    job.quantum(job.program(*words, *made, *ODD, "", used=names, made=[one["filename"] for one in outputs]),
                inputs=inputs, outputs=outputs)  # fmt: skip
    job.run()
    for name in names:
        job.content(f"-x {name}", "".join(f"{one}\n" for one in names))
    seen, planned = iter(job.seen().get("argv", [])), job.quanta[0]["execs"][0]["argv"][2:]
    lost = [word for word in planned if word not in seen]  # in this order; the wrapper may add words of its own
    job.expect("words that did not arrive, or in another order", lost[:3], [])


def printed(job: Job) -> None:
    """What programs print is in the log, from stdout and stderr."""
    job.quantum(job.copy("a.txt", "x.txt", "--say=said → this"), inputs=[job.input("a.txt", "a\n")],
                outputs=[job.output("x.txt")])  # fmt: skip
    job.run()
    for text in ("said → this\n", "on stderr too\n"):
        job.expect(f"{text.strip()!r} in the log", text in job.log(), True)


def same_directory(job: Job) -> None:
    """Two quanta one after the other in one directory: preparing is safe to repeat."""
    for number in range(2):
        inputs = [job.input("a.txt", "a\n"), job.input(f"b{number}.txt", f"{number}\n")]
        reading = job.program("--in=in/a.txt", f"--in=in/b{number}.txt", f"--out=out/x{number}.txt",
                              used=["a.txt", f"b{number}.txt"], made=[f"x{number}.txt"])  # fmt: skip
        job.quantum(reading, inputs=inputs, outputs=[job.output(f"x{number}.txt")])
    job.run()
    for number in range(2):
        job.content(f"x{number}.txt", f"a\n{number}\n")


def side_by_side(job: Job) -> None:
    """Four quanta at once, each in a folder of its own."""
    for number in range(4):
        copying = job.copy(f"a{number}.txt", f"x{number}.txt", "--sleep=0.2")
        job.quantum(copying, inputs=[job.input(f"a{number}.txt", f"{number}\n")],
                    outputs=[job.output(f"x{number}.txt")], allowance={"threads": 4})  # fmt: skip
    job.run()
    for number in range(4):
        job.content(f"x{number}.txt", f"{number}\n")
    places = {job.seen(number).get("directory") for number in range(1, 5)}
    job.expect("folders in which programs ran", len(places), 4)


def time_limit(job: Job) -> None:
    """A program that takes more time than it may is ended."""
    job.quantum(job.copy("a.txt", "x.txt", "--sleep=30"), inputs=[job.input("a.txt", "a\n")],
                outputs=[job.output("x.txt")], allowance={"seconds": 3})  # fmt: skip
    job.run(1)
    job.failed("timeout")
    _gone(job)


def told_to_end(job: Job) -> None:
    """A job that gets SIGTERM ends its program, and says that it was evicted."""
    job.quantum(job.copy("a.txt", "x.txt", "--sleep=30"), inputs=[job.input("a.txt", "a\n")],
                outputs=[job.output("x.txt")])  # fmt: skip
    process = job.start()
    deadline = time.monotonic() + GRACE
    while process.poll() is None and not job.seen_file(1, 1).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    job.end(process, 128 + signal.SIGTERM, GRACE)
    job.failed("evicted")
    _gone(job)


def second_names(job: Job) -> None:
    """An input with a rename is found under that name too."""
    reading = job.program("--in=in/second.txt", "--out=out/x.txt", used=["a.txt"], made=["x.txt"])
    job.quantum(reading, inputs=[job.input("a.txt", "a\n", rename="second.txt")], outputs=[job.output("x.txt")])
    job.run()
    job.content("x.txt", "a\n")


Case = Callable[[Job], None]
CASES: tuple[Case, ...] = (
    one_program, several_programs, failing_program, missing_output, optional_output, list_file, odd_names, printed,
    same_directory, side_by_side, time_limit, told_to_end, second_names,
)  # fmt: skip
OPTIONAL: frozenset[Case] = frozenset({second_names})
"""What a wrapper need not do."""


def _gone(job: Job) -> None:
    """Say that the program of the first quantum must not run any more."""
    if not job.seen():
        job.wrong.append("the program was not run")
    elif ended := job.end_programs():
        job.wrong.append(f"the program still ran and was killed (pid {ended[0]})")
