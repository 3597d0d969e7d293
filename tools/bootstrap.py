"""Make a virtual environment with facade, its demo and its development tools in it: bootstrap.py VENV.

Where Python has no ensurepip (Debian without python3-venv), pip comes out of Debian's own package, without root.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from debian import Apt, ToolError, run, unpack

ROOT = Path(__file__).resolve().parent.parent
HINT = """\
{python} cannot make a virtual environment with pip in it, and pip could not be had otherwise:
  {reason}
Install Python's venv (on Debian or Ubuntu: sudo apt-get install python3-venv),
or name another Python, 3.11 or newer: make PYTHON=/path/to/python3 ..."""


def main(arguments: list[str]) -> int:
    """Make the environment if there is no sound one, then install into it."""
    (name,) = arguments
    venv = Path(name).absolute()
    try:
        if not is_sound(venv):
            say(f"making {venv} with {sys.executable}")
            create(venv)
    except ToolError as error:
        say(HINT.format(python=sys.executable, reason=error))
        return 1
    say("installing what pyproject.toml asks for, at the versions of constraints.txt")
    return install(venv)


def say(text: str) -> None:
    """Tell the user what goes on."""
    print(f"bootstrap: {text}", file=sys.stderr, flush=True)


def is_sound(venv: Path) -> bool:
    """Whether the environment has a working pip and is of this very Python version."""
    try:
        words = run([venv / "bin/python", "-m", "pip", "--version"]).split()
    except ToolError:
        return False
    return words[-1] == f"{sys.version_info[0]}.{sys.version_info[1]})"


def create(venv: Path) -> None:
    """Make an empty environment with pip in it."""
    try:
        run([sys.executable, "-m", "venv", "--clear", venv])
    except ToolError:
        run([sys.executable, "-m", "venv", "--clear", "--without-pip", venv])
        install_debian_pip(venv)


def install_debian_pip(venv: Path) -> None:
    """Put pip into an environment from the wheel in Debian's package python3-pip-whl."""
    say("this Python has no ensurepip: taking pip out of the package python3-pip-whl")
    with tempfile.TemporaryDirectory(prefix="facade-pip.") as name:
        work = Path(name)
        for deb in Apt(work / "apt").download(["python3-pip-whl"], work / "debs"):
            unpack(deb, work / "files")
        wheels = sorted(work.glob("files/usr/share/python-wheels/pip-*.whl"))
        if not wheels:
            raise ToolError("the package python3-pip-whl has no pip in it")
        # a wheel is a zip file, and Python runs a package inside one
        run([venv / "bin/python", wheels[0] / "pip", "install", "--no-index", wheels[0]])


def install(venv: Path) -> int:
    """Install facade (editable) and its extras with the index that this machine's pip is configured for."""
    pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return subprocess.run([*pip, "-c", "constraints.txt", "-e", ".[demo,dev]"], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
