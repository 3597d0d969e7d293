"""HTCondor's prefix is built once, by one builder, and works where it is moved to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import condor_prefix
import debian
import pytest

TOOL = Path(condor_prefix.__file__).with_name("condor.py")


def build(prefix: Path) -> subprocess.Popen:
    env = {**os.environ, "FACADE_CONDOR_PREFIX": str(prefix)}
    return subprocess.Popen([sys.executable, str(TOOL), "prefix"], env=env, stdout=-1, stderr=-1, text=True)


def version(prefix: Path) -> str:
    return debian.run([prefix / "bin/condor_version"], env={"CONDOR_CONFIG": "/dev/null"})


def test_simultaneous_builds_make_one_prefix_that_can_be_moved(tmp_path: Path):
    prefix = tmp_path / "one/condor"
    builders = [build(prefix), build(prefix)]
    told = [builder.communicate() for builder in builders]
    assert [out for out, _ in told] == [f"{prefix}\n"] * 2, told
    assert sorted("fetching" in err for _, err in told) == [False, True]
    assert sorted(path.name for path in prefix.parent.iterdir()) == ["condor", "condor.lock"]
    assert "CondorVersion" in version(prefix)

    moved = prefix.rename(tmp_path / "two")
    with pytest.raises(debian.ToolError, match="cannot run"):
        version(moved)
    _, err = build(moved).communicate()
    assert "was moved" in err
    assert "CondorVersion" in version(moved)
    assert json.loads((moved / "manifest.json").read_text())["prefix"] == str(moved)


def test_a_directory_of_somebody_elses_is_refused(tmp_path: Path):
    (tmp_path / "prefix").mkdir()
    (tmp_path / "prefix/thesis.tex").touch()
    with pytest.raises(debian.ToolError, match="no HTCondor of this tool's making"):
        condor_prefix.ensure(tmp_path / "prefix", print)
    assert (tmp_path / "prefix/thesis.tex").exists()


def test_a_failed_build_leaves_nothing(tmp_path: Path):
    with pytest.raises(debian.ToolError, match="no-such-suite"):
        condor_prefix.ensure(tmp_path / "prefix", print, suite="no-such-suite")
    assert [path.name for path in tmp_path.iterdir()] == ["prefix.lock"]


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("ID=debian\nVERSION_CODENAME=bookworm\n", ("debian", "bookworm")),
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME="noble"\n', ("ubuntu", "noble")),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\n', ("ubuntu", "noble")),
        ("ID=debian\nPRETTY_NAME=Debian GNU/Linux trixie/sid\n", ("debian", "")),
    ],
)
def test_the_distribution_is_recognised(tmp_path: Path, text: str, family: tuple[str, str]):
    (tmp_path / "os-release").write_text(text)
    assert debian.distribution(tmp_path / "os-release") == family


def test_another_distribution_is_named_in_the_refusal(tmp_path: Path):
    (tmp_path / "os-release").write_text('ID=fedora\nPRETTY_NAME="Fedora Linux 43"\n')
    with pytest.raises(debian.ToolError, match="this machine is Fedora Linux 43"):
        debian.distribution(tmp_path / "os-release")
