"""The server facade keeps for itself: started, attached to, killed, and run as somebody who is not root."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from database import quit_at_once, submit

from facade.errors import RegistryError
from facade.registry import launch
from facade.registry.embedded import Embedded
from facade.registry.face import Registry

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose server is gone when the test ends."""
    yield tmp_path
    quit_at_once(Embedded(tmp_path))


def test_it_is_made_once_attached_to_and_stopped(home: Path) -> None:
    server = Embedded(home)
    assert not server.status().running and not server.stop()
    with pytest.raises(RegistryError, match="facade db start"):
        server.url()
    with ThreadPoolExecutor(3) as pool:
        (url,) = set(pool.map(lambda _: Embedded(home).start(), range(3)))
    assert url.startswith("postgresql://facade_owner@127.0.0.1:") and url.endswith("/facade")
    assert server.status().running and server.status().url == url
    assert stat.S_IMODE(server.passfile.stat().st_mode) == 0o600
    assert server.stop() and not server.status().running
    assert Embedded(home).start() == url


def test_after_kill_9_the_next_start_recovers_what_was_committed(home: Path) -> None:
    server = Embedded(home)
    server.start()
    with Registry.open(server.address()) as registry:
        registry.upgrade()
        attempt = submit(registry).attempt_id
        quit_at_once(server, signal.SIGKILL)
        assert (server.data / "postmaster.pid").exists()
        server.start()
        assert [found.id for found in registry.attempts()] == [attempt]  # the same client, reconnected


def test_a_process_file_whose_number_another_program_has_now_does_not_stop_a_start(home: Path) -> None:
    server = Embedded(home)
    server.start()
    server.stop()
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data}\n")
    server.start()
    assert server.status().pid not in (None, os.getpid())


def test_a_server_started_on_another_host_is_left_alone(home: Path) -> None:
    server = Embedded(home)
    server.start()
    quit_at_once(server, signal.SIGKILL)
    (server.folder / "host").write_text("elsewhere")
    with pytest.raises(RegistryError, match="was started on elsewhere"):
        server.start()


def test_a_server_that_died_is_told_from_one_that_was_stopped(home: Path) -> None:
    server = Embedded(home)
    assert not server.died()
    server.start()
    assert not server.died()
    server.stop()
    assert not server.died()
    server.start()
    quit_at_once(server, signal.SIGKILL)
    assert server.died()
    server.start()
    assert not server.died()


def test_a_taken_port_is_given_up_for_another(home: Path) -> None:
    import socket

    server = Embedded(home)
    url = server.start()
    server.stop()
    with socket.create_server(("127.0.0.1", int(url.rpartition(":")[2].partition("/")[0]))):
        assert server.start() != url


@root_only
@pytest.mark.skipif(not launch.namespaces_allowed(), reason="this machine makes no user namespaces")
def test_root_runs_it_in_a_namespace_below_a_folder_that_only_root_enters(home: Path) -> None:
    home.chmod(0o700)
    server = Embedded(home)
    server.start()
    assert server.status().launch == "namespace"
    assert server.data.stat().st_uid == 0
    with Registry.open(server.address()) as registry:
        registry.upgrade()


@root_only
def test_root_can_drop_to_an_account(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    import tempfile

    monkeypatch.setattr(launch, "namespaces_allowed", lambda: False)
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other accounts
        home = Path(name)
        with pytest.raises(RegistryError, match=r"account \w+, which .* cannot reach .*\n.*FACADE_HOME"):
            Embedded(home).start()
        home.chmod(0o711)
        server = Embedded(home)
        server.start()
        assert server.status().launch in launch.ACCOUNTS and server.data.stat().st_uid != 0
        with Registry.open(server.address()) as registry:
            registry.upgrade()
        assert server.stop()
        server.start()
        quit_at_once(server)


def test_no_programs_at_all_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("facade.registry.binaries._candidates", lambda: iter([tmp_path]))
    with pytest.raises(RegistryError, match="FACADE_PG_BINDIR"):
        Embedded(tmp_path).start()
