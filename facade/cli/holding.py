"""``facade hold`` and ``facade release``: an attempt waits in HTCondor's queue, and goes on."""

from __future__ import annotations

import click

from facade.cli.context import registry, talk
from facade.errors import DONE
from facade.run import find
from facade.run import hold as hold_attempt
from facade.run import release as release_attempt


@click.command()
@click.argument("attempt")
def hold(attempt: str) -> int:
    """Have ATTEMPT start no more jobs until it is released; those that run go on. (HTCondor only.)"""
    with registry() as opened:
        found = find(opened, attempt)
        hold_attempt(found)
    talk(f"{found.name} starts no more jobs; let it go on with: facade release {found.name}")
    return DONE


@click.command()
@click.argument("attempt")
def release(attempt: str) -> int:
    """Have ATTEMPT go on, and start its held jobs again: what held them is mended. (HTCondor only.)"""
    with registry() as opened:
        found = find(opened, attempt)
        jobs = release_attempt(found)
    held = f"; {jobs} of its jobs were held and are started again" if jobs else ""
    talk(f"{found.name} goes on{held}; see it with: facade stat {found.name} --watch")
    return DONE
