"""``facade wrapper``: which wrappers there are, and whether one keeps to the protocol."""

from __future__ import annotations

import inspect
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from facade import plugins
from facade.cli.context import talk
from facade.cli.output import plain_json, show, table
from facade.conformance import Result, tested
from facade.errors import DONE, FAILED, InputError

JSON = click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")


@click.group()
def wrapper() -> None:
    """Wrappers: what stands between facade and programs (docs/wrappers.md)."""


@wrapper.command("list")
@JSON
def listing(as_json: bool) -> int:
    """List the wrapper plug-ins that are installed."""
    found = [_described(name) for name in plugins.names("wrapper")]
    if as_json:
        plain_json(found)
        return DONE
    rows = table("wrapper", "version", "phases", "")
    for one in found:
        rows.add_row(
            Text(one["name"]), one["version"], ", ".join(one["phases"]),
            Text(one["fault"] or one["about"], style="red" if one["fault"] else ""),
        )  # fmt: skip
    show(rows)
    return DONE


def _described(name: str) -> dict[str, Any]:
    """Return what there is to say of a plug-in, also of one that cannot be imported."""
    told = {"name": name, "version": plugins.version("wrapper", name), "phases": [], "about": "", "fault": ""}
    try:
        found = plugins.wrapper(name)
    except Exception as error:  # of a stranger's module anything
        return told | {"fault": f"cannot be imported: {type(error).__name__}: {error}"}
    phases = [phase for phase in plugins.PHASES if callable(getattr(found, phase, None))]
    return told | {"phases": phases, "about": (inspect.getdoc(found) or "").partition("\n")[0]}


@wrapper.command("test")
@click.argument("name")
@click.option("--param", "parameters", multiple=True, metavar="KEY=VALUE", help="One line of the module's <wrapper>.")
@click.option("--column", "columns", multiple=True, metavar="NAME=TYPE", help="Metadata that it adds to outputs.")
@click.option("--case", "only", multiple=True, metavar="CASE", help="Run this case only, such as 'odd names'.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Run in this new folder and keep it.")
@JSON
def test(
    name: str,
    parameters: tuple[str, ...],
    columns: tuple[str, ...],
    only: tuple[str, ...],
    keep: Path | None,
    as_json: bool,
) -> int:
    """Run small jobs with the wrapper NAME, a plug-in or exec:PROGRAM, and compare what comes of them with what must.

    No database is needed. Exit codes: 0 it keeps to the protocol, 1 it does not.
    """
    given, added = _pairs(parameters, "--param"), _pairs(columns, "--column")
    if keep is not None:
        try:
            keep.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"--keep {keep}: {error.strerror}", remedy="name a folder that is not there yet") from None
    with tempfile.TemporaryDirectory(prefix="facade-wrapper-", ignore_cleanup_errors=True) as scratch:
        place = keep.absolute() if keep else Path(scratch)
        results = list(tested(name, given, added, place, only=only, keep=keep is not None))
    good = all(result.passed for result in results)
    if as_json:
        plain_json({"wrapper": name, "passed": good, "cases": [_plain(result) for result in results]})
    else:
        _show(name, results, good)
        if not good:
            talk(f"what is left lies in {keep}" if keep else "with --keep DIR jobs and logs are kept, to look at")
    return DONE if good else FAILED


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (key.strip() and equals):
            raise InputError(f"{option} {text}: expected KEY=VALUE")
        found[key.strip()] = value.strip()
    return found


def _plain(result: Result) -> dict[str, Any]:
    return {
        "case": result.case,
        "what": result.what,
        "passed": result.passed,
        "required": result.required,
        "problems": list(result.problems),
        "seconds": round(result.seconds, 3),
    }


def _show(name: str, results: list[Result], good: bool) -> None:
    rows = table("case", "", "s", "what must be, what is not", right=(2,))
    for one in results:
        passed, style = ("passed", "green") if not one.problems else ("failed", "red")
        if one.problems and not one.required:
            passed, style = "not done", "yellow"
        told = Text(one.what)
        for problem in one.problems:
            told.append(f"\n✗ {problem}", style=style)
        rows.add_row(one.case, Text(passed, style=style), f"{one.seconds:.1f}", told)
    failed = sum(not one.passed for one in results)
    verdict = "keeps to the protocol" if good else f"fails {failed} of {len(results)} cases"
    show(rows, Text(f"wrapper '{name}' {verdict}", style="bold green" if good else "bold red"))
