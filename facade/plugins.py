"""The seams where observatories add their own code: wrappers, query codes, ingestors; and how they are found.

A plug-in is a module (or object) that satisfies one of these Protocols and is registered under an entry-point group
(``facade.wrappers``, ``facade.queries``, ``facade.ingestors``), or a function that campaigns may call
(``facade.functions``). facade never names one; the campaign does.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, cast

from facade.errors import InputError

Scalar = str | int | float | bool | None
Row = Mapping[str, Scalar]
Line = Mapping[str, Row]
"""One line of a dataset: nickname -> row. A row may hold ``filename``, ``compression``, any metadata columns."""


class Run(Protocol):
    """What a wrapper may see and do while it prepares one quantum; everything else is facade's business."""

    @property
    def directory(self) -> Path:
        """The job directory, current directory of every program; shared by all quanta of the job."""

    @property
    def identity(self) -> Mapping[str, Scalar]:
        """project, campaign, reqnum, unitname, attnum …: what every file name carries."""

    @property
    def keys(self) -> Mapping[str, Scalar]:
        """The loop values of this quantum."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """The module's ``wrapper`` section, variables resolved."""

    @property
    def inputs(self) -> Sequence[Mapping[str, Any]]:
        """The staged inputs: ``section``, ``filename``, ``path`` (file, relative to the job directory), ``rename``,
        ``metadata`` as the registry has it."""

    def log(self, text: str) -> None:
        """Add a line to the quantum's log."""


class Wrapper(Protocol):
    """The layer between the hostile command line and facade."""

    def prepare(self, run: Run) -> None:
        """Make the job directory ready for the programs of one quantum. Must be safe to repeat.

        Raises:
            FacadeError: it cannot be made ready; the quantum fails with class ``wrapper``.
        """

    def command(self, run: Run, argv: Sequence[str]) -> Sequence[str]:
        """Return the argument list to run instead of the planned *argv* (most wrappers return it unchanged)."""


class Rows(Protocol):
    """Read access to the registry for query codes: named, bound, never assembled SQL."""

    def files(
        self, filetype: str, where: Mapping[str, object], columns: Sequence[str] = (), *, join: str = ""
    ) -> list[dict[str, Scalar]]:
        """Return files of *filetype* that lie in an archive and whose metadata match *where*, ordered by file name.

        A value may be a scalar, a sequence (any of them), None, or a text with the operators of the generic query
        (docs/inputs.md). A name is a column of the filetype's metadata, filename, compression, filesize, checksum,
        reqnum, unitname, attnum, pfw_attempt_id or archive_name; ``table.column`` names a column of a table that *join*
        (``image.visit = overlap.visit, …``) joins. Files of attempts whose data are junk are left out. Each row holds
        filename, compression, filetype, filesize, checksum, path and the metadata *columns* (default: all of them).
        ``archive_name: None`` gives those files that lie in no archive, with a path of None.

        Raises:
            InputError: no such column, or a value that its column cannot be compared with.
        """

    def table(self, name: str, where: Mapping[str, object]) -> list[dict[str, Scalar]]:
        """Return the rows of a dimension table (``overlap`` …) that match *where*, in the order of its key."""


class Query(Protocol):
    """A query code: which input rows a campaign section gets."""

    def query(self, arguments: Sequence[str], rows: Rows) -> Iterable[Line | Row]:
        """Return lines (nickname -> row) or plain rows, in an order that depends on nothing but the data.

        Raises:
            InputError: the arguments make no sense.
        """


class Ingestor(Protocol):
    """How files of a type that facade did not make become known to the registry."""

    def metadata(self, path: Path, columns: Mapping[str, str]) -> dict[str, Scalar]:
        """Return the metadata of the file at *path*; *columns* maps each wanted column to its source.

        Raises:
            InputError: the file is not what its type says.
        """

    def contents(self, path: Path) -> tuple[str, list[dict[str, Scalar]]] | None:
        """Return (dimension table, rows) for a file whose contents go into a table, or None."""


GROUPS = {
    "wrapper": "facade.wrappers",
    "query": "facade.queries",
    "ingestor": "facade.ingestors",
    "function": "facade.functions",
}


def names(kind: str) -> list[str]:
    """Return the registered names of a *kind* of plug-in (``wrapper``, ``query``, …), sorted."""
    return sorted(point.name for point in entry_points(group=GROUPS[kind]))


def version(kind: str, name: str) -> str:
    """Return the version of the package that a plug-in came with, "" if it came with none.

    Raises:
        InputError: no such plug-in.
    """
    found = _find(kind, name).dist
    return found.version if found is not None else ""


def _find(kind: str, name: str) -> EntryPoint:
    for point in entry_points(group=GROUPS[kind]):
        if point.name == name:
            return point
    known = names(kind)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise InputError(f"no {kind} is called {name!r}", remedy=f"{hint}installed: {', '.join(known)}")


def wrapper(name: str) -> Wrapper:
    """Return the wrapper plug-in called *name*.

    Raises:
        InputError: no such plug-in; the message lists those installed.
    """
    return cast(Wrapper, _find("wrapper", name).load())


def query(name: str) -> Query:
    """Return the query code called *name*; raises InputError as `wrapper` does."""
    return cast(Query, _find("query", name).load())


def ingestor(name: str) -> Ingestor:
    """Return the ingestor called *name*; raises InputError as `wrapper` does."""
    return cast(Ingestor, _find("ingestor", name).load())


def function(name: str, permitted: Sequence[str] = ()) -> Callable[..., object]:
    """Return what ``<<inclfunc name(…)>>`` or ``$FUNC{name,…}`` of a campaign calls.

    A registered function is called by its name. A dotted path that is not registered is imported only if the site
    permits it: *permitted* are modules or packages, as in ``permitted_functions = mysurvey.wcl`` of the site file.

    Raises:
        LookupError: it is not registered and not permitted, or not there; the message says which.
    """
    for point in entry_points(group=GROUPS["function"]):
        if point.name == name:
            return cast("Callable[..., object]", point.load())
    module, _, last = name.rpartition(".")
    if not any(module == one or module.startswith(f"{one}.") for one in permitted):
        registered = ", ".join(names("function")) or "none"
        way = f"; a site may permit imports: permitted_functions = {module}" if module else ""
        raise LookupError(f"no function is registered as '{name}' (registered: {registered}{way})")
    try:
        found = getattr(import_module(module), last)
    except (ImportError, AttributeError) as error:
        raise LookupError(f"the function '{name}' cannot be imported: {error}") from None
    if not callable(found):
        raise LookupError(f"'{name}' is no function")
    return cast("Callable[..., object]", found)
