"""Where capsules lie: one in a file of its own, or one of many in a shard, named ``PATH/capsules.jsonl#JOBNUM``.

A shard's first line says at which byte each job's line begins, so a job reads two lines of it, however many there are,
and the file that holds what all jobs share. Cut out, a capsule of a shard is what a file of its own would say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facade.errors import InputError

FORMAT = 2
"""Format of shards; the capsules themselves have their own (`facade.job.capsule`)."""
CAPSULE = 1

_SHARD = re.compile(r"(?P<file>.+\.jsonl)#(?P<jobnum>\d+)")


def stem(path: Path) -> str:
    """Return what receipts, lock and job directory of a capsule are called after.

    >>> stem(Path("jobs/000/capsules.jsonl#7")), stem(Path("mine.json"))
    ('j000007', 'mine')
    """
    found = _SHARD.fullmatch(path.name)
    return f"j{int(found['jobnum']):06d}" if found else path.stem


def tree(path: Path) -> Any:
    """Return the capsule that *path* names, as plain data.

    Raises:
        InputError: it cannot be read, or is no capsule; the message says where and why.
    """
    found = _SHARD.fullmatch(path.name)
    try:
        if found is None:
            return json.loads(path.read_bytes())
        return _cut(path.with_name(found["file"]), int(found["jobnum"]))
    except OSError as error:
        raise InputError(f"cannot read capsule {path}: {error.filename}: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no capsule: it is not JSON: {error}") from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is damaged: {type(error).__name__}: {error}", remedy=_REMEDY) from error


_REMEDY = "remove run.json from its run directory; facade resume ATTEMPT then writes the whole directory anew"


def _cut(file: Path, jobnum: int) -> Any:
    """Return the capsule of one job of the shard in *file*."""
    with file.open("rb") as stream:
        head = json.loads(stream.readline())
        if head["format"] != FORMAT:
            raise InputError(f"{file} has format {head['format']}, this facade reads shards of format {FORMAT}")
        if jobnum not in head["jobs"]:
            raise InputError(f"{file} holds no job {jobnum}, but {min(head['jobs'])} to {max(head['jobs'])}")
        stream.seek(head["starts"][head["jobs"].index(jobnum)], 1)
        line = json.loads(stream.readline())
    if head["common"] is None:
        return line
    return _whole(line, json.loads((file.parent / head["common"]).read_bytes()))


def _whole(line: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """Return the capsule that a line is together with what all jobs share."""
    columns, block = common["columns"], common["blocks"][line["block"]]
    own = {"jobnum": line["jobnum"], "task_id": line["task_id"], "keys": line["keys"]}
    files = _Files(line, columns)
    return {
        "format": CAPSULE,
        "attempt": common["attempt"],
        "block": block,
        "job": own,
        "parents": sorted(set(line["makers"].values())),
        "archive": common["archive"],
        **{key: common[key] for key in ("target", "read", "store", "stage") if key in common},
        "environment": common["environment"],
        "filetypes": common["filetypes"],
        "messages": common["messages"],
        "junk": common["junk"],
        "quanta": [_quantum(row, common, files) for row in line["quanta"]],
    }


def _quantum(row: list[Any], common: Mapping[str, Any], files: _Files) -> dict[str, Any]:
    module, task, fingerprint, *cells = row
    form = common["modules"][module]
    found = {**form["shared"], **dict(zip(form["columns"], cells, strict=True))}
    return {
        "task_id": task,
        "fingerprint": fingerprint,
        "wrapnum": found["wrapnum"],
        "module": module,
        "wrapper": form["wrapper"],
        "allowance": form["allowance"],
        "handling": form["outputs"],
        "keys": found["keys"],
        "parameters": found["parameters"],
        "log": {"filename": found["log"], "archive_path": found["log_path"]},
        "inputs": [files.source(use) for use in found["inputs"]],
        "lists": [files.listing(one) for one in found["lists"]],
        "outputs": [files.product(use) for use in found["outputs"]],
        "execs": [files.program(one, form["messages"]) for one in found["execs"]],
    }


class _Files:
    """The files of one job by their number in the plan, and what refers to them."""

    def __init__(self, line: Mapping[str, Any], columns: Mapping[str, list[str]]) -> None:
        self._columns, self._jobnum, self._makers = columns, line["jobnum"], line["makers"]
        self._files = {int(i): dict(zip(columns["file"], row, strict=True)) for i, row in line["files"].items()}

    def _row(self, kind: str, row: list[Any]) -> dict[str, Any]:
        return dict(zip(self._columns[kind], row, strict=True))

    def _named(self, use: Mapping[str, Any]) -> dict[str, Any]:
        file = self._files[use["file"]]
        wanted = ("filename", "compression", "filetype", "archive_path", "metadata")
        return {"section": use["section"], "path": use["path"], **{key: file[key] for key in wanted}}

    def source(self, row: list[Any]) -> dict[str, Any]:
        use = self._row("use", row)
        file = self._files[use["file"]]
        # who makes it: another job, this one, or nobody (0: it is registered)
        maker = self._makers.get(str(file["producer"]), self._jobnum) if file["producer"] > 0 else None
        known = {"size": file["size"], "checksum": file["checksum"], "staged": file["staged"]}
        return {**self._named(use), **known, "rename": use["rename"], "producer": maker}

    def listing(self, row: list[Any]) -> dict[str, Any]:
        use = self._row("list", row)
        return {**self._named(use), "content": use["content"]}

    def product(self, row: list[Any]) -> dict[str, Any]:
        use = self._row("use", row)
        file = self._files[use["file"]]
        return {**self._named(use), "optional": file["optional"], "save": file["save"]}

    def program(self, row: list[Any], messages: Mapping[str, int]) -> dict[str, Any]:
        one = self._row("exec", row)
        return {
            "execnum": one["num"],
            "name": one["argv"][0] if one["argv"] else "",
            "argv": one["argv"],
            "version_flag": one["version_flag"],
            "messages": messages.get(str(one["num"])),
            "used": self._names(one["used"]),
            "generated": self._names(one["generated"]),
            "derived": [self._names(pair) for pair in one["derived"]],
        }

    def _names(self, numbers: list[int]) -> list[str]:
        return [self._files[i]["filename"] + self._files[i]["compression"] for i in numbers]
