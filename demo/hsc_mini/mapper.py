"""Find files as a Gen2 butler does: templates of a job repository, and look-ups in its SQLite registry.

A repository is a directory with ``repositoryCfg.yaml`` (templates per dataset type) or ``_mapper`` (default templates),
and ``registry.sqlite3``, which says what is known of each visit and ccd; it is not a list of files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import yaml

from hsc_mini.faults import InputFault, UsageFault

DataId: TypeAlias = Mapping[str, str | int]

MAPPER = "hsc_mini.mapper.HscMapper"
INTEGER_KEYS = frozenset({"visit", "ccd", "tract", "pointing"})
VISIT_KEYS = frozenset({"visit", "field", "filter", "dateObs", "taiObs"})
RAW_KEYS = VISIT_KEYS | {"ccd", "pointing", "expTime", "frameId", "expId", "proposal", "dataType"}

_COADD = "%(filter)s-%(tract)d-%(patchname)s"
DEFAULT_TEMPLATES: Mapping[str, Mapping[str, str]] = {
    "exposures": {
        "raw": "raw/HSC-%(visit)07d-%(ccd)03d.fits",
        "calexp": "corr/calexp-%(filter)s-%(visit)d-%(ccd)03d.fits",
        "deepCoadd_tempExp": f"coadd/warp-{_COADD}-%(visit)d.fits",
        "deepCoadd": f"coadd/coadd-{_COADD}.fits",
        "deepCoadd_calexp": f"coadd/calexp-{_COADD}.fits",
    },
    "datasets": {
        "src": "corr/src-%(filter)s-%(visit)d-%(ccd)03d.fits",
        "ref_cat": "ref_cats",
        "deepCoadd_skyMap": "deepCoadd/skyMap.json",
        "deepCoadd_calexp_background": f"coadd/bkgd-{_COADD}.fits",
        "deepCoadd_det": f"coadd/det-{_COADD}.fits",
        "deepCoadd_mergeDet": "coadd/mergeDet-%(tract)d-%(patchname)s.fits",
        "deepCoadd_meas": f"coadd/meas-{_COADD}.fits",
        "deepCoadd_ref": "coadd/ref-%(tract)d-%(patchname)s.fits",
        "deepCoadd_forced_src": f"coadd/forced_src-{_COADD}.fits",
    },
    "calibrations": {
        "bias": "calib/BIAS-%(ccd)03d.fits",
        "flat": "calib/FLAT-%(filter)s-%(ccd)03d.fits",
    },
}


class HscMapper:
    """Turns a dataset type and a data ID into a path; knows templates, touches no file."""

    def __init__(self, policy: Mapping[str, Mapping[str, str]] | None = None):
        self.templates = {name: text for types in DEFAULT_TEMPLATES.values() for name, text in types.items()}
        for types in (policy or {}).values():
            self.templates.update(types)

    def missing_keys(self, dataset: str, data_id: DataId) -> list[str]:
        """Return the keys that the template of *dataset* needs and *data_id* lacks, in template order."""
        wanted = ["patch" if key == "patchname" else key for key in re.findall(r"%\((\w+)\)", self._template(dataset))]
        return [key for key in dict.fromkeys(wanted) if key not in data_id]

    def path(self, dataset: str, data_id: DataId) -> str:
        """Return the path of *dataset* relative to the root; every key must be in *data_id*."""
        values = dict(data_id)
        if "patch" in values:  # no comma in file names, though patches are called "0,1"
            values["patchname"] = str(values["patch"]).replace(",", "x")
        try:
            return self._template(dataset) % values
        except (KeyError, TypeError, ValueError) as fault:
            raise InputFault(f"template of {dataset} does not fit {show(data_id)}: {fault}") from fault

    def _template(self, dataset: str) -> str:
        if dataset not in self.templates:
            raise InputFault(f"the repository has no template for dataset type {dataset}")
        return self.templates[dataset]


class Repo:
    """A job repository: reads below *root*, writes below *output* (usually the same), which is also looked at first."""

    def __init__(self, root: Path, output: Path | None = None):
        self.root, self.output = root, output or root
        self.mapper = HscMapper(read_policy(root))

    def find(self, dataset: str, data_id: DataId) -> Path:
        """Return where an existing dataset lies."""
        relative = self._locate(dataset, data_id)
        for base in (self.output, self.root):
            if (base / relative).exists():
                return base / relative
        raise InputFault(f"no {dataset} for {show(data_id)}: {self.root / relative} does not exist")

    def place(self, dataset: str, data_id: DataId) -> Path:
        """Return where a dataset is to be written."""
        return self.output / self._locate(dataset, data_id)

    def _locate(self, dataset: str, data_id: DataId) -> str:
        missing = self.mapper.missing_keys(dataset, data_id)
        known = {**data_id, **self._look_up(dataset, missing, data_id)} if missing else data_id
        return self.mapper.path(dataset, known)

    def _look_up(self, dataset: str, keys: list[str], data_id: DataId) -> dict[str, str | int]:
        """Ask the registry for *keys*: exactly one answer, as the Gen2 mapper demands."""
        unknown = [key for key in keys if key not in RAW_KEYS]
        if unknown:
            raise InputFault(f"{dataset} needs {', '.join(unknown)}, which {show(data_id)} lacks and no registry knows")
        table, columns = ("raw", RAW_KEYS)
        if "visit" in data_id and VISIT_KEYS.issuperset(keys):
            table, columns = ("raw_visit", VISIT_KEYS)
        where = {key: value for key, value in data_id.items() if key in columns}
        rows = self._select(table, keys, where)
        if len(rows) != 1:
            raise InputFault(
                f"no unique {', '.join(keys)} for {dataset} of {show(data_id)}: {len(rows)} rows in table {table}"
            )
        return dict(zip(keys, rows[0], strict=True))

    def _select(self, table: str, keys: list[str], where: DataId) -> list[tuple[str | int, ...]]:
        import sqlite3  # only tasks that look something up pay for it

        path = self.root / "registry.sqlite3"
        if not path.is_file():
            raise InputFault(f"{path}: no such file; {', '.join(keys)} must be looked up in it")
        # names come from the constants above, values are bound
        statement = f"select distinct {', '.join(keys)} from {table}"  # noqa: S608
        if where:
            statement += " where " + " and ".join(f"{key} = ?" for key in where)
        try:
            connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1", uri=True)
            try:
                return connection.execute(statement, list(where.values())).fetchall()
            finally:
                connection.close()
        except sqlite3.DatabaseError as fault:
            raise InputFault(f"{path}: {fault}") from fault


def read_policy(root: Path) -> dict[str, dict[str, str]]:
    """Return the templates of a repository's configuration: section -> dataset type -> template."""
    path = root / "repositoryCfg.yaml"
    if not path.is_file():
        _check_mapper(_text(root / "_mapper").strip(), root / "_mapper")
        return {}
    try:
        configuration = yaml.load(_text(path), Loader=_RepositoryLoader)
    except yaml.YAMLError as fault:
        raise InputFault(f"{path}: {fault}") from fault
    if not isinstance(configuration, dict):
        raise InputFault(f"{path}: not a repository configuration")
    _check_mapper(configuration.get("_mapper"), path)
    try:
        policy = configuration.get("_policy") or {}
        return {
            section: {name: str(entry["template"]) for name, entry in (types or {}).items()}
            for section, types in policy.items()
        }
    except (AttributeError, KeyError, TypeError):
        raise InputFault(f"{path}: _policy must be section: {{dataset type: {{template: text}}}}") from None


