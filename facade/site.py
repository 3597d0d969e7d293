"""Where this site keeps things: `$FACADE_HOME`, the archive, run directories, the database's URL.

Settings come, weakest first, from what is built in, the site file (WCL: ``$FACADE_SITE``, else
``$FACADE_HOME/site.wcl``) and the environment (``FACADE_DB``). The site file's section ``defaults`` lies beneath every
campaign: the weaker layer of two. Knows places only; opens nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from facade import plugins
from facade.errors import CampaignError, InputError
from facade.wcl import Document, Section, did_you_mean, load, loads


class Place(NamedTuple):
    """Where an archive is: an absolute path or an address, and the other keys of its section in the site file."""

    name: str
    root: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The places and habits of one site. ``database`` is a URL, or None for the server that facade keeps itself."""

    home: Path
    database: str | None
    archive: str
    archive_root: str
    """An absolute path, or an address."""
    archive_options: Mapping[str, str]
    runs: Path
    workers: int
    engine: str
    shared_filesystem: bool
    """True if the machines of the pool see run directories under the same path."""
    python: str
    """The Python with facade on those machines; "" if it is where the one of this process is."""
    send_credentials: bool
    """True if files with passwords go along with jobs."""
    include_path: tuple[Path, ...]
    permitted_functions: tuple[str, ...]
    document: Document

    @classmethod
    def here(cls, environ: Mapping[str, str] | None = None) -> Site:
        """Return the site that the environment names.

        Raises:
            InputError, CampaignError: the site file cannot be read.
        """
        environ = os.environ if environ is None else environ
        home = Path(environ.get("FACADE_HOME") or _default_home()).expanduser().absolute()
        document = _site_file(environ, home)
        root = document.root
        archive, permitted = root.text("home_archive", "home"), root.value("permitted_functions")
        place, options = _archive(home, document, archive)
        return cls(
            home=home,
            database=environ.get("FACADE_DB") or root.text("database") or None,
            archive=archive,
            archive_root=place,
            archive_options=options,
            runs=_under(home, root.text("runs", "runs")),
            workers=_workers(root.text("workers")),
            engine=root.text("engine", "local"),
            shared_filesystem=_truth(root, "shared_filesystem", True),
            python=root.text("python"),
            send_credentials=_truth(root, "send_credentials", False),
            include_path=(*_folders(root.text("include_path"), home), _installed_wcl()),
            permitted_functions=tuple(item.text for item in permitted.items()) if permitted else (),
            document=document,
        )

    def load(self, path: Path | str) -> Document:
        """Read a WCL file over this site's defaults, with its include path and functions.

        Raises:
            InputError, CampaignError: as `facade.wcl.load`.
        """
        return load(
            path,
            include_path=self.include_path,
            environ=dict(os.environ),
            functions=self.function,
            base=self.defaults,
        )

    def place(self, name: str) -> Place:
        """Return where the archive called *name* is.

        Raises:
            InputError, CampaignError: the site file has none of that name, or it cannot be.
        """
        if name == self.archive:
            return Place(self.archive, self.archive_root, self.archive_options)
        if name not in self.archives:
            known = ", ".join(self.archives) or "none"
            raise InputError(
                f"the site file has no archive '{name}'", remedy=f"in its <archive> section there are: {known}"
            )
        return Place(name, *_archive(self.home, self.document, name))

    @property
    def archives(self) -> tuple[str, ...]:
        """Names of the archives that the site file describes."""
        return tuple(name for name, _ in (self.document.root.section("archive") or Section()).sections())

    def everywhere(self, name: str) -> bool:
        """Say whether the machines of the pool reach archive *name* as this one does."""
        section = self.document.root.path(f"archive.{name}")
        shared = isinstance(section, Section) and _truth(section, "shared", False)
        return self.shared_filesystem or shared or "://" in self.place(name).root

    @property
    def function(self) -> Callable[[str], Callable[..., object]]:
        """How campaigns of this site find the functions that they call (`facade.plugins.function`)."""
        return partial(plugins.function, permitted=self.permitted_functions)

    @property
    def defaults(self) -> Document:
        """What the site file lays beneath every campaign."""
        document = self.document
        layers = dict.fromkeys(document.sources, "site")
        defaults, target = document.root.section("defaults") or Section(), document.root.value("target_archive")
        if target is not None and defaults.value("target_archive") is None:
            defaults.set("target_archive", target)
        return Document(defaults, document.sources, document.included_from, layers=layers)

    @property
    def filetypes(self) -> Path:
        """The WCL file that defines the filetypes known without a campaign (site key ``filetypes``)."""
        value = self.document.root.text("filetypes", "filetypes/all.wcl")
        for folder in (self.home, *self.include_path):
            if (folder / value).is_file():
                return folder / value
        raise InputError(
            f"the filetype definitions '{value}' are not there", remedy="mend 'filetypes' in the site file"
        )

    def passing(self) -> dict[str, str]:
        """Return the environment by which a job finds this site again; never a secret."""
        result = {"FACADE_HOME": str(self.home)}
        if site := os.environ.get("FACADE_SITE"):
            result["FACADE_SITE"] = str(Path(site).absolute())
        return result


