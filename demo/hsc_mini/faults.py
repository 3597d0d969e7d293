"""What can go wrong in a task, and the exit code that says so."""

from __future__ import annotations


class TaskFault(Exception):
    """A task cannot go on; ``exit_code`` tells its caller why."""

    exit_code = 1


class UsageFault(TaskFault):
    """The command line or a configuration override is wrong."""

    exit_code = 2


class InputFault(TaskFault):
    """An input is missing, unreadable, or not what the repository says it is."""

    exit_code = 3


class ScienceFault(TaskFault):
    """The inputs are sound but the measurement failed."""

    exit_code = 4
