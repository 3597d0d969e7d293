"""What a plan says of outputs besides their names: which are saved, which are compressed too, which cards they get.

A compressed file is a file of its own, of identity (filename, suffix). Whoever depends on an output reads it as its
program wrote it (desdm.md §3: compression is the last step); so it must share the job of who makes it, or the archive
must have it uncompressed as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from facade.campaign import FileSpec, Module
from facade.campaign.model import CardSpec
from facade.campaign.outputs import suffixes
from facade.outputs import AS_PLANNED, FILE, NEVER, NO_TREATMENT, Card, Handling, Outputs, Piece, Treatment
from facade.plan.bench import Workbench
from facade.plan.model import Job
from facade.wcl.template import BadReference, Slot, Template

HERE = ("filename", "compression")
"""What a job knows of every output, besides what planning does."""


def handling(module: Module, cards: Mapping[str, Sequence[tuple[CardSpec, Template]]]) -> Handling:
    """Return what becomes of the outputs of a module; *cards* are those of each section with their compiled values."""
    compressed = suffixes(module)
    sections = {}
    for name in module.outputs:
        spec = module.files[name]
        made = tuple([_card(spec, card, template) for card, template in cards.get(name, ())])
        treatment = Treatment(spec.empty, name in compressed, made)
        if treatment != NO_TREATMENT:
            sections[f"file.{name}"] = treatment
    save = module.save if module.save != NEVER else FILE
    return Handling(save, module.compression if compressed else None, sections)


def outputs_of(bench: Workbench) -> Outputs:
    """Return what becomes of the outputs of all modules that were planned."""
    found = {name: one for name, one in bench.handlings.items() if one != AS_PLANNED}
    return Outputs(bench.campaign.junk, found)


def _card(spec: FileSpec, card: CardSpec, template: Template) -> Card:
    pieces: tuple[Piece, ...] = ()
    if not card.source:
        pieces = tuple([_piece(spec, part) for part in template.parts])
    return Card(card.hdus, card.key, pieces, card.comment, card.kind, card.source)


def _piece(spec: FileSpec, part: Any) -> Piece:
    return str(part) if isinstance(part, str) else (own_name(spec, part.name), part.pad)


def own_name(spec: FileSpec, name: str) -> str:
    """Return what a job calls a value that a card refers to: ``file.x.filename`` of the output itself is its name."""
    return name.removeprefix(f"file.{spec.name}.") if name == f"file.{spec.name}.filename" else name


def check_card(spec: FileSpec, card: CardSpec, template: Template) -> tuple[str, ...]:
    """Return the names that a card needs of a quantum; raises BadReference if no job can know them."""
    if card.source:
        return ()
    for part in template.parts:
        if not isinstance(part, str | Slot) or (isinstance(part, Slot) and part.optional):
            raise BadReference(
                f"card '{card.key}' calls what only planning can call",
                code="F351",
                remedy="write header:[HDU:]KEY or function:NAME, which the job can do",
            )
    names = [own_name(spec, name) for name in template.slots]
    if dotted := next((name for name in names if "." in name), ""):
        remedy = f"of files, only ${{file.{spec.name}.filename}} is known where cards are written"
        raise BadReference(f"card '{card.key}' refers to '{dotted}'", code="F351", remedy=remedy)
    return tuple(name for name in names if name not in HERE and name != "wrapnum")


def check_readers(bench: Workbench, jobs: Sequence[Job]) -> None:
    """Report outputs that another job reads though the archive does not have them as they are read."""
    if not bench.unsaved:
        return
    job_of = {wrapnum: job.jobnum for job in jobs for wrapnum in job.quanta}
    for quantum in bench.quanta:
        for use in quantum.inputs:
            if use.file not in bench.unsaved or job_of[bench.files[use.file].producer] == job_of[quantum.wrapnum]:
                continue
            maker, _, spec = bench.made_by[use.file]
            compressed = use.file in bench.compressed.values()
            how = "only compressed" if compressed else "not saved"
            first = "set compress_cleanup = False" if compressed else "let it be saved (savefiles, master_savefiles)"
            bench.fault(
                "F525",
                f"quantum {quantum.label} reads '{bench.files[use.file].name}' of another job, and it is {how}",
                spec.section.value("compress_files" if compressed else "savefiles") or spec.section,
                f"{first}, or choose divide_jobs_by such that modules '{maker}' and '{quantum.module}' share jobs",
                alike=("unsaved", spec.section.location, quantum.module),
            )
