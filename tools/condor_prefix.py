"""A whole HTCondor (daemons, tools, DAGMan) in one directory, built without root from Debian packages.

The condor package of a newer suite and the shared libraries it loads, libc and its loader included, are unpacked
into one directory, the prefix, and pointed at each other with that suite's patchelf. The machine's own packages
stay as they are; jobs run with the machine's libc, because the paths are in the files and not in the environment.
"""

import fcntl
import json
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from debian import Apt, ToolError, distribution, run, unpack

DEFAULT = Path(__file__).resolve().parent.parent / ".tools/condor"
# the first suite that has a condor new enough; "" is the machine's own
SUITES = {"debian": ("testing", "trixie", ""), "ubuntu": ("",)}
OLDEST = 23

LOADER = "ld-linux-x86-64.so.2"
# glibc's own files find each other; patching breaks them
GLIBC = re.compile(r"(ld-linux-x86-64|lib(c|m|dl|pthread|rt|resolv|util|anl|mvec|nss_\w+))\.so\.\d+$")
# opened with dlopen(), so that no file says it needs them
DLOPENED = ["libssl.so.3"]
# the packages that hold shared libraries; the scripts in perl and so on are of no use here
LIBRARY = re.compile(r"(lib(?!.*(perl|python|js-|pam|semanage|cryptsetup|devmapper|systemd|newt|debconf))|zlib1g)")
# the parts of the package that are kept, but for those that are of no use to a personal pool
KEPT = ("bin", "sbin", "libexec/condor", "lib/condor")
UNUSED = re.compile(
    r"(.*adstash|.*annex|credmon|.*docker_test.*|.*_gahp|.*GAHPServer|blahpd|bosco.*|.*_tester|htcondor)$"
)

Say = Callable[[str], None]


def location() -> Path:
    """Where the prefix is, or will be: $FACADE_CONDOR_PREFIX, else .tools/condor in the checkout."""
    return Path(os.environ.get("FACADE_CONDOR_PREFIX") or DEFAULT).resolve()


def ensure(prefix: Path, say: Say, suite: str = "", mirror: str = "") -> None:
    """Build the prefix unless it is there; if it was moved or copied, point its files at its new place."""
    with locked(prefix):
        manifest = prefix / "manifest.json"
        if manifest.exists():
            adopt(prefix, manifest, say)
        elif prefix.exists() and any(prefix.iterdir()):
            raise ToolError(f"{prefix} is there but is no HTCondor of this tool's making: remove it, or set another")
        else:
            if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
                raise ToolError(f"HTCondor is built from x86-64 Linux packages; this is {platform.platform()}")
            with tempfile.TemporaryDirectory(prefix=".building.", dir=prefix.parent) as work:
                build(prefix, Path(work), say, suite, mirror)


