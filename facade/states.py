"""States of an attempt, block, job, quantum and exec; which moves are legal; classes of failure.

The registry appends every change as an event and derives the current state from it; a final state may be left only by
a new run of the same task (a retry or a resume), which starts over from ``staging`` or ``running``.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a task is. One vocabulary for every kind of task; jobs and attempts skip the middle ones."""

    PLANNED = "planned"
    STAGING = "staging"  # inputs are being copied and verified
    RUNNING = "running"
    SAVING = "saving"  # outputs are being checked, recorded and copied to the archive
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    BLOCKED = "blocked"  # cannot run: something it needs failed
    LOST = "lost"  # started, and whoever ran it is gone without a word
    REMOVED = "removed"  # taken away by an operator

    @property
    def final(self) -> bool:
        """True if nothing more happens without a new run."""
        return self in FINAL

    @property
    def active(self) -> bool:
        """True while somebody works on it."""
        return self in (State.STAGING, State.RUNNING, State.SAVING)


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.BLOCKED, State.LOST, State.REMOVED})

MOVES: dict[State, frozenset[State]] = {
    State.PLANNED: frozenset({State.STAGING, State.RUNNING, State.BLOCKED, State.REMOVED, State.FAILED}),
    State.STAGING: frozenset({State.RUNNING, State.FAILED, State.LOST, State.REMOVED}),
    State.RUNNING: frozenset({State.SAVING, State.SUCCEEDED, State.FAILED, State.LOST, State.REMOVED}),
    State.SAVING: frozenset({State.SUCCEEDED, State.FAILED, State.LOST, State.REMOVED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset({State.STAGING, State.RUNNING, State.BLOCKED}),
    State.BLOCKED: frozenset({State.STAGING, State.RUNNING, State.BLOCKED, State.FAILED}),
    State.LOST: frozenset({State.STAGING, State.RUNNING, State.BLOCKED, State.FAILED, State.SUCCEEDED}),
    State.REMOVED: frozenset({State.STAGING, State.RUNNING, State.BLOCKED}),
}


class FailureClass(StrEnum):
    """Why a quantum or job failed; decides whether trying again can help."""

    EXEC_FAILED = "exec-failed"  # the program ended with a non-zero exit code
    KILLED = "killed"  # the program was ended by a signal
    TIMEOUT = "timeout"  # the program took longer than it may
    OUT_OF_MEMORY = "out-of-memory"
    INPUT_MISSING = "input-missing"
    OUTPUT_MISSING = "output-missing"
    REFUSED = "refused"  # something else bears the name of a file already; the same again would be refused again
    TRANSFER = "transfer"
    REGISTRY = "registry"
    WRAPPER = "wrapper"
    LOST = "lost"  # whoever ran it is gone without a word
    EVICTED = "evicted"  # the job was told to end: the host is wanted for something else, or an operator said so

    @property
    def retryable(self) -> bool:
        """True if the fault lies with the surroundings, not with the payload."""
        return self in (FailureClass.TRANSFER, FailureClass.REGISTRY, FailureClass.LOST, FailureClass.EVICTED)
