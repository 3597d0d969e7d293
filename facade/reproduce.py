"""Making a registered file again, from what the registry keeps, and comparing it with what was made then.

The quantum that made it is cut out of its attempt's plan; its inputs are fetched from where they lie now, and verified;
the job is run as any job is, in a folder of its own with an archive of its own. Neither the registry nor any archive is
told anything. Nothing of the run directory is needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facade.archive import content_of
from facade.engines.rundir import COMMON, SHARD
from facade.errors import FacadeError, InputError, MissingInputError, some
from facade.fetching import fetch, packed, unpack
from facade.fitsdiff import contents
from facade.job import receipt
from facade.job.execute import PRIVATE
from facade.keeping import AT_HOME
from facade.materialise import job_path
from facade.plan import Plan, from_text
from facade.plan.capsule import Cutter, Surroundings, Tasks
from facade.plan.model import PlannedFile
from facade.programs import identities
from facade.registry import Registry
from facade.registry.finding import Found, Wanted
from facade.registry.makers import Maker
from facade.registry.values import Attempt
from facade.site import Site
from facade.wcl import bind_attempt

SAME, CARDS, DIFFERENT = "same", "same but for cards", "different"
INPUTS = "inputs"
"""The folder of the job's own archive that the inputs are put into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it. ``details``: cards that differ, or in words what else does; ``changed``: programs that are not
    what they were."""

    file: Found
    verdict: str
    details: tuple[str, ...]
    changed: tuple[str, ...]
    made: Path


@dataclass(frozen=True, slots=True)
class Again:
    """A quantum that is to be run again: its attempt, a plan of it alone, and the files that it reads; by id, the
    compressed ones that some of those must be taken from."""

    attempt: Attempt
    maker: Maker
    plan: Plan
    inputs: tuple[Found, ...]
    packed: Mapping[int, Found]
    output: PlannedFile


def planned(registry: Registry, file: Found) -> Again:
    """Return what made *file*, as a plan of its own.

    Raises:
        InputError: no quantum made it, or facade itself wrote it.
        MissingInputError: what it was made from lies nowhere any more.
    """
    maker = registry.care.maker(file.key)
    attempt = registry.attempt(maker.attempt_id) if maker is not None else None
    if maker is None or attempt is None:
        raise InputError(f"{file.name} was not made by a quantum: it was registered as it is, or kept as junk")
    text = registry.run_plan_body(attempt.id).decode()
    whole = from_text(bind_attempt(text, attempt.attnum))
    quantum = whole.quantum(maker.wrapnum)
    outputs = {whole.files[use.file].name: whole.files[use.file] for use in quantum.outputs}
    if file.name not in outputs:
        made = some([f"facade reproduce {name}" for name in outputs], 2)
        raise InputError(f"{file.name} is a {file.filetype}: facade wrote it beside what {maker.module} made",
                         remedy=made)  # fmt: skip
    read = [whole.files[use.file].name for use in quantum.inputs]
    found = {one.name: one for one in registry.care.find(Wanted(names=read, exact=True))} if read else {}
    unpacked = packed(registry, list(found.values()))
    if gone := [name for name, one in found.items() if not one.places and one.id not in unpacked]:
        raise MissingInputError(
            f"what {file.name} was made from lies nowhere any more: {some(gone, 5)}",
            remedy=f"facade reproduce {gone[0]} may make it again",
        )
    files = list(whole.files)
    for use in quantum.inputs:
        one = found[files[use.file].name]
        files[use.file] = files[use.file]._replace(
            producer=0, size=one.size, checksum=one.checksum, archive_path=INPUTS
        )
    for use in quantum.outputs:
        files[use.file] = files[use.file]._replace(save=True)
    job = next(job for job in whole.jobs if maker.wrapnum in job.quanta)
    alone = replace(
        whole, files=tuple(files), quanta=(quantum,), jobs=(job._replace(quanta=(maker.wrapnum,), parents=()),),
        later=(), queries=(), keeping=AT_HOME,
    )  # fmt: skip
    return Again(attempt, maker, alone, tuple(found.values()), unpacked, outputs[file.name])


def reproduce(registry: Registry, site: Site, name: str, scratch: Path, ignore: Sequence[str] = ()) -> Outcome:
    """Make file *name* again below *scratch*, and compare it; cards called as in *ignore* may differ, too.

    Raises:
        InputError, MissingInputError: see `planned`.
        TransferError: an input is not what it was.
        FacadeError: it could not be made again.
    """
    file = registry.care.find(Wanted(names=[name.rpartition("/")[2]], exact=True))[0]
    again = planned(registry, file)
    archive = scratch / "archive"
    (archive / INPUTS).mkdir(parents=True)
    for one in again.inputs:
        target = archive / INPUTS / one.name
        if one.id in again.packed:
            unpack(site, again.packed[one.id], one, target)
        else:
            fetch(site, one, target)
    _run(scratch, again)
    made = archive / again.output.archive_path / file.name
    if not made.is_file():
        raise FacadeError(f"{file.name} was not made again: it is optional, and nothing came of it")
    verdict, details = _compared(site, file, made, scratch / "original", ignore)
    return Outcome(file=file, verdict=verdict, details=details, changed=_changed(registry, again), made=made)


def _run(scratch: Path, again: Again) -> None:
    """Run the job; raises FacadeError if it does not succeed."""
    plan, run = again.plan, scratch / "run"
    job = plan.jobs[0]
    tasks = Tasks(attempt_id=again.attempt.id, attempt=again.attempt.task_id, blocks=tuple(1 for _ in plan.blocks),
                  jobs={job.jobnum: 1}, quanta={again.maker.wrapnum: 1})  # fmt: skip
    around = Surroundings(
        name=again.attempt.name, attnum=again.attempt.attnum, archive="scratch", archive_root=str(scratch / "archive"),
        environment={"PATH": job_path(plan.environment)},
    )  # fmt: skip
    cutter = Cutter(plan, tasks, around)
    folder = run / "job"
    folder.mkdir(parents=True)
    (run / COMMON).write_bytes(cutter.common())
    for _, text in cutter.shards(SHARD, f"../{COMMON}"):
        (folder / "capsules.jsonl").write_bytes(text)
    environment = {key: value for key, value in os.environ.items() if key not in PRIVATE}
    argv = [sys.executable, "-m", "facade.job", f"{folder}/capsules.jsonl#{job.jobnum}", "--workdir", str(scratch)]
    with (scratch / "job.txt").open("wb") as said:
        code = subprocess.run(argv, env=environment, cwd=scratch, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    if code.returncode:
        raise FacadeError(
            f"it could not be made again: {_why(folder, scratch)}", remedy="--keep DIR keeps the log of it"
        )


def _why(folder: Path, scratch: Path) -> str:
    """Return what went wrong, as the receipt has it, else what the job said."""
    lines = [line for file in sorted(folder.glob("*.receipt.*")) for line in receipt.read(file)]
    told = [line["failure"]["message"] for line in lines if line["kind"] == "quantum-ended" and line.get("failure")]
    return (
        str(told[0]).partition("; job directory kept: ")[0]
        if told
        else (scratch / "job.txt").read_text(errors="replace").strip()
    )


def _compared(
    site: Site, file: Found, made: Path, original: Path, ignore: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """Return how what was made compares with what is registered."""
    now = content_of(made)
    if now.checksum == file.checksum:
        return SAME, ()
    told = f"{now.size} bytes, sha256 {now.checksum}; registered with {file.size} bytes, sha256 {file.checksum}"
    if not file.places:
        return DIFFERENT, (told, "what was made then is gone, so no more can be said")
    original.mkdir()
    try:
        fetch(site, file, original / file.name)
    except FacadeError as error:
        return DIFFERENT, (told, f"what was made then cannot be had, so no more can be said: {error.message}")
    found = contents(original / file.name, made, ignore)
    if found is None:
        return DIFFERENT, (told,)
    return (DIFFERENT, found.others) if found.others else (CARDS, found.cards)


def _changed(registry: Registry, again: Again) -> tuple[str, ...]:
    """Return the programs that are not what they were when the attempt was planned."""
    then = registry.care.programs(again.attempt.id)
    return tuple(name for name, what in identities(again.plan).items() if then.get(name, what) != what)
