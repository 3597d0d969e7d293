"""Fixtures that give tests a real HTCondor: `pytest_plugins = ["pool"]`, then ask for `condor_pool`."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import condor_prefix
from condor_hosts import Hosts
from condor_pool import Pool
from debian import ToolError

ADVICE = """\
The tests need a real HTCondor: `make condor` builds one in .tools/condor, without root (Debian or Ubuntu, x86-64)."""


@dataclass(frozen=True)
class CondorPool:
    """A running personal pool. htcondor2 reads CONDOR_CONFIG at import: use it in subprocesses with this `env`."""

    directory: Path
    config: Path
    env: dict[str, str]


@pytest.fixture(scope="session")
def condor_pool(request: pytest.FixtureRequest) -> Iterator[CondorPool]:
    """One pool for the whole session; it ends even if pytest is killed. Its logs stay when a test failed."""
    directory = Path(tempfile.mkdtemp(prefix="facade-pool."))
    pool = Pool(directory, condor_prefix.location())
    try:
        start(pool)
        yield CondorPool(pool.directory, pool.config, pool.env)
    finally:
        pool.stop()
        if request.session.testsfailed:
            print(f"\nthe logs of the HTCondor pool are in {pool.directory}/log", file=sys.stderr)
        else:
            shutil.rmtree(directory)


@pytest.fixture
def condor_hosts(request: pytest.FixtureRequest) -> Iterator[Hosts]:
    """A pool of two execute hosts that share no files with the submit host or each other, for one test to ruin."""
    directory = Path(tempfile.mkdtemp(prefix="facade-hosts."))
    progress: list[str] = []
    hosts = Hosts(directory, condor_prefix.location(), cpus=4)
    failed = request.session.testsfailed
    try:
        condor_prefix.ensure(hosts.prefix, progress.append)
        hosts.start()
        hosts.pools["cm"].start_guard(os.getpid())
        yield hosts
    except ToolError as error:
        pytest.fail("\n".join(["no pool of several hosts:", *progress, str(error), "", ADVICE]), pytrace=False)
    finally:
        hosts.stop()
        if request.session.testsfailed > failed:
            print(f"\nthe logs of the pool of several hosts are in {directory}/*/log", file=sys.stderr)
        else:
            shutil.rmtree(directory)


def start(pool: Pool) -> None:
    """Start a pool that ends with this process; a test that cannot have one fails, it is not skipped."""
    progress: list[str] = []
    try:
        condor_prefix.ensure(pool.prefix, progress.append)
        pool.start(cpus=16, settings=[])
    except ToolError as error:
        pytest.fail("\n".join(["no HTCondor pool:", *progress, str(error), "", ADVICE]), pytrace=False)
    pool.start_guard(os.getpid())