@contextmanager
def locked(prefix: Path) -> Iterator[None]:
    """One builder at a time."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with open(prefix.with_name(prefix.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def adopt(prefix: Path, manifest: Path, say: Say) -> None:
    """Accept a prefix that was built before, here or elsewhere."""
    facts = json.loads(manifest.read_text())
    if facts["prefix"] != str(prefix):
        say(f"{prefix} was moved: pointing its files at their new place")
        point(prefix, prefix, Patchelf(prefix / "libexec/patchelf", prefix / "lib"))
        manifest.write_text(json.dumps({**facts, "prefix": str(prefix)}, indent=1) + "\n")


def build(prefix: Path, work: Path, say: Say, suite: str, mirror: str) -> None:
    """Build in `work`, beside the prefix, and move it into place when it is whole."""
    started = time.monotonic()
    apt, version = choose_suite(work, suite, mirror)
    say(f"fetching condor {version} of {apt.suite} and its libraries")
    debs = apt.download([f"condor={version}", "patchelf", *apt.closure("condor", LIBRARY)], work / "debs")
    for deb in debs:
        unpack(deb, work / ("condor" if deb.name.startswith("condor_") else "others"))
    flat = flatten(work / "others", work / "flat")
    patchelf = Patchelf(work / "others/usr/bin/patchelf", flat)
    tree = work / "tree"
    assemble(work / "condor/usr", tree)
    shutil.copy2(work / "others/usr/bin/patchelf", tree / "libexec/patchelf")
    add_libraries(tree, flat, patchelf)
    point(tree, prefix, patchelf)
    facts = {"prefix": str(prefix), "suite": apt.suite, "condor": version, "packages": [deb.name for deb in debs]}
    (tree / "manifest.json").write_text(json.dumps(facts, indent=1) + "\n")
    if prefix.exists():
        prefix.rmdir()
    tree.rename(prefix)
    try:
        shown = run([prefix / "sbin/condor_master", "-version"], env={"CONDOR_CONFIG": "/dev/null"})
    except ToolError:
        shutil.rmtree(prefix)
        raise
    say(f"{shown.splitlines()[0].strip('$ ')} in {prefix} [{time.monotonic() - started:.0f} s]")


def choose_suite(work: Path, suite: str, mirror: str) -> tuple[Apt, str]:
    """The first suite with a condor that is new enough, and its version."""
    family, _ = distribution()
    seen = []
    for number, name in enumerate([suite] if suite else SUITES[family]):
        try:
            apt = Apt(work / f"apt{number}", name, mirror)
        except ToolError as error:
            seen.append(str(error))
            continue
        version = apt.candidate("condor")
        if version and int(version.split(".")[0]) >= OLDEST:
            return apt, version
        seen.append(f"{apt.suite}: {'condor ' + version if version else 'no condor'}")
    raise ToolError("\n".join([f"no suite has condor {OLDEST} or newer", *seen]))


def flatten(unpacked: Path, flat: Path) -> Path:
    """Put all shared libraries of the unpacked packages side by side."""
    flat.mkdir()
    for path in unpacked.rglob("*.so*"):
        if path.is_file() and "gconv" not in path.parts and not (flat / path.name).exists():
            shutil.copy2(path, flat / path.name)
    return flat


def assemble(usr: Path, tree: Path) -> None:
    """Lay out the prefix: what is kept of the condor package."""
    for part in KEPT:
        if (usr / part).exists():
            shutil.copytree(usr / part, tree / part, symlinks=True, ignore=unused)
    for path in [*(usr / "lib").glob("*.so*"), *(usr / "lib/x86_64-linux-gnu").rglob("*.so*")]:
        if "python3" not in path.parts:
            shutil.copy2(path, tree / "lib" / path.name)


def unused(_: object, names: list[str]) -> set[str]:
    """The names that copytree is to leave out."""
    return {name for name in names if UNUSED.match(name)}


class Patchelf:
    """The suite's patchelf, run through the suite's own loader and libraries."""

    def __init__(self, program: Path, libraries: Path) -> None:
        self.command: list[str | Path] = [libraries / LOADER, "--library-path", libraries, program]

    def __call__(self, *arguments: str | Path) -> str:
        """Run patchelf."""
        return run([*self.command, *arguments])

    def is_program(self, path: Path) -> bool:
        """Whether a file names a loader, as dynamically linked programs do."""
        try:
            return bool(self("--print-interpreter", path))
        except ToolError:
            return False


def elves(tree: Path) -> Iterator[Path]:
    """The ELF files of a prefix that may be patched."""
    for top in ("bin", "sbin", "libexec/condor", "lib"):
        for path in sorted((tree / top).rglob("*")):
            if path.is_file() and not path.is_symlink() and not GLIBC.match(path.name):
                with path.open("rb") as file:
                    if file.read(4) == b"\x7fELF":
                        yield path


def add_libraries(tree: Path, flat: Path, patchelf: Patchelf) -> None:
    """Of the libraries, take those that the files of the prefix say they need, and those that these need."""
    needed = [LOADER, *DLOPENED]
    for path in elves(tree):
        if ".so" in path.name or patchelf.is_program(path):
            needed += patchelf("--print-needed", path).split()
    while needed:
        name = needed.pop()
        if not (tree / "lib" / name).exists() and (flat / name).exists():
            shutil.copy2(flat / name, tree / "lib" / name)
            needed += patchelf("--print-needed", tree / "lib" / name).split()


def point(tree: Path, prefix: Path, patchelf: Patchelf) -> None:
    """Set the loader (absolute, as the kernel wants it) and the library path (relative) of the files in `tree`.

    `prefix` is where the tree is, or is going to be.
    """
    for path in elves(tree):
        origin = os.path.join("$ORIGIN", os.path.relpath(tree / "lib", path.parent))
        libraries = ["--force-rpath", "--set-rpath", origin]
        if patchelf.is_program(path):
            patchelf("--set-interpreter", prefix / "lib" / LOADER, *libraries, path)
        elif ".so" in path.name:
            patchelf(*libraries, path)
