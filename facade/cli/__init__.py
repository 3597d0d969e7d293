"""The command line: the only place that prints or chooses an exit code. One module per group of verbs."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from facade import __version__
from facade.errors import BAD_INPUT, FAILED, INTERRUPTED, FacadeError

VERBS = {
    "check": ("campaigns", "Report every fault of a campaign in one go."),
    "show": ("show", "Look things up: keywords, faults."),
    "fmt": ("formatting", "Lay WCL files out; what they mean stays."),
    "plan": ("campaigns", "Find inputs, divide them, show what would run."),
    "submit": ("running", "Plan a campaign, register an attempt, run it."),
    "resume": ("running", "Go on with an attempt: only what is missing."),
    "hold": ("holding", "Have an attempt start no more jobs for a while."),
    "release": ("holding", "Have it go on, and its held jobs with it."),
    "remove": ("running", "Stop an attempt."),
    "stat": ("watching", "Where everything is, what failed and why."),
    "ingest": ("intake", "Copy files into the archive and register them."),
    "ingest-receipts": ("jobs", "Tell the registry what jobs did that could not."),
    "query": ("files", "Run a query code as a campaign would."),
    "provenance": ("lineage", "Where a file came from, or what became of it."),
    "sql": ("asking", "Named questions, or SQL of your own (read-only)."),
    "files": ("keeping", "List registered files."),
    "diff": ("comparing", "How two attempts differ."),
    "compare": ("comparing", "Hold an archive against the registry."),
    "reproduce": ("comparing", "Make a file again, and compare it."),
    "junk": ("keeping", "Say that an attempt's data are junk."),
    "rm": ("keeping", "Remove files that nobody needs."),
    "tag": ("asking", "Put a tag on an attempt."),
    "untag": ("asking", "Take it off again."),
    "job": ("jobs", "Run one job by hand."),
    "wrapper": ("wrappers", "List wrappers, test one of your own."),
    "db": ("database", "Start, stop and look after the database."),
    "engine": ("running", "What engines call."),
}
"""verb -> module that has it, and what it does in a few words: ``facade --help`` loads no verb."""
HIDDEN = frozenset({"engine"})


class Verbs(click.Group):
    """The verbs, each imported only when it is asked for: ``facade stat`` does not pay for the planner."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order in which an operator meets them."""
        return [verb for verb in VERBS if verb not in HIDDEN]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a verb."""
        if cmd_name not in VERBS:
            return None
        found = getattr(import_module(f"facade.cli.{VERBS[cmd_name][0]}"), cmd_name.replace("-", "_"))
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs from the table."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, VERBS[verb][1]) for verb in self.list_commands(ctx)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or say which one was perhaps meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from facade.wcl import did_you_mean

            hint = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"no verb is called {args[0]!r}. {hint}".strip(), ctx) from error


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="facade")
def facade() -> None:
    """Batch production for sky surveys: campaigns in WCL, jobs on HTCondor, files and provenance in PostgreSQL.

    \b
    facade check CAMPAIGN      is it right?            facade submit CAMPAIGN --wait    run it
    facade stat                where is everything?    facade provenance FILE           where did it come from?
    """


def run_command(words: Sequence[str]) -> int:
    """Run one command line and return its exit code; an operator's mistake never shows a traceback."""
    try:
        code = facade.main(args=list(words), prog_name="facade", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except FacadeError as error:
        _say(str(error))
        return error.exit_code
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return BAD_INPUT if isinstance(error, click.UsageError) else error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _crash(error)


def _say(text: str) -> None:
    prefix = "" if "error: " in text.partition("\n")[0] else "facade: "
    click.echo(prefix + text, err=True)


def _crash(error: Exception) -> int:
    """A fault of facade itself: a short word to the operator, the traceback into a file for whoever mends it."""
    if os.environ.get("FACADE_DEBUG"):
        traceback.print_exception(error)
        return FAILED
    path = Path.cwd() / f"facade-crash-{os.getpid()}.txt"
    try:
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        where = f"the details are in {path}"
    except OSError:
        where = "set FACADE_DEBUG=1 to see the details"
    _say(f"a fault in facade itself: {type(error).__name__}: {error}\n  {where}")
    return FAILED
