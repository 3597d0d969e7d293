"""Debian and Ubuntu packages without root: apt with a state of its own, and unpacking.

The host's apt is only asked for its mirror; its lists, caches and packages are neither needed nor touched.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

KEYRINGS = {
    "debian": Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    "ubuntu": Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
}
COMPONENTS = {"debian": "main", "ubuntu": "main universe"}


class ToolError(Exception):
    """What the user is told when one of these tools cannot go on."""


def run(command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it printed; a failure is a ToolError with its last words."""
    try:
        done = subprocess.run(list(map(str, command)), cwd=cwd, env=env, text=True, capture_output=True)
    except OSError as error:
        raise ToolError(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode:
        shown = " ".join(word for word in map(str, command) if not word.startswith("-o"))  # apt's options are many
        raise ToolError(f"{shown[:200]}: exit {done.returncode}\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def distribution(release: Path = Path("/etc/os-release")) -> tuple[str, str]:
    """The family ("debian" or "ubuntu") and the codename of this machine."""
    text = release.read_text() if release.exists() else ""
    fields = {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in text.splitlines())}
    names = f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".split()
    family = next((name for name in ("ubuntu", "debian") if name in names), None)
    if family is None or not shutil.which("apt-get"):
        raise ToolError(
            f"this needs Debian or Ubuntu, and this machine is {fields.get('PRETTY_NAME', 'something else')}"
        )
    return family, fields.get("UBUNTU_CODENAME") or fields.get("VERSION_CODENAME", "")


class Apt:
    """One suite of the mirror that this machine's apt is configured with, seen from a directory of our own."""

    def __init__(self, work: Path, suite: str = "", mirror: str = "") -> None:
        family, codename = distribution()
        self.suite = suite or codename
        for part in ("lists/partial", "cache/archives/partial"):
            (work / part).mkdir(parents=True)
        self._state = self._options(
            f"Dir::State={work}",
            f"Dir::State::Lists={work}/lists",
            "Dir::State::status=/dev/null",
            f"Dir::Cache={work}/cache",
            "Dir::Cache::pkgcache=pkgcache.bin",
            "Dir::Cache::srcpkgcache=srcpkgcache.bin",
        )
        sources = work / "sources.list"
        keyring = KEYRINGS[family]
        signed = f"[signed-by={keyring}] " if keyring.exists() else ""
        mirror = mirror or self._configured_mirror(codename)
        sources.write_text(f"deb {signed}{mirror} {self.suite} {COMPONENTS[family]}\n")
        self._state += self._options(
            f"Dir::Etc::SourceList={sources}",
            "Dir::Etc::SourceParts=/dev/null",
            "Dir::Etc::Preferences=/dev/null",
            "Dir::Etc::PreferencesParts=/dev/null",
            "Acquire::Languages=none",
            "Acquire::Retries=3",
            "APT::Sandbox::User=",
            "APT::Update::Error-Mode=any",
        )
        self._get("update")

    @staticmethod
    def _options(*settings: str) -> list[str]:
        return [f"-o{setting}" for setting in settings]

    def _get(self, *arguments: str, cwd: Path | None = None) -> str:
        return run(["apt-get", "-qq", *self._state, *arguments], cwd=cwd)

    def _configured_mirror(self, codename: str) -> str:
        """Where the host's sources get `codename` from; works before anybody has ever run `apt-get update`."""
        listing = self._get("indextargets", "--no-release-info", "--format", "$(RELEASE) $(REPO_URI)")
        rows = [row.split() for row in listing.splitlines() if row.strip()]
        for release, uri in rows:
            if release == codename:
                return uri
        raise ToolError(f"apt has no mirror of {codename or 'this release'} configured (see man sources.list)")

    def candidate(self, package: str) -> str | None:
        """The version of a package in this suite, if the suite has it."""
        found = re.search(r"Candidate: (\S+)", run(["apt-cache", *self._state, "policy", package]))
        return found[1] if found and found[1] != "(none)" else None

    def closure(self, package: str, keep: re.Pattern[str]) -> list[str]:
        """The packages that `package` depends on, directly or not, of those whose names match `keep`."""
        found: set[str] = set()
        todo = {package}
        while todo:
            listing = run(["apt-cache", *self._state, "depends", "--important", *sorted(todo)])
            names = re.findall(r"(?:Depends|PreDepends): ([a-z0-9][^\s:]*)", listing)
            todo = {name for name in names if keep.match(name)} - found
            found |= todo
        return sorted(found)

    def download(self, packages: Iterable[str], into: Path) -> list[Path]:
        """Fetch packages; apt verifies them by the archive's signature and checksums."""
        into.mkdir(parents=True)
        self._get("download", *packages, cwd=into)
        return sorted(into.glob("*.deb"))


def unpack(deb: Path, into: Path) -> None:
    """Lay a package's files below a directory, running none of its scripts."""
    into.mkdir(parents=True, exist_ok=True)
    run(["dpkg-deb", "-x", deb, into])
