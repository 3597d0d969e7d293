"""Which archive keeps what, and when files go there: the archive at home, and one on the disk of the cluster.

Said by the campaign (desdm.md §1.7: ``use_home_archive_input`` and its kin), carried by plans and capsules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

WRAPPER, JOB, BLOCK, RUN, NEVER, ALL, TARGET = "wrapper", "job", "block", "run", "never", "all", "target_archive"
INPUTS = (TARGET, WRAPPER, ALL, NEVER)
"""When inputs are taken from home: into the target archive before jobs start, by the job before each quantum or when it
starts, never."""
OUTPUTS = (WRAPPER, JOB, BLOCK, RUN, NEVER)
"""When outputs are brought home: by the job after each quantum (both), when the block or the attempt is done, never."""


class Keeping(NamedTuple):
    """What is kept where. ``target`` is the archive on the cluster's disk, "" if there is none or it is not used."""

    target: str = ""
    inputs: str = WRAPPER
    outputs: str = JOB
    reads: bool = False
    """Whether inputs are taken from the target archive, if they lie there; what is not brought home by the job is."""
    stores: bool = False
    """Whether jobs store outputs in the target archive."""

    @property
    def homing(self) -> str:
        """When the engine brings outputs home: ``block``, ``run``, or "" if it does not."""
        return self.outputs if self.target and self.outputs in (BLOCK, RUN) else ""

    @property
    def ahead(self) -> bool:
        """Whether a job fetches the inputs of all its quanta before the first begins."""
        return self.inputs == ALL

    @property
    def takes(self) -> bool:
        """Whether inputs are copied into the target archive before jobs start."""
        return bool(self.target) and self.inputs == TARGET

    def read(self, home: str) -> tuple[str, ...]:
        """Return the archives in which jobs look for a file, the first first."""
        # what the attempt made is found where it was stored, whatever is said of inputs
        first = (self.target,) if self.reads or self.stores else ()
        return first if first and self.stores and self.inputs == NEVER else (*first, home)

    def store(self, home: str) -> tuple[str, ...]:
        """Return the archives in which jobs store outputs."""
        if not self.stores:
            return (home,)
        return (self.target, home) if self.outputs in (WRAPPER, JOB) else (self.target,)


AT_HOME = Keeping()


def keeping_of(plain: Sequence[Any] | None) -> Keeping:
    """Return it from its JSON (None: all is kept at home). Raises TypeError or ValueError if it is none."""
    if plain is None:
        return AT_HOME
    target, inputs, outputs, reads, stores = plain
    if inputs not in INPUTS or outputs not in OUTPUTS:
        raise ValueError(f"'{inputs}', '{outputs}' say nothing of when files are copied")
    return Keeping(str(target), inputs, outputs, bool(reads), bool(stores))
