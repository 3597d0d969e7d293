"""What HTCondor's event log tells of jobs that cannot tell themselves: where they ran, what ended them, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from facade.states import FailureClass

TOLD = 4
"""How many of the last things that befell a job are told."""
_NODE = re.compile(r'DAGNodeName\s*=\s*"j(\d{6,})"|DAG Node: j(\d{6,})')
_HOST = re.compile(r"alias=([^&>]+)")


class Event(NamedTuple):
    """One event: the job's cluster, what HTCondor calls it (``JOB_EVICTED``), when, and its attributes."""

    cluster: int
    kind: str
    at: float
    details: Mapping[str, Any]


class Fate(NamedTuple):
    """What became of a job: *over* if it has left the queue, and not only by waiting in vain; *host* where it ran last,
    and its story in words."""

    batch_id: str
    host: str
    over: bool
    failure_class: FailureClass
    story: str


def fates(events: Iterable[Event]) -> dict[int, Fate]:
    """Return the fate of each job of a DAG by its number; of a job that was submitted again, that of the last time."""
    jobs: dict[int, _Story] = {}
    numbers: dict[int, int] = {}
    for event in events:
        if event.kind == "SUBMIT":
            if match := _NODE.search(str(event.details.get("LogNotes", ""))):
                number = int(match[1] or match[2])
                numbers[event.cluster] = number
                jobs[number] = _Story(event.cluster)
        elif (story := jobs.get(numbers.get(event.cluster, -1))) and story.cluster == event.cluster:
            story.add(event)
    return {number: story.fate() for number, story in jobs.items()}


class _Story:
    def __init__(self, cluster: int) -> None:
        self.cluster, self._host, self._over = cluster, "", False
        self._class, self._told = FailureClass.LOST, list[str]()

    def add(self, event: Event) -> None:
        if event.kind == "EXECUTE":
            self._host = _host(event.details)
        if tell := _TELLING.get(event.kind):
            text, self._class, over = tell(event.details)
            # one that only waited when it was taken away has nothing to tell
            self._over = over and bool(self._host or self._told or event.kind != "JOB_ABORTED")
            why = str(event.details.get(_REASON.get(event.kind, "Reason")) or "").strip()
            at = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="seconds")
            place = f" on {self._host}" if self._host else ""
            self._told.append(f"{text}{place} at {at}" + (f" ({why})" if why else ""))

    def fate(self) -> Fate:
        last = f"nothing is known after its start on {self._host}" if self._host else "it was not started"
        told = self._told[-TOLD:] or [last]
        return Fate(f"{self.cluster}.0", self._host, self._over, self._class, "; ".join(told))


def _host(details: Mapping[str, Any]) -> str:
    """Return the name of the machine that an execute event tells: of its slot, else by its address."""
    slot = str(details.get("SlotName", ""))
    if "@" in slot:
        return slot.rpartition("@")[2]
    address = str(details.get("ExecuteHost", ""))
    match = _HOST.search(address)
    return match[1] if match else address


def _terminated(details: Mapping[str, Any]) -> tuple[str, FailureClass, bool]:
    if details.get("TerminatedNormally"):
        return f"ended with exit code {details.get('ReturnValue')}", FailureClass.LOST, True
    return f"ended by signal {details.get('TerminatedBySignal')}", FailureClass.LOST, True


_TELLING: Mapping[str, Callable[[Mapping[str, Any]], tuple[str, FailureClass, bool]]] = {
    "JOB_EVICTED": lambda _: ("evicted", FailureClass.EVICTED, False),
    "JOB_ABORTED": lambda _: ("removed", FailureClass.EVICTED, True),
    "JOB_HELD": lambda _: ("held", FailureClass.EVICTED, False),
    "JOB_DISCONNECTED": lambda _: ("contact lost", FailureClass.LOST, False),
    "JOB_RECONNECT_FAILED": lambda _: ("given up", FailureClass.LOST, False),
    "SHADOW_EXCEPTION": lambda _: ("broken off", FailureClass.LOST, False),
    "EXECUTABLE_ERROR": lambda _: ("not startable", FailureClass.LOST, False),
    "JOB_TERMINATED": _terminated,
}
_REASON = {"JOB_HELD": "HoldReason", "JOB_DISCONNECTED": "DisconnectReason", "SHADOW_EXCEPTION": "Message"}
