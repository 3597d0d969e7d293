"""Fixtures that give tests a real HTCondor: `pytest_plugins = ["pool"]`, then ask for `condor_pool`."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parent.parent / "tools/condor.py"
ADVICE = """\
The tests need a real HTCondor, which `make condor` builds in .tools/condor without root, on Debian or Ubuntu (x86-64).
With the one you have, leave out the tests that need it:  make lint && .venv/bin/pytest -k "not condor" """


@dataclass(frozen=True)
class CondorPool:
    """A running personal pool. htcondor2 reads CONDOR_CONFIG at import: use it in subprocesses with this `env`."""

    directory: Path
    config: Path
    env: dict[str, str]


def tool(*arguments: str | Path) -> str:
    """Run tools/condor.py; what it says on stderr goes into the failure's message."""
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, arguments[:1]))}: {done.stderr.strip()}\n\n{ADVICE}", pytrace=False)
    return done.stdout.strip()


@pytest.fixture(scope="session")
def condor_pool(request: pytest.FixtureRequest) -> Iterator[CondorPool]:
    """One pool for the whole session; it also ends when pytest is killed. Its logs stay when a test failed."""
    prefix = Path(tool("prefix"))
    directory = Path(tempfile.mkdtemp(prefix="facade-pool."))
    try:
        config = Path(tool("start", directory, "--owner", str(os.getpid())))
        yield CondorPool(directory, config, client_environment(prefix, config))
    finally:
        tool("stop", directory)
        if request.session.testsfailed:
            print(f"\nthe HTCondor pool's logs are in {directory}/log", file=sys.stderr)
        else:
            shutil.rmtree(directory)


def client_environment(prefix: Path, config: Path) -> dict[str, str]:
    """This process's environment, with this pool's HTCondor in the place of any other."""
    env = {key: value for key, value in os.environ.items() if not key.upper().startswith("_CONDOR_")}
    return {**env, "CONDOR_CONFIG": str(config), "PATH": f"{prefix}/bin:{prefix}/sbin:{env.get('PATH', os.defpath)}"}
