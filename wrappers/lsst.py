"""Command-line tasks of the LSST stack, second generation: every job gets a repository of its own.

Parameters of the ``wrapper`` section:

``job_repo_dir``, ``mapper``  the repository, below the job directory, and the class that knows its layout
``butler_template``           a staged YAML file: section -> dataset type -> file name template; ``${reqnum}`` and
                              ``${attnum:2}`` in it stand for what identifies the attempt
``untar_files``, ``untar_dir``  tar files (comma list) to unpack, into that folder or beside themselves
``ref_cats_root``             folder to be found as ``ref_cats`` in the repository

An input with ``rename`` gets a second name in its folder; one renamed ``registry.sqlite3`` is the repository's
registry, else the registry is made from the metadata of the inputs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from facade.errors import InputError
from facade.links import below, link, link_renamed
from facade.plugins import Run, Scalar

from . import _gen2
from ._unpack import unpack

REGISTRY = "registry.sqlite3"
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\d+))?\}")


def prepare(run: Run) -> None:
    """Unpack, write the repository, name the inputs as the Butler expects them."""
    _unpack_all(run)
    if run.parameters.get("job_repo_dir"):
        _repository(run)
    link_renamed(run)


def command(run: Run, argv: Sequence[str]) -> Sequence[str]:
    """Return *argv* as planned."""
    return argv


def fill(template: str, identity: Mapping[str, Scalar]) -> str:
    """Replace ``${name}`` and ``${name:N}`` (N digits, zeros in front) in *template*.

    >>> fill("%(visit)08d_r${reqnum}p${attnum:2}.fits", {"reqnum": 11, "attnum": 5})
    '%(visit)08d_r11p05.fits'

    Raises:
        InputError: a name is not in *identity*.
    """

    def value(match: re.Match[str]) -> str:
        name, width = match.groups()
        if identity.get(name) is None:
            raise InputError(
                f"${{{name}}} in template {template!r} is not known", remedy=f"known: {', '.join(sorted(identity))}"
            )
        return str(identity[name]).zfill(int(width or 0))

    filled = _VARIABLE.sub(value, template)
    if "${" in filled:
        raise InputError(f"template {template!r}: only ${{name}} and ${{name:digits}} can stand in it")
    return filled


def _unpack_all(run: Run) -> None:
    into = run.parameters.get("untar_dir", "").strip()
    for name in run.parameters.get("untar_files", "").split(","):
        if not name.strip():
            continue
        tar = below(run.directory, name.strip(), "untar_files")
        folder = below(run.directory, into, "untar_dir") if into else tar.parent
        run.log(f"unpacked {name.strip()}: {unpack(tar, folder)} members")


def _repository(run: Run) -> None:
    repo = below(run.directory, run.parameters["job_repo_dir"], "job_repo_dir")
    mapper = run.parameters.get("mapper", "")
    if not mapper:
        raise InputError("job_repo_dir is given, but no mapper", remedy="set mapper in the wrapper section")
    _gen2.write_configuration(repo, mapper, _templates(run))
    registry = repo / REGISTRY
    if any(item.get("rename") == REGISTRY for item in run.inputs):
        if registry.is_file() and not registry.is_symlink():
            registry.unlink()  # an earlier quantum made one; the staged file, linked next, is the one to use
    elif not registry.is_symlink():
        _gen2.write_registry(repo, _gen2.registry_rows(item["metadata"] for item in run.inputs))
    if root := run.parameters.get("ref_cats_root", ""):
        _link_ref_cats(run, repo, root)


def _link_ref_cats(run: Run, repo: Path, root: str) -> None:
    path = Path(root) if root.startswith("/") else below(run.directory, root, "ref_cats_root")
    if not path.is_dir():
        raise InputError(f"ref_cats_root = {root}: there is no such folder")
    link(repo / "ref_cats", root if root.startswith("/") else os.path.relpath(path, repo))


def _templates(run: Run) -> dict[str, dict[str, str]]:
    """Read the butler template file, if there is one, and fill in what identifies the attempt."""
    name = run.parameters.get("butler_template", "")
    if not name:
        return {}
    import yaml  # slow to import; only needed here

    file = below(run.directory, name, "butler_template")
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"cannot read butler_template {file}: {error}") from error
    if not isinstance(tree, dict) or not all(isinstance(types, dict) for types in tree.values()):
        raise InputError(f"butler_template {file} is not a map: section -> dataset type -> template")
    return {
        str(section): {str(kind): fill(_template(file, kind, value), run.identity) for kind, value in types.items()}
        for section, types in tree.items()
    }


def _template(file: Path, kind: object, value: object) -> str:
    template = value.get("template") if isinstance(value, dict) else value
    if not isinstance(template, str):
        raise InputError(f"butler_template {file}: {kind} has no template, but {value!r}")
    return template