def _default_home() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("facade", appauthor=False))


def _site_file(environ: Mapping[str, str], home: Path) -> Document:
    named = environ.get("FACADE_SITE")
    path = Path(named) if named else home / "site.wcl"
    if named or path.is_file():
        document = load(path, environ=environ)
        _check(document)
        return document
    return loads("", "<no site file>")


def _check(document: Document) -> None:
    """Refuse keys that no site file has: a misspelt ``archive`` must not send files elsewhere."""
    from facade.campaign.keywords import keywords_of  # only a site with a file of its own pays for it

    known = keywords_of("site")
    faults = []
    for key, entry in document.root.items():
        if key not in known:
            at = entry if isinstance(entry, Section) else entry.key_location
            remedy = did_you_mean(key, known) or "facade show keywords site"
            faults.append(document.fault(f"the site file has no key '{key}'", at, code="F215", remedy=remedy))
    if faults:
        raise CampaignError(faults)


ADDRESSES = ("https", "http", "s3")
CREDENTIALS = ("credentials", "token_file", "ca_file")
"""Keys of an archive that name files without which it cannot be reached."""
_PATHS = ("slots", *CREDENTIALS)


def _archive(home: Path, document: Document, name: str) -> tuple[str, Mapping[str, str]]:
    """Return where the archive called *name* is, and the other keys of its section; paths among them are absolute.

    Raises:
        CampaignError: an address is none, or holds a password; a key is none that an archive has.
    """
    section = document.root.path(f"archive.{name}")
    if not isinstance(section, Section):
        return str(home / "archive"), {}
    from facade.campaign.keywords import keywords_of

    known, faults = keywords_of("archive"), []
    for key, entry in section.items():
        if key not in known:
            at = entry if isinstance(entry, Section) else entry.key_location
            remedy = did_you_mean(key, known) or "facade show keywords archive"
            faults.append(document.fault(f"an archive has no key '{key}'", at, code="F216", remedy=remedy))
    for key in ("root", "endpoint"):
        value = section.value(key)
        if value is not None and (problem := _address_problem(value.text)):
            # without the line of the text: it may hold a password
            remedy = "write passwords into a file of mode 0600, and name it as 'credentials'"
            fault = document.fault(f"{key} of archive '{name}': {problem}", value.location, code="F216", remedy=remedy)
            faults.append(replace(fault, excerpt=""))
    if faults:
        raise CampaignError(faults)
    options = {key: section.text(key) for key, _ in section.items() if key not in ("root", "shared")}
    options |= {key: str(_under(home, text)) for key, text in options.items() if key in _PATHS}
    place = section.text("root", "archive").removeprefix("file://")
    return place if "://" in place else str(_under(home, place)), options


def _address_problem(text: str) -> str:
    """Tell in a few words what is wrong with an address; "" for one that may be right, and for a path."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return ""
    if scheme not in (*ADDRESSES, "file"):
        return f"facade knows no '{scheme}://', but https://, s3:// and paths"
    if "@" in rest.partition("/")[0]:
        return "it holds a user or password"
    if "?" in rest or "#" in rest:
        return "it has a '?' or '#', which no folder's address has"
    return "" if scheme != "file" or rest.startswith("/") else "file:// is followed by an absolute path"


def _under(home: Path, text: str) -> Path:
    return home / Path(text).expanduser()


def _folders(text: str, home: Path) -> list[Path]:
    return [_under(home, part.strip()) for part in text.split(",") if part.strip()]


def _installed_wcl() -> Path:
    return Path(str(files("facade_wcl")))


def _truth(section: Section, key: str, default: bool) -> bool:
    text = section.text(key, str(default))
    if text.lower() not in ("true", "false"):
        raise InputError(f"'{key} = {text}' in the site file is neither True nor False")
    return text.lower() == "true"


def _workers(text: str) -> int:
    if not text:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdigit() or int(text) < 1:
        raise InputError(f"'workers = {text}' in the site file is not a number from 1")
    return int(text)
