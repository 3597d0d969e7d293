"""As whom PostgreSQL's programs run. PostgreSQL refuses to run as root; an ordinary user just runs it.

For root, first choice: a user namespace in which root's own uid is called ``daemon``, so files stay root's and may lie
below a folder only root can enter. Second choice: an unprivileged account that owns the data folder.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facade.errors import RegistryError

ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a program: words before its own, and the account (uid, gid) it drops to, if any."""

    before: tuple[str, ...] = ()
    account: tuple[int, int] | None = None
    name: str = "plain"

    def run(self, argv: Sequence[str | Path], output: Path, timeout: float) -> int:
        """Run *argv* with its output in the file *output*; return the exit code. *timeout* in seconds.

        The output goes to a file because a server that outlives its starter would hold a pipe open for ever.
        """
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C"}
        with output.open("ab") as file:
            ended = subprocess.run(
                [*self.before, *map(str, argv)],
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
                **self._dropped(),
            )
        return ended.returncode

    def _dropped(self) -> dict[str, Any]:
        return {"user": self.account[0], "group": self.account[1], "extra_groups": []} if self.account else {}

    def own(self, path: Path) -> None:
        """Give *path* to the account that the server runs as."""
        if self.account:
            os.chown(path, *self.account)

    def reaches(self, path: Path, *, execute: bool = False) -> bool:
        """Tell whether the programs can use the folder or file at *path*."""
        wanted = "-x" if execute else "-w"
        argv = [*self.before, "/usr/bin/env", "test", wanted, str(path)]
        return subprocess.run(argv, cwd="/", check=False, **self._dropped()).returncode == 0


def choose(data: Path, account: str | None = None) -> Launch:
    """Return how to run the server whose data folder is *data*; *account* asks root to drop to that account.

    Who owns an existing folder decides: what was made one way is served the same way.

    Raises:
        RegistryError: no way is open.
    """
    if os.geteuid() != 0:
        return Launch()
    owner = data.stat().st_uid if (data / "PG_VERSION").exists() else None
    if owner:
        return Launch(account=(owner, pwd.getpwuid(owner).pw_gid), name=pwd.getpwuid(owner).pw_name)
    if account is None and namespaces_allowed():
        return Launch(before=_namespace(), name="namespace")
    if owner == 0:
        raise RegistryError(
            f"{data} was made in a user namespace, and this machine now refuses to make one",
            remedy="allow user namespaces, run facade as an ordinary user, or name an external database in FACADE_DB",
        )
    for name in (account,) if account else ACCOUNTS:
        try:
            known = pwd.getpwnam(name)
        except KeyError:
            continue
        return Launch(account=(known.pw_uid, known.pw_gid), name=name)
    raise RegistryError(
        f"PostgreSQL does not run as root, and there is no account {' or '.join(ACCOUNTS)} to run it",
        remedy="run facade as an ordinary user, or name an external database in FACADE_DB",
    )


@functools.cache
def namespaces_allowed() -> bool:
    """Tell whether this machine lets us make a user namespace."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_namespace(), "true"], capture_output=True, check=False).returncode == 0


def _namespace() -> tuple[str, ...]:
    try:
        inside = pwd.getpwnam("daemon")
    except KeyError:
        return ("false",)
    return ("unshare", "--user", f"--map-user={inside.pw_uid}", f"--map-group={inside.pw_gid}", "--")
