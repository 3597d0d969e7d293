"""The seams where observatories add their own code: wrappers, query codes, ingestors; and how they are found.

A plug-in is a module (or object) that satisfies one of these Protocols and is registered under an entry-point group
(``facade.wrappers``, ``facade.queries``, ``facade.ingestors``), or a function that campaigns may call
(``facade.functions``). facade never names one; the campaign does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, cast

from facade.errors import InputError
from facade.wcl.tree import did_you_mean

Scalar = str | int | float | bool | None
Row = Mapping[str, Scalar]
Line = Mapping[str, Row]
"""One line of a dataset: nickname -> row. A row may hold ``filename``, ``compression``, any metadata columns."""


class Run(Protocol):
    """What a wrapper may see and do while one quantum is its business; everything else is facade's."""

    @property
    def directory(self) -> Path:
        """The directory of the quantum, current directory of every program; quanta of a job that run one after the
        other share it, those that run side by side have one each."""

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
        """The staged inputs: ``section``, ``filename``, ``path`` (file, relative to the directory), ``rename``,
        ``metadata`` as the registry has it."""

    @property
    def lists(self) -> Sequence[Mapping[str, Any]]:
        """The list files, written already: ``section``, ``filename``, ``path``."""

    @property
    def outputs(self) -> Sequence[Mapping[str, Any]]:
        """The declared outputs: ``section``, ``filename``, ``path``, ``filetype``, ``optional``, ``metadata`` as
        planned."""

    def log(self, text: str) -> None:
        """Add a line to the quantum's log."""


class Ended(Protocol):
    """How a program ended."""

    @property
    def exit_code(self) -> int | None:
        """Its exit code, None if a signal ended it."""

    @property
    def signal(self) -> int:
        """The signal that ended it, or 0."""


class Program(Protocol):
    """One program of a quantum."""

    @property
    def execnum(self) -> int:
        """The N of its section exec_N."""

    @property
    def name(self) -> str:
        """What the campaign calls it: its execname."""

    @property
    def argv(self) -> Sequence[str]:
        """The argument list, as `Wrapper.command` returned it."""

    @property
    def used(self) -> Sequence[str]:
        """Names of the files that it is declared to use."""

    @property
    def generated(self) -> Sequence[str]:
        """Names of the files that it is declared to make."""

    def execute(self, argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> Ended:
        """Run *argv* (default: that of the program) as facade runs programs, with *env* added to its environment.

        Its output goes into the quantum's log; the limits of time and memory hold for all calls of a phase together.
        A job that is told to end ends it.
        """


class Wrapper(Protocol):
    """The layer between the hostile command line and facade: a module, or a class of which each quantum gets an object.

    Its functions are phases, called in this order. Every one may be left out: what then happens is said below. What
    they raise or return that is not right fails the quantum with class ``wrapper``, the plug-in and the phase named.
    A wrapper cannot register what was not planned. docs/wrappers.md has examples; ``facade wrapper test`` tests one.
    """

    def prepare(self, run: Run) -> None:
        """Make the directory ready for the programs. Must be safe to repeat. Left out: inputs get their second names.

        Raises:
            FacadeError: it cannot be made ready.
        """

    def command(self, run: Run, argv: Sequence[str]) -> Sequence[str]:
        """Return the argument list to run instead of the planned *argv*. Left out: *argv*."""

    def run(self, run: Run, program: Program) -> Ended | int:
        """Run one program and return how it ended. Left out: ``program.execute()``."""

    def inputs(self, run: Run, program: Program) -> Iterable[str] | None:
        """Return which of ``program.used`` it really used, once it has succeeded. Left out, or None: all of them."""

    def outputs(self, run: Run) -> Iterable[Mapping[str, Any]] | None:
        """Return what was written: ``filename`` as declared; ``path`` if it lies elsewhere, relative to the directory,
        and is to be renamed; ``metadata`` to be added. Left out, or None: what was declared and is there."""

    def derive(self, run: Run) -> Iterable[tuple[str, str]] | None:
        """Return which file was derived from which, as (child, parent). Left out, or None: as declared."""


PHASES: Mapping[str, int] = {"prepare": 1, "command": 2, "run": 2, "inputs": 2, "outputs": 1, "derive": 1}
"""The phases of a wrapper, in their order, and how many arguments each one gets."""

EXECUTABLE = "exec:"
"""How the name of a wrapper begins that is no plug-in but a program: ``wrappername = exec:/path/to/program``."""


def executable(wrappername: str) -> str:
    """Return the program that a wrapper is, "" if it is a plug-in.

    >>> executable("exec:mywrapper"), executable("lsst")
    ('mywrapper', '')
    """
    return wrappername.removeprefix(EXECUTABLE).strip() if wrappername.startswith(EXECUTABLE) else ""


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
    remedy = f"{did_you_mean(name, known)} installed: {', '.join(known)}".lstrip()
    raise InputError(f"no {kind} is called {name!r}", remedy=remedy)


def wrapper(name: str) -> Wrapper:
    """Return the wrapper plug-in called *name*.

    Raises:
        InputError: no such plug-in; the message lists those installed. What its import raises is not caught.
    """
    return cast(Wrapper, _find("wrapper", name).load())


def _loaded(kind: str, name: str) -> object:
    point = _find(kind, name)
    try:
        return point.load()
    except (Exception, SystemExit) as error:  # an import runs whatever its author wrote
        message = f"{kind} {name!r} cannot be imported: {type(error).__name__}: {error}"
        raise InputError(message, remedy=f"mend {point.value}, or install its package again") from error


def query(name: str) -> Query:
    """Return the query code called *name*; raises InputError if it is not there or cannot be imported."""
    return cast(Query, _loaded("query", name))


def ingestor(name: str) -> Ingestor:
    """Return the ingestor called *name*; raises InputError if it is not there or cannot be imported."""
    return cast(Ingestor, _loaded("ingestor", name))


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


def computed(name: str, file: Path, metadata: Mapping[str, Scalar]) -> Scalar:
    """Return what the function registered as *name* makes of a *file* and of what is known of it (docs/outputs.md).

    Raises:
        InputError: it is not registered, failed, or returned what no column can hold.
    """
    try:
        found = function(name)(file, dict(metadata))
    except (Exception, SystemExit) as error:
        raise InputError(f"function '{name}' failed on {file.name}: {type(error).__name__}: {error}") from error
    if found is not None and not isinstance(found, str | int | float | bool):
        raise InputError(f"function '{name}' made of {file.name} no text, number or bool: {found!r:.80}")
    return found
