"""What DAGMan submits: the descriptions of jobs, and of what runs on the submit host itself. Values in, text out.

One inline description serves every job; a node adds its number, folder and label. What is tried again stands in that
description and not in RETRY: DAGMan's UNLESS-EXIT spares one exit code, and a job has three that must never be tried
again (1 a payload failed, 2 bad capsule, 4 another process runs it). So ``on_exit_hold`` keeps a job in the queue that
ended with 75 or a little more (transfer, registry, lost, too little memory) or by a signal, and ``periodic_release``
starts it again after a while. The bound counts ``NumJobCompletions``, which an eviction does not touch: lost machines
cost no try.

With a shared file system jobs find capsule and receipts by path: the run directory is the same on every host. Hence
``should_transfer_files = NO``; IF_NEEDED would quietly transfer, and break, where FILESYSTEM_DOMAINs differ. Without
one HTCondor brings the capsule along, and the receipt is written on the submit host (`facade.job.remote`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from facade.engines import condor_needs
from facade.engines.condor_needs import OUT_OF_MEMORY
from facade.engines.rundir import CAPSULES, COMMON, RunDirectory
from facade.errors import InputError, RefusedError
from facade.needs import GROWTHS, MARGIN, RETRIES, RETRY

FOLDER = "dag"
COMMAND = ("-P", "-m", "facade.job")
"""What a node runs before the name of its capsule: ``facade job run`` without the cost of the command line."""

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|(ACCESS|PRIVATE|API)_?KEY", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/@\s]*:[^/@\s]+@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What jobs ask for and how often they are tried again.

    *memory* and *disk* in MB, *backoff* in seconds (once, twice, three times as long …), *margin* how many
    seconds longer than its walltime a job may run, *commands* are further submit commands of the site
    (``requirements``, ``accounting_group`` …), *max_idle* and *max_jobs* DAGMan's throttles.
    """

    cpus: int = 1
    memory: int = 1024
    disk: int = 1024
    retries: int = 2
    backoff: int = 60
    margin: int = MARGIN
    max_idle: int | None = None
    max_jobs: int | None = None
    commands: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """Where jobs run: *python* is what runs them there, *environment* theirs, readable by everybody who can see the
    run directory or the queue. Hosts that do not see the run directory are *remote*; *files* (absolute paths) are
    brought to them with each job, on a protected way.
    """

    python: str
    environment: Mapping[str, str]
    remote: bool = False
    files: tuple[str, ...] = ()


def job(run: RunDirectory, hosts: Hosts, options: Options, shape: condor_needs.Shape) -> Iterator[tuple[str, str]]:
    """Yield the commands that describe all jobs of a *shape*."""
    again = f"(ExitBySignal =?= true || {_retry('ExitCode')} || (ExitCode > 128) =?= true)"
    yield "universe", "vanilla"
    yield "executable", _plain(hosts.python)
    yield "transfer_executable", "False"  # nor need it be on the submit host
    words = [*COMMAND, *(["--remote"] if hosts.remote else []), "\0"]
    yield "arguments", arguments(words).replace("\0", f"$(folder)/{CAPSULES}#$(jobnum)")
    yield "initialdir", _plain(str(run.path))
    yield "output", "$(folder)/j$INT(jobnum,%06d).out"
    yield "error", "$(folder)/j$INT(jobnum,%06d).err"
    yield from _brought(hosts) if hosts.remote else [("should_transfer_files", "NO")]
    yield "getenv", "False"
    yield "environment", quoted_environment(hosts.environment)
    yield "request_cpus", f"$(need_cpus:{options.cpus})"
    yield "request_memory", condor_needs.memory(shape, options.memory)
    yield "request_disk", f"$(need_disk:{options.disk}) MB"
    yield "job_max_vacate_time", "30"
    yield "leave_in_queue", "False"
    yield "notification", "never"
    # how often it ran out of memory so far: what its exit code says, else what the last one said
    earlier = f"{_retry('LastHoldReasonSubCode')} ? LastHoldReasonSubCode : {RETRY}"
    code = f"{_retry('ExitCode')} ? ExitCode : ({earlier})"
    most = f"{options.retries} + ({code}) - {RETRY}" if shape.growth else str(options.retries)
    yield "on_exit_hold", f"{again} && NumJobCompletions <= {most}"
    yield "on_exit_hold_reason", '"the job or its surroundings broke down; it is tried again after a while"'
    yield "on_exit_hold_subcode", code
    waited = f"time() - EnteredCurrentStatus >= {options.backoff} * NumJobCompletions"
    ours = f"HoldReasonCode =?= 3 && {_retry('HoldReasonSubCode')}"
    # 34: HTCondor itself held it for its memory
    ours = f"({ours} || HoldReasonCode =?= {OUT_OF_MEMORY} && NumHolds <= {GROWTHS})" if shape.growth else ours
    yield "periodic_release", f"{ours} && {waited}"
    yield "My.facade_attempt", string(run.name)
    yield "My.facade_attempt_id", str(run.attempt_id)
    yield "My.facade_job", "$(jobnum)"
    yield "My.facade_label", '"$(label)"'
    site = dict(options.commands)
    asked = dict(condor_needs.commands(shape, site.pop("requirements", ""), options.margin))
    yield from ((name, _plain(value, macros=True)) for name, value in (asked | site).items())


