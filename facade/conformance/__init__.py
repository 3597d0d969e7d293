"""Does a wrapper keep to its protocol? ``facade wrapper test`` runs small jobs with it, as any job runs.

There is no database. Each case is a job of its own: a capsule in a scratch directory, a process, a receipt; what the
receipt and the archive say afterwards is compared with what must be (docs/wrappers.md).
"""

from __future__ import annotations

import difflib
import inspect
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from facade import plugins
from facade.conformance.cases import CASES, OPTIONAL, Case
from facade.conformance.job import Job
from facade.errors import FacadeError, InputError

__all__ = ["Result", "tested"]

AT_ONCE = 4
"""Cases that run at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one case: no *problems* if it was passed; one that is not *required* may have some."""

    case: str
    what: str
    problems: tuple[str, ...]
    seconds: float
    required: bool = True

    @property
    def passed(self) -> bool:
        """True unless something is wrong that must not be."""
        return not (self.problems and self.required)


def tested(
    wrapper: str,
    parameters: Mapping[str, str],
    columns: Mapping[str, str],
    scratch: Path,
    *,
    only: Collection[str] = (),
    keep: bool = False,
) -> Iterator[Result]:
    """Run every case, or *only* some, with the wrapper called *wrapper* in *scratch*; yield what came of each one.

    *parameters* are its ``wrapper`` section, *columns* (name -> type) what it may add to the metadata of outputs. What
    passed is removed unless it is to be kept.

    Raises:
        InputError: there is no such wrapper, or no such case.
    """
    cases = {_name(case): case for case in CASES}
    if unknown := [name for name in only if name not in cases]:
        raise InputError(f"no case is called {unknown[0]!r}", remedy=f"cases: {', '.join(cases)}")
    program = plugins.executable(wrapper)
    if "/" in program:  # jobs run elsewhere
        wrapper = f"{plugins.EXECUTABLE}{Path(program).absolute()}"
    begun = time.monotonic()
    problems = _faults(wrapper)
    yield Result(case="interface", what="It can be loaded, and its phases can be called.", problems=tuple(problems),
                 seconds=time.monotonic() - begun)  # fmt: skip
    chosen = [case for name, case in cases.items() if not only or name in only]

    jobs: list[Job] = []

    def run(case: Case) -> Result:
        begun, job = time.monotonic(), Job(scratch / case.__name__, wrapper, parameters, columns)
        jobs.append(job)
        try:
            case(job)
        except FacadeError as error:  # a receipt that cannot be read
            job.wrong.append(str(error))
        if not (keep or job.wrong):
            shutil.rmtree(job.root, ignore_errors=True)
        return Result(case=_name(case), what=inspect.getdoc(case) or "", problems=tuple(job.wrong),
                      seconds=time.monotonic() - begun, required=case not in OPTIONAL)  # fmt: skip

    with ThreadPoolExecutor(AT_ONCE) as pool:  # a case is a process of its own, which mostly waits
        try:
            yield from pool.map(run, chosen)
        except BaseException:  # Ctrl-C does not reach jobs, and a wrapper may hang
            pool.shutdown(wait=False, cancel_futures=True)
            for job in jobs:
                job.abandon()
            raise


def _name(case: Case) -> str:
    return case.__name__.replace("_", " ")


def _faults(wrapper: str) -> list[str]:
    """Return what is wrong with a wrapper at sight."""
    if program := plugins.executable(wrapper):
        if shutil.which(program) is None:
            raise InputError(f"wrapper {program!r} is no program that can be run",
                             remedy="give its path, and make it executable")  # fmt: skip
        return []
    try:
        found: object = plugins.wrapper(wrapper)
    except InputError:
        raise
    except Exception as error:
        return [f"it cannot be imported: {type(error).__name__}: {error}"]
    problems = []
    for phase, arguments in plugins.PHASES.items():
        function = getattr(found, phase, None)
        if function is None:
            continue
        try:
            own = [None] if isinstance(found, type) else []
            inspect.signature(function).bind(*own, *[None] * arguments)
        except (TypeError, ValueError) as error:
            problems.append(f"phase {phase} is called with {arguments} arguments: {error}")
    for name in vars(found):
        close = difflib.get_close_matches(name, plugins.PHASES, n=1, cutoff=0.8)
        if close and name not in plugins.PHASES and callable(getattr(found, name)):
            problems.append(f"{name} is no phase; was {close[0]} meant?")
    return problems
