"""PgBouncer without root, for the tests: the machine's own package and its libraries, unpacked: pgbouncer.py DIR.

DIR/pgbouncer runs it. The machine's libc serves it, so that nothing needs to be patched.
"""

import sys
import tempfile
from pathlib import Path

from condor_prefix import LIBRARY, flatten
from debian import Apt, ToolError, run, unpack

RUN = """\
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH=$here/lib exec "$here/program" "$@"
"""
MACHINES_OWN = ("libc6", "libgcc-s1")


def main(arguments: list[str]) -> int:
    """Do what the command line asks for."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    prefix = Path(arguments[0]).resolve()
    if (prefix / "pgbouncer").exists():
        return 0
    prefix.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".building.", dir=prefix.parent) as work:
            build(prefix, Path(work))
        said = run([prefix / "pgbouncer", "--version"]).partition("\n")[0]
    except (ToolError, OSError) as error:
        print(f"pgbouncer: {error}", file=sys.stderr)
        return 1
    print(f"pgbouncer: {said} in {prefix}", file=sys.stderr)
    return 0


def build(prefix: Path, work: Path) -> None:
    """Build in `work`, beside the prefix, and move it into place when it is whole."""
    apt = Apt(work / "apt")
    libraries = [name for name in apt.closure("pgbouncer", LIBRARY) if name not in MACHINES_OWN]
    for deb in apt.download(["pgbouncer", *libraries], work / "debs"):
        unpack(deb, work / "unpacked")
    tree = work / "tree"
    tree.mkdir()
    flatten(work / "unpacked", tree / "lib")
    (work / "unpacked/usr/sbin/pgbouncer").rename(tree / "program")
    (tree / "pgbouncer").write_text(RUN)
    (tree / "pgbouncer").chmod(0o755)
    tree.rename(prefix)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
