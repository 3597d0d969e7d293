"""``facade show``: what can be looked up, and where it is."""

from __future__ import annotations

from importlib import import_module

import click

SUBJECTS = {"keywords": "showing", "faults": "showing", "filetypes": "defining", "config": "configuration"}
"""subject -> module that has it: what reads campaigns is imported only when it is asked for."""


class Subjects(click.Group):
    """The subjects, each imported only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the subjects."""
        return list(SUBJECTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a subject."""
        if cmd_name not in SUBJECTS:
            return None
        found = getattr(import_module(f"facade.cli.{SUBJECTS[cmd_name]}"), cmd_name)
        assert isinstance(found, click.Command)
        return found


@click.group(cls=Subjects)
def show() -> None:
    """Look things up: what a campaign says and where, keywords, faults, filetypes."""
