"""The entry point: the list of commands, and how errors end the program."""

import sys
from collections.abc import Mapping
from typing import Annotated, ClassVar

import typer

from imagejobs import __version__
from imagejobs.cli.exits import EXIT_CODES_HELP, ExitCode
from imagejobs.cli.lazy import Entry, LazyGroup
from imagejobs.errors import ConfigurationError

_SERVE = "Run the service"
_USE = "Make pictures"
_MANAGE = "Look after it"


class _Commands(LazyGroup):
    entries: ClassVar[Mapping[str, Entry]] = {
        "up": Entry(module="imagejobs.cli.up", panel=_SERVE, summary="Start everything: database, API and workers."),
        "api": Entry(module="imagejobs.cli.api", panel=_SERVE, summary="Run the web API alone."),
        "worker": Entry(module="imagejobs.cli.worker", panel=_SERVE, summary="Run one worker alone."),
        "migrate": Entry(module="imagejobs.cli.migrate", panel=_SERVE, summary="Bring the database to this version."),
        "generate": Entry(module="imagejobs.cli.generate", panel=_USE, summary="Make a picture from a prompt."),
        "jobs": Entry(module="imagejobs.cli.jobs", panel=_USE, summary="List, show, watch, retry and resolve jobs."),
        "keys": Entry(module="imagejobs.cli.keys", panel=_MANAGE, summary="Make, list and revoke API keys."),
        "projects": Entry(
            module="imagejobs.cli.projects", panel=_MANAGE, summary="Make projects, and say who may do what in them."
        ),
        "budgets": Entry(module="imagejobs.cli.budgets", panel=_MANAGE, summary="Set and show caps on spending."),
        "spend": Entry(module="imagejobs.cli.spend", panel=_MANAGE, summary="Show what was spent."),
        "providers": Entry(module="imagejobs.cli.providers", panel=_MANAGE, summary="Check who makes the pictures."),
        "storage": Entry(
            module="imagejobs.cli.storage", panel=_MANAGE, summary="Make the bucket of the pictures, and try it."
        ),
        "verify": Entry(module="imagejobs.cli.verify", panel=_MANAGE, summary="Check every promise that rows can show."),
        "fake-provider": Entry(
            module="imagejobs.cli.fake_provider", panel=_MANAGE, summary="Run a provider for tests, with its own bill."
        ),
        "doctor": Entry(module="imagejobs.cli.doctor", panel=_MANAGE, summary="Check everything and say what to do."),
    }


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES_HELP,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"imagejobs {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")] = False,
) -> None:
    """Turn "make me this picture" into a durable job.

    Two commands from nothing to a picture:

    ```
    imagejobs up
    imagejobs generate "a red fox in snow" -o pictures
    ```
    """


def run() -> None:
    """Run the command that the arguments name, and exit."""
    try:
        app(prog_name="imagejobs")
    except ConfigurationError as error:
        for problem in dict.fromkeys(error.problems):
            print(f"imagejobs: {problem.strip()}", file=sys.stderr)
        sys.exit(ExitCode.CONFIGURATION)
