"""HTCondor without root: build it, and run a personal pool of it in one directory.

    condor.py prefix               build it in .tools/condor (or $FACADE_CONDOR_PREFIX) unless it is there
    condor.py start DIR            start a pool in DIR; print its CONDOR_CONFIG
    eval "$(condor.py env DIR)"    what a shell wants to use it
    condor.py status DIR           whether it runs
    condor.py stop DIR             end it with its jobs

Wants Debian or Ubuntu on x86-64 to build; neither the machine's packages nor a CONDOR_CONFIG of yours are touched.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

import condor_prefix
from condor_pool import Pool
from debian import ToolError


def main(arguments: list[str]) -> int:
    """Do what the command line asks for."""
    options = parser().parse_args(arguments)
    try:
        if options.verb == "prefix":
            return build(options)
        if options.verb == "start":
            return start(options)
        pool = Pool(options.directory, condor_prefix.location())
        return {"env": show_env, "status": show_status, "stop": stop, "guard": guard}[options.verb](pool, options)
    except ToolError as error:
        say(str(error))
        return 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="condor.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    prefix = verbs.add_parser("prefix")
    prefix.add_argument("--suite", default="", help="suite to take condor from (default: the first that has a new one)")
    prefix.add_argument("--mirror", default="", help="default: the mirror that apt is configured with")
    for name in ("start", "env", "status", "stop", "guard"):
        verb = verbs.add_parser(name)
        verb.add_argument("directory", metavar="DIR", type=Path)
        if name == "start":
            verb.add_argument("--cpus", type=int, default=16, help="CPUs to offer, whatever the machine has")
            verb.add_argument("--owner", type=int, metavar="PID", help="stop the pool when this process has ended")
            verb.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="more configuration")
        if name == "guard":
            verb.add_argument("owner", metavar="PID", type=int)
    return top


def say(text: str) -> None:
    """Talk to the user; stdout is for answers."""
    print(f"condor: {text}", file=sys.stderr, flush=True)


def build(options: argparse.Namespace) -> int:
    """Build the prefix and print where it is."""
    prefix = condor_prefix.location()
    condor_prefix.ensure(prefix, say, options.suite, options.mirror)
    print(prefix)
    return 0


def start(options: argparse.Namespace) -> int:
    """Start a pool, building the prefix first if need be, and print its configuration's path."""
    prefix = condor_prefix.location()
    condor_prefix.ensure(prefix, say)
    pool = Pool(options.directory, prefix)
    pool.start(options.cpus, [setting.replace("=", " = ", 1) for setting in options.set])
    if options.owner:
        pool.start_guard(options.owner)
    print(pool.config)
    return 0


def stop(pool: Pool, _: argparse.Namespace) -> int:
    """Stop a pool."""
    pool.stop()
    return 0


def guard(pool: Pool, options: argparse.Namespace) -> int:
    """Stop a pool when its owner has ended."""
    pool.guard(options.owner)
    return 0


def show_env(pool: Pool, _: argparse.Namespace) -> int:
    """Print what a shell is to evaluate."""
    for variable in ("CONDOR_CONFIG", "PATH"):
        print(f"export {variable}={shlex.quote(pool.env[variable])}")
    for variable in sorted(os.environ.keys() - pool.env.keys()):
        print(f"unset {variable}")
    return 0


def show_status(pool: Pool, _: argparse.Namespace) -> int:
    """Say whether the pool runs."""
    master = pool.master()
    print(f"running, master {master}" if master else "not running")
    return 0 if master else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
