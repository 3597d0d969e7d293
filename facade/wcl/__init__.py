"""WCL, the operators' language: text to located tree and back, and the replacement of variables.

`load` and `loads` give a `Document`; `dumps` writes a tree. Nothing here knows what a campaign is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from errno import EINVAL, ENOENT
from pathlib import Path

from facade.errors import InputError, Location
from facade.wcl.lines import NEWLINE
from facade.wcl.lists import listed
from facade.wcl.scope import Functions, Scope
from facade.wcl.syntax import parse
from facade.wcl.template import BadReference, MissingVariable, Slot, Template, bind_attempt
from facade.wcl.tree import Document, Section, Value, did_you_mean
from facade.wcl.writing import dumps

__all__ = [
    "BadReference",
    "Document",
    "MissingVariable",
    "Scope",
    "Section",
    "Slot",
    "Template",
    "Value",
    "bind_attempt",
    "decoded",
    "did_you_mean",
    "dumps",
    "listed",
    "load",
    "loads",
]

_ENVIRONMENT = re.compile(r"\$(\w+)")


class FileReader:
    """Finds included files: beside the including file, then in the working directory, then on *include_path*."""

    def __init__(self, include_path: Iterable[Path] = (), environ: Mapping[str, str] | None = None) -> None:
        self.include_path, self.environ = tuple(include_path), environ or {}

    def __call__(self, path: str, including: str) -> tuple[str, str]:
        """Return (name, text) of the file *path* as included by *including*; raises OSError or ValueError."""
        path = _ENVIRONMENT.sub(lambda found: self.environ.get(found[1], found[0]), path)
        try:
            wanted = Path(path).expanduser()
        except RuntimeError:
            raise FileNotFoundError(ENOENT, f"no such user in '{path}'") from None
        candidates = [Path(including).parent / wanted, wanted, *(folder / wanted for folder in self.include_path)]
        found = next((c for c in candidates if c.is_file()), None)
        if found is None:
            wanted.stat()  # says why, if it is not there at all
            raise OSError(EINVAL, "not a regular file")
        return _plainest(found), found.read_text(encoding="utf-8")


def load(
    path: Path | str,
    *,
    include_path: Iterable[Path] = (),
    environ: Mapping[str, str] | None = None,
    functions: Functions | None = None,
    base: Document | None = None,
) -> Document:
    """Read a WCL file and everything it includes; *base* is a weaker layer, over which it is laid.

    *functions* finds what ``<<inclfunc>>`` and ``$FUNC{}`` call; without it they are faults.

    Raises:
        InputError: the file cannot be read.
        CampaignError: every syntax fault, with its place.
    """
    path = Path(path)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", remedy="give the path of a WCL file") from None
    return parse(decoded(text, str(path)), str(path), FileReader(include_path, environ), functions, base)


def loads(text: str, name: str = "<text>") -> Document:
    """Parse WCL text that includes nothing; *name* is what locations call it. Raises CampaignError."""
    return parse(text, name)


def decoded(text: bytes, name: str) -> str:
    """Return the text of a WCL file; raises InputError, with the place of the first byte that is no UTF-8."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        before = NEWLINE.split(text[: error.start].decode("utf-8").removeprefix("\ufeff"))
        place = Location(name, len(before), len(before[-1]) + 1)
        message = f"not UTF-8 text (byte {text[error.start]:#04x})"
        raise InputError(message, location=place, remedy="save the file as UTF-8", code="F025") from None


def _plainest(path: Path) -> str:
    """Return *path* without ``..`` where that names the same file: shorter to read in a fault."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] not in ("..", "/"):
            parts.pop()
        else:
            parts.append(part)
    shorter = Path(*parts) if parts else path
    return str(shorter if shorter.is_file() and shorter.samefile(path) else path)