def parse_id(words: list[str]) -> dict[str, str | int]:
    """Read ``visit=903334 ccd=16``; a comma is part of its value (``patch=0,1``)."""
    data_id: dict[str, str | int] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals and value):
            raise UsageFault(f"a data ID is key=value, not {word!r}")
        try:
            data_id[key] = int(value) if key in INTEGER_KEYS else value
        except ValueError:
            raise UsageFault(f"{key} must be a whole number, not {value!r}") from None
    return data_id


def show(data_id: DataId) -> str:
    """Return a data ID as it stands on a command line."""
    return " ".join(f"{key}={value}" for key, value in data_id.items())


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as fault:
        raise InputFault(f"{path.parent} is not a butler repository: {fault}") from fault


def _check_mapper(name: object, path: Path) -> None:
    if name != MAPPER:
        raise InputFault(f"{path}: mapper is {name!r}, these programs are {MAPPER}'s")


class _RepositoryLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's safe loader plus the two tags of a Gen2 configuration; ``python/name`` stays text, nothing is imported."""


def _repository(loader: Any, node: yaml.MappingNode) -> Any:
    return loader.construct_mapping(node, deep=True)


def _python_name(loader: Any, name: str, node: yaml.Node) -> str:
    return name


_RepositoryLoader.add_constructor("!RepositoryCfg_v1", _repository)
_RepositoryLoader.add_multi_constructor("tag:yaml.org,2002:python/name:", _python_name)
