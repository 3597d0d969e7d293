"""``facade fmt``: lay WCL files out, without changing what they mean."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import sys
from pathlib import Path

import click

from facade.cli.context import talk
from facade.errors import FAILED, CampaignError, FacadeError, InputError
from facade.wcl import decoded
from facade.wcl.layout import layout

STREAM = Path("-")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--check", "only_check", is_flag=True, help="Change nothing; list what would change, and exit 1 then.")
@click.option("--diff", "as_diff", is_flag=True, help="Change nothing; show what would change.")
def fmt(files: tuple[Path, ...], only_check: bool, as_diff: bool) -> int:
    """Lay out each FILE of WCL, '-' being stdin to stdout. What a file means never changes.

    A file that has a syntax fault is told and left as it is: exit 2. Includes are not followed.
    """
    code = changed = 0
    for path in files:
        name = "<stdin>" if path == STREAM else str(path)
        try:
            before = _text(path, name)
            after = layout(before, name)
            changed += after != before
            if as_diff:
                click.echo(_diff(before, after, name), nl=False)
            if only_check:
                if after != before and not as_diff:
                    click.echo(name)
            elif not as_diff:
                _give(path, before, after)
        except FacadeError as error:
            talk(str(error) if isinstance(error, CampaignError) else f"facade: {error}")
            code = max(code, error.exit_code)
    return code or (FAILED if only_check and changed else 0)


def _text(path: Path, name: str) -> str:
    """Return the text to lay out, line ends as they are."""
    try:
        return decoded(sys.stdin.buffer.read() if path == STREAM else path.read_bytes(), name)
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}", remedy="give the path of a WCL file") from None


def _give(path: Path, before: str, after: str) -> None:
    """Write what was laid out: a stream always, a file if it changed, at once and with the mode that it had."""
    if path == STREAM:
        sys.stdout.buffer.write(after.encode())
        return
    if after == before:
        return
    target = path.resolve()  # of a link, the file
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(after.encode())
        shutil.copymode(target, part)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise FacadeError(f"{path}: cannot be written: {error.strerror or error}") from None
    talk(f"{path}: laid out")


def _diff(before: str, after: str, name: str) -> str:
    """Return the change as a patch."""
    lines = difflib.unified_diff(_LINE.findall(before), _LINE.findall(after), name, f"{name} (laid out)")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
