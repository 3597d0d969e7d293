"""The command line that all tasks share: ``TASK REPO [--output REPO] --id k=v ... [--selectId ...] [-c k=v ...]``.

Exit codes: 0 done, 2 usage or configuration, 3 bad or missing input, 4 science failure; or what ``-c failCode=N`` asks
for. Progress and quality numbers go to stderr as ``INFO task key=value`` and ``QC task name value``.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

from hsc_mini import __version__
from hsc_mini.faults import InputFault, TaskFault, UsageFault
from hsc_mini.mapper import DataId, Repo, parse_id, show


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What ``-c`` may set for every task: wait ``sleep`` seconds, then exit with ``failCode`` before any work."""

    sleep: float = 0.0
    failCode: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig(Config):
    """For tasks that write images: ``compression`` is RICE or NONE."""

    compression: str = "RICE"


C = TypeVar("C", bound=Config)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One execution: which task, on which data, in which repository."""

    name: str
    repo: Repo
    data_id: DataId
    selected: tuple[DataId, ...]

    def find(self, dataset: str, **keys: str | int) -> Path:
        """Return an input of this job's data ID, some keys replaced."""
        return self.repo.find(dataset, {**self.data_id, **keys})

    def place(self, dataset: str, **keys: str | int) -> Path:
        """Return where an output of this job's data ID goes, some keys replaced."""
        return self.repo.place(dataset, {**self.data_id, **keys})

    def text(self, key: str) -> str:
        """Return one value of the data ID as text."""
        return str(self.data_id[key])

    def info(self, **values: object) -> None:
        """Log progress."""
        log("INFO", self.name, **values)

    def quality(self, **values: float) -> None:
        """Log quality numbers, one line each."""
        for name, value in values.items():
            print("QC", self.name, name, f"{value:.6g}", file=sys.stderr, flush=True)


def program(
    name: str,
    config: type[C],
    work: Callable[[Job, C], None],
    *,
    keys: Iterable[str],
    selects: Iterable[str] = (),
) -> Callable[[], int]:
    """Return a task's ``main``: *keys* its data ID must have; *selects*, if any, the keys of each ``--selectId``."""

    def main(argv: Sequence[str] | None = None) -> int:
        arguments = _parser(name, tuple(selects)).parse_args(argv)
        try:
            _run(name, config, work, arguments, tuple(keys), tuple(selects))
        except TaskFault as fault:
            if arguments.doraise:
                traceback.print_exc()
            log("FATAL", name, fault=repr(str(fault)))
            return fault.exit_code
        except _AskedToFail as asked:
            return asked.code
        return 0

    return main


def log(level: str, name: str, **values: object) -> None:
    """Write one line of ``key=value`` to stderr."""
    print(level, name, *(f"{key}={value}" for key, value in values.items()), file=sys.stderr, flush=True)


def configure(config: type[C], words: Iterable[str]) -> C:
    """Return *config* with the overrides ``key=value`` applied; a key it does not have is a fault."""
    known = {field.name: field.default for field in fields(config)}
    values: dict[str, object] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or key not in known:
            raise UsageFault(f"unknown configuration {word!r}; known: {' '.join(sorted(known))}")
        values[key] = _convert(key, text, known[key])
    return config(**values)  # type: ignore[arg-type]  # converted to each field's own type


class _AskedToFail(Exception):
    def __init__(self, code: int):
        self.code = code


def _run(
    name: str,
    config_type: type[C],
    work: Callable[[Job, C], None],
    arguments: argparse.Namespace,
    keys: tuple[str, ...],
    selects: tuple[str, ...],
) -> None:
    began = time.monotonic()
    config = configure(config_type, (word for words in arguments.config for word in words))
    data_id = _checked(arguments.id, "--id", keys)
    selected = tuple(_checked(words, "--selectId", selects) for words in arguments.selectId)
    if selects and not selected:
        raise UsageFault("at least one --selectId is needed")
    log("INFO", name, version=__version__, id=repr(show(data_id)), selected=len(selected))
    time.sleep(config.sleep)
    if config.failCode:
        log("FATAL", name, failCode=config.failCode)
        raise _AskedToFail(config.failCode)
    output = Path(arguments.output) if arguments.output else None
    job = Job(name=name, repo=Repo(Path(arguments.repo), output), data_id=data_id, selected=selected)
    try:
        work(job, config)
    except FileNotFoundError as fault:
        raise InputFault(str(fault)) from fault
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = usage.ru_utime + usage.ru_stime
    job.info(status="done", wall=f"{time.monotonic() - began:.2f}", cpu=f"{cpu:.2f}", maxrss_kb=usage.ru_maxrss)


def _parser(name: str, selects: tuple[str, ...]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, description="A command-line task of hsc_mini.", allow_abbrev=False)
    parser.add_argument("repo", help="butler repository to read")
    parser.add_argument("--output", metavar="REPO", help="butler repository to write (default: the same)")
    parser.add_argument("--id", nargs="+", required=True, metavar="KEY=VALUE", help="data ID")
    parser.add_argument("-c", "--config", nargs="*", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--version", action="version", version=f"hsc_mini {__version__}")
    parser.add_argument("--doraise", action="store_true", help="show a traceback when the task fails")
    if selects:
        parser.add_argument("--selectId", nargs="+", action="append", default=[], metavar="KEY=VALUE")
    else:
        parser.set_defaults(selectId=[])
    return parser


def _checked(words: list[str], option: str, keys: tuple[str, ...]) -> dict[str, str | int]:
    data_id = parse_id(words)
    missing = [key for key in keys if key not in data_id]
    if missing:
        raise UsageFault(f"{option} {' '.join(words)} lacks {', '.join(missing)}")
    return data_id


def _convert(key: str, text: str, default: object) -> object:
    """Read *text* as the type of *default*."""
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return type(default)(text)  # type: ignore[call-arg]
    except (KeyError, ValueError):
        raise UsageFault(f"configuration {key} must be of type {type(default).__name__}, not {text!r}") from None