def _brought(hosts: Hosts) -> Iterator[tuple[str, str]]:
    """Yield what brings a job's capsule to a host that does not see it; its receipt comes home by itself."""
    files = [_plain(file) for file in hosts.files]
    if odd := [file for file in files if "," in file or file != file.strip()]:
        raise InputError(f"HTCondor cannot transfer a file with a comma or outer blanks in its name: {odd[0]}")
    yield "should_transfer_files", "YES"
    yield "when_to_transfer_output", "ON_EXIT"
    yield "transfer_input_files", ", ".join([COMMON, f"$(folder)/{CAPSULES}", *files])
    yield "transfer_output_files", '""'
    yield "preserve_relative_paths", "True"
    if files:
        yield "encrypt_input_files", ", ".join(files)
    yield "My.WantIOProxy", "True"


def _retry(name: str) -> str:
    """Return the condition that attribute *name* is one of the exit codes after which a job is tried again."""
    return f"({name} >= {RETRIES.start} && {name} < {RETRIES.stop}) =?= true"


def finish(run: RunDirectory, environment: Mapping[str, str], argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the commands of what closes the attempt."""
    # DAG_STATUS: 0 all well, 2 a node failed, 3 aborted, 4 removed
    told = {**environment, "FACADE_DAG_STATUS": "\0", "FACADE_DAG_FAILED": "\1"}
    for key, value in _local(run, told, argv, "finish"):
        yield key, value.replace("\0", "$(DAG_STATUS)").replace("\1", "$(FAILED_COUNT)")


def plan(
    run: RunDirectory, environment: Mapping[str, str], argv: Sequence[str], options: Options
) -> Iterator[tuple[str, str]]:
    """What plans a block: as a job, it is tried again if something around it broke down."""
    yield from _local(run, environment, argv, f"plan_{argv[-1]}")
    yield from _tried(options, "what plans a block")


def home(
    run: RunDirectory, environment: Mapping[str, str], argv: Sequence[str], options: Options
) -> Iterator[tuple[str, str]]:
    """What brings outputs home; what could not be copied was tried often enough, and is left to a resume."""
    yield from _local(run, environment, argv, "home")
    yield from _tried(options, "what brings outputs home")


def _tried(options: Options, what: str) -> Iterator[tuple[str, str]]:
    again = f"(ExitBySignal =?= true || ExitCode =?= {RETRY})"
    yield "on_exit_hold", f"{again} && NumJobCompletions <= {options.retries}"
    yield "on_exit_hold_reason", f'"{what} broke down; it is tried again after a while"'
    yield "on_exit_hold_subcode", str(RETRY)
    waited = f"time() - EnteredCurrentStatus >= {options.backoff} * NumJobCompletions"
    yield "periodic_release", f"HoldReasonCode =?= 3 && HoldReasonSubCode =?= {RETRY} && {waited}"


def _local(
    run: RunDirectory, environment: Mapping[str, str], argv: Sequence[str], name: str
) -> Iterator[tuple[str, str]]:
    """What runs on the submit host, and writes to files called *name*."""
    folder = _plain(f"{run.path}/{FOLDER}")
    yield "universe", "local"
    yield "executable", _plain(argv[0])
    yield "arguments", arguments(argv[1:])
    yield "initialdir", _plain(str(run.path))
    yield "output", f"{folder}/{name}.out"
    yield "error", f"{folder}/{name}.err"
    yield "getenv", "False"
    yield "environment", quoted_environment(environment)
    yield "notification", "never"
    yield "My.facade_attempt", string(run.name)


def described(name: str, commands: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield the description called *name*."""
    yield f"SUBMIT-DESCRIPTION {name} {{"
    yield from (f"  {key} = {value}" for key, value in commands)
    yield "}"


def arguments(argv: Sequence[str]) -> str:
    """Return *argv* as HTCondor's new-style arguments.

    >>> print(arguments(["-c", "it's", ""]))
    "-c 'it''s' ''"
    """
    return '"' + _plain(" ".join(_word(word) for word in argv)).replace('"', '""') + '"'


def quoted_environment(environment: Mapping[str, str]) -> str:
    """Return *environment* as HTCondor's new-style environment, sorted by name.

    >>> print(quoted_environment({"B": 'say "x"', "A": "1"}))
    "A=1 B='say ""x""'"
    """
    for name in environment:
        if not _NAME.fullmatch(name):
            raise InputError(f"{name!r} is no name of an environment variable")
    return arguments([f"{name}={environment[name]}" for name in sorted(environment)])


def _word(word: str) -> str:
    """Quote a word if need be; of a variable only the value, which is the same to HTCondor and reads better."""
    name, equals, value = word.partition("=")
    if equals and _NAME.fullmatch(name):
        return f"{name}={_word(value)}" if value else f"{name}="
    return "'" + word.replace("'", "''") + "'" if not word or re.search(r"[\s'\"]", word) else word


def _plain(text: str, *, macros: bool = False) -> str:
    """Return *text* as the value of a submit command: one line, and nothing in it expanded unless *macros* is set."""
    if "\n" in text or "\r" in text:
        raise InputError(f"HTCondor cannot take a line break in {text!r}")
    return text if macros else text.replace("$", "$(DOLLAR)")


def string(text: str) -> str:
    """Return *text* as a ClassAd string, or that of DAGMan."""
    return '"' + _plain(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def refuse_secrets(environment: Mapping[str, str]) -> None:
    """Refuse an *environment* that seems to hold a secret: everybody can read a DAG and the queue.

    Raises:
        RefusedError: it does.
    """
    for name, value in environment.items():
        if _SECRET_NAME.search(name) or _SECRET_VALUE.search(value):
            raise RefusedError(
                f"environment variable {name} looks like a secret, and everybody can read a DAG and the queue",
                remedy="keep passwords in a file that only you can read (PGPASSFILE), and hand on its name",
            )
