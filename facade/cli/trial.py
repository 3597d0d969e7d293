"""``facade ingest --test PLUGIN FILE…``: what an ingestor makes of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from facade.campaign import filetypes
from facade.cli import output
from facade.cli.context import talk
from facade.errors import DONE, FAILED, InputError
from facade.ingest import definition_of
from facade.ingest.given import gather
from facade.ingest.trial import Trial, filetypes_for, load, shape_faults, try_file, try_others
from facade.wcl import Document

SHOWN_ROWS = 3


def trial(plugin: str, filetype: str, document: Document, files: Sequence[str], *, as_json: bool) -> int:
    """Try *plugin* on *files*, as the given filetype or every one that names it; return the exit code."""
    if not files:
        raise InputError("no file to try it on", remedy=f"facade ingest --test {plugin} FILE…")
    ingestor = load(plugin)
    faults = shape_faults(ingestor)
    chosen = [definition_of(document, filetype)] if filetype else filetypes_for(plugin, filetypes(document))
    trials: list[Trial] = []
    if not faults:
        wanted = gather(files)
        faults += [str(fault) for _, fault in wanted.faults]
        trials = [try_file(ingestor, file.path, one) for one in chosen for file in wanted.files]
        faults += [text for one in chosen for text in try_others(ingestor, one, _suffix(wanted.files[0].path))]
    faults = list(dict.fromkeys(faults))
    bad = len(faults) + sum(len(one.faults) for one in trials)
    if as_json:
        output.plain_json({"plugin": plugin, "faults": faults, "files": [one.plain() for one in trials]})
    else:
        for one in trials:
            _show(one)
        for fault in faults:
            talk(f"✗ {fault}")
    refused = sum(bool(one.refused) for one in trials)
    said = f"{bad} fault{'' if bad == 1 else 's'}" if bad else "it keeps to its contract"
    talk(f"{plugin}: {said}" + (f"; {refused} of {len(trials)} files are none of its kind" if refused else ""))
    return FAILED if bad or refused else DONE


def _suffix(path: Path) -> str:
    return "".join(path.suffixes[-1:])


def _show(one: Trial) -> None:
    talk(f"{one.path} as {one.filetype.name}")
    if one.refused:
        talk(f"  not taken: {one.refused}")
    if one.values:
        shown = output.table("column", "type", "source", "value")
        for name, kind, source in one.filetype.columns:
            value = one.values.get(name)
            shown.add_row(name, kind, escape(source), "" if value is None else escape(str(value)))
        output.show(shown)
    if one.table:
        talk(f"  {len(one.rows)} rows for table {one.table}")
        for row in one.rows[:SHOWN_ROWS]:
            talk("    " + " ".join(f"{name}={value}" for name, value in row.items()))
    for fault in one.faults:
        talk(f"✗ {fault}")
    for remark in one.remarks:
        talk(f"  note: {remark}")
