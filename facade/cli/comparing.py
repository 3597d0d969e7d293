"""``facade diff``, ``facade compare``, ``facade reproduce``: is it the same?"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape
from rich.progress import Progress

from facade.cli import output
from facade.cli.context import interactive, registry, site, talk
from facade.errors import DONE, FAILED, InputError, RefusedError
from facade.registry import Registry
from facade.registry.values import Attempt
from facade.run import find

if TYPE_CHECKING:
    from facade.compare import Finding
    from facade.differences import Difference, Side

SHOWN = 50
"""Differences of a kind that a table shows."""
NEW = 600
"""Seconds: copies without a name that are younger may still get one."""
AGE = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--contents", is_flag=True, help="Fetch FITS outputs that differ: dates in their headers do not count.")
@click.option("--ignore", multiple=True, metavar="CARD", help="With --contents: a card that may differ, too.")
@click.option("--json", "as_json", is_flag=True, help="Every difference, as JSON on stdout.")
def diff(a: str, b: str, contents: bool, ignore: tuple[str, ...], as_json: bool) -> int:
    """Tell how attempts A and B differ: configuration, programs, inputs, quanta, and outputs by content.

    Quanta are matched by module and loop values, so names of files, which hold the attempt's number, do not count.
    Outputs are compared by checksum; with --contents, FITS files by cards and data.

    Exit code: 0 the same, 1 they differ.
    """
    from facade.differences import KINDS, compared  # costs the planner

    with registry() as opened:
        found = compared(*[_side(opened, find(opened, name)) for name in (a, b)])
        if contents:
            found = found.without(_alike(opened, found.differences, ignore))
    if as_json:
        output.plain_json({
            "same_outputs": found.same_outputs, "alike_outputs": found.alike_outputs,
            "differences": [{"kind": one.kind, "what": one.what, "a": one.a or None, "b": one.b or None,
                             "quanta": one.quanta or None} for one in found.differences],
        })  # fmt: skip
        return FAILED if found.differences else DONE
    for kind in KINDS:
        _show_differences(kind, [one for one in found.differences if one.kind == kind], a, b)
    alike = f", {found.alike_outputs} hold the same" if contents else ""
    talk(f"{len(found.differences)} differences; {found.same_outputs} outputs are the same{alike}")
    return FAILED if found.differences else DONE


def _alike(opened: Registry, found: Sequence[Difference], ignore: Sequence[str]) -> set[Difference]:
    """Return the outputs that differ, and hold the same."""
    from facade.fetching import hold_the_same

    wanted = [one for one in found if one.products is not None]
    with (
        tempfile.TemporaryDirectory(prefix="facade-diff-") as scratch,
        Progress(console=output.console(err=True), transient=True, disable=not interactive()) as bars,
    ):
        return {
            one
            for one in bars.track(wanted, description="comparing contents")
            if one.products
            and hold_the_same(opened, site(), (one.products[0].name, one.products[1].name), Path(scratch), ignore)
        }


def _show_differences(kind: str, found: Sequence[Difference], a: str, b: str) -> None:
    told = [one for one in found if not (one.a or one.b)]
    rows = output.table(kind)
    for one in told[:SHOWN]:
        rows.add_row(escape(one.what) + (f" ({one.quanta} quanta)" if one.quanta > 1 else ""))
    if told:
        output.show(rows)
    sides = [one for one in found if one.a or one.b]
    rows = output.table(kind, a, b)
    for one in sides[:SHOWN]:
        rows.add_row(escape(one.what), escape(one.a), escape(one.b))
    if sides:
        output.show(rows)
    if len(told) > SHOWN or len(sides) > SHOWN:
        talk(f"… not all {len(found)} differences of this kind are shown: --json lists them")


def _side(opened: Registry, attempt: Attempt) -> Side:
    from facade.differences import Product, Side
    from facade.plan import from_text

    versions: dict[str, list[str]] = {}
    for one in opened.care.versions(attempt.id):
        if one.version:
            versions.setdefault(one.name, []).append(one.version)
    made = {
        one.wrapnum: [None if file is None else Product(file[0] + file[1], file[3], file[2]) for file in one.files]
        for one in opened.carried(attempt.id, [site().archive])
        if one.task_id is not None
    }
    return Side(
        name=attempt.name, plan=from_text(opened.plan_body(attempt.plan_id).decode()),
        programs=opened.care.programs(attempt.id), versions=versions, made=made,
    )  # fmt: skip


@click.command()
@click.option("--archive", "name", help="Which archive; without, the one at home.")
@click.option("--attempt", help="Only what this attempt made.")
@click.option("--under", default="", help="Only below this folder of the archive.")
@click.option("--only-registered", is_flag=True, help="Do not look for what nobody registered.")
@click.option("--checksum", is_flag=True, help="Read every file; without, its size will do.")
@click.option("-j", "threads", type=click.IntRange(1, 64), default=8, help="Files looked at once.")
@click.option("--forget-missing", is_flag=True, help="Have the registry forget that missing files lie here.")
@click.option("--register-missing-location", is_flag=True, help="Record registered files that lie here unrecorded.")
@click.option("--sweep", metavar="AGE", help="Remove copies that never got a name, older than AGE (3600, 12h, 2d).")
@click.option("--force", is_flag=True, help="Forget even if not one file is there; sweep also what is new.")
@click.option("--json", "as_json", is_flag=True, help="Every difference, as JSON on stdout.")
def compare(
    name: str | None, attempt: str | None, under: str, only_registered: bool, checksum: bool, threads: int,
    forget_missing: bool, register_missing_location: bool, sweep: str | None, force: bool, as_json: bool,
) -> int:  # fmt: skip
    """Hold an archive against the registry: files that are missing, extra, of other size or other content.

    No file is removed but by --sweep. Exit code: 0 all is as it should be (or is now), 1 differences are left.
    """
    from facade import compare as comparing
    from facade.archive import open_archive

    age = _age(sweep) if sweep is not None else None
    if age is not None and (attempt or under):
        raise InputError("--sweep goes over all of an archive", remedy="leave --attempt and --under out, or --sweep")
    if age is not None and age < NEW and not force:
        raise RefusedError(
            f"copies younger than {NEW // 60} minutes may be on their way: nothing was swept",
            remedy="give an age of an hour or more; if nobody writes to the archive: --force",
        )
    found = list[comparing.Finding]()
    with registry() as opened:
        archive = open_archive(*site().place(name or site().archive))
        made_by = find(opened, attempt) if attempt else None
        folder = "/".join(part for part in under.split("/") if part not in ("", "."))
        wish = comparing.Wish(
            attempt=made_by.id if made_by else None, home=made_by.archive_path or "" if made_by else "", under=folder,
            only_registered=only_registered, checksum=checksum, forget=forget_missing,
            record=register_missing_location, force=force, threads=threads,
        )  # fmt: skip
        swept = archive.sweep(age) if age is not None else []
        count = comparing.Count()
        with Progress(console=output.console(err=True), transient=True, disable=not interactive()) as bars:
            task = bars.add_task("comparing", total=opened.care.number(archive.name, wish.attempt, folder))
            for one in comparing.compare(opened, archive, wish, count, lambda n: bars.update(task, advance=n)):
                found.append(one)
    if folder and not (count.registered or count.present):
        raise InputError(f"neither archive '{archive.name}' nor the registry has anything below '{folder}'")
    left = [one for one in found if not one.mended]
    if as_json:
        output.plain_json({
            "archive": archive.name, "registered": count.registered, "present": count.present, "swept": swept,
            "findings": [{"kind": one.kind, "path": one.path, "detail": one.detail, "mended": one.mended or None}
                         for one in found],
        })  # fmt: skip
        return FAILED if left else DONE
    _show(found)
    mended = f", {len(found) - len(left)} of them mended" if len(left) < len(found) else ""
    gone = f"; {len(swept)} copies without a name swept" if age is not None else ""
    looked = f"{count.registered} registered files and {count.present} files in archive '{archive.name}'"
    talk(f"{looked}: {len(found)} differences{mended}{gone}")
    return FAILED if left else DONE


def _show(found: Sequence[Finding]) -> None:
    from facade.compare import KINDS

    for kind, means in KINDS.items():
        listed = [one for one in found if one.kind == kind]
        if not listed:
            continue
        rows = output.table(f"{kind}: {means}", "", "")
        for one in listed[:SHOWN]:
            rows.add_row(escape(_visible(one.path)), escape(one.detail), one.mended)
        if len(listed) > SHOWN:
            rows.add_row(f"… and {len(listed) - SHOWN} more (--json lists all)", "", "")
        output.show(rows)


def _visible(path: str) -> str:
    r"""Return a path as a terminal takes it: names on disks may hold any bytes.

    >>> _visible("a\udcff\n")
    'a\\udcff\\n'
    """
    return path if path.isprintable() else repr(path)[1:-1]


def _age(text: str) -> float:
    found = AGE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"--sweep {text}: not an age", remedy="write seconds, or 30m, 12h, 2d")
    return float(found[1]) * SECONDS[found[2]]


@click.command()
@click.argument("file")
@click.option("--ignore", multiple=True, metavar="CARD", help="A FITS card that may differ, too (HISTORY, DATE-*).")
@click.option("--keep", type=click.Path(path_type=Path), help="Work in this folder, which must not exist, and keep it.")
@click.option("--json", "as_json", is_flag=True, help="What came of it, as JSON on stdout.")
def reproduce(file: str, ignore: tuple[str, ...], keep: Path | None, as_json: bool) -> int:
    """Make FILE again, from the plan and the inputs that the registry has, and compare it with what was made then.

    Nothing is stored or registered. Exit code: 0 the same, or but for cards such as DATE; 1 different.
    """
    from facade.reproduce import DIFFERENT
    from facade.reproduce import reproduce as again

    with registry() as opened, ExitStack() as stack:
        if keep is not None:
            try:
                keep.mkdir(parents=True)
            except OSError as error:
                raise InputError(f"--keep {keep}: {error.strerror or error}") from None
        scratch = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="facade-reproduce-")))
        found = again(opened, site(), file, scratch.absolute(), ignore)
    if as_json:
        output.plain_json({
            "filename": found.file.name, "made_by": found.file.attempt, "verdict": found.verdict,
            "details": list(found.details), "programs_changed": list(found.changed),
            "made": str(found.made) if keep else None,
        })  # fmt: skip
    else:
        click.echo(f"{found.file.name}: {found.verdict}" + "".join(f"\n  {one}" for one in found.details))
    if found.changed and not as_json:
        talk(f"changed since {found.file.attempt} was planned: {', '.join(found.changed)}")
    if keep is not None:
        talk(f"what was made: {found.made}")
    return FAILED if found.verdict == DIFFERENT else DONE
