"""The entry point: the list of commands, and how errors end the program."""

import sys
from collections.abc import Mapping
from typing import Annotated, ClassVar

import typer

from imagejobs import __version__
from imagejobs.cli.console import command_app
from imagejobs.cli.exits import ExitCode
from imagejobs.cli.lazy import Entry, LazyGroup
from imagejobs.errors import ConfigurationError

_SERVE = "Run the service"
_USE = "Make pictures"
_MANAGE = "Look after it"


class _Commands(LazyGroup):
    entries: ClassVar[Mapping[str, Entry]] = {
        "up": Entry(panel=_SERVE, summary="Start everything: database, API and workers."),
        "api": Entry(panel=_SERVE, summary="Run the web API alone."),
        "worker": Entry(panel=_SERVE, summary="Run one worker alone."),
        "migrate": Entry(panel=_SERVE, summary="Bring the database to this version."),
        "generate": Entry(panel=_USE, summary="Make a picture from a prompt."),
        "jobs": Entry(panel=_USE, summary="List, show, watch, retry and resolve jobs."),
        "keys": Entry(panel=_MANAGE, summary="Make, list and revoke API keys."),
        "projects": Entry(panel=_MANAGE, summary="Make projects, and say who may do what in them."),
        "budgets": Entry(panel=_MANAGE, summary="Set and show caps on spending."),
        "spend": Entry(panel=_MANAGE, summary="Show what was spent."),
        "providers": Entry(panel=_MANAGE, summary="Check who makes the pictures."),
        "storage": Entry(panel=_MANAGE, summary="Make the bucket of the pictures, and try it."),
        "verify": Entry(panel=_MANAGE, summary="Check every promise that rows can show."),
        "fake-provider": Entry(panel=_MANAGE, summary="Run a provider for tests, with its own bill."),
        "doctor": Entry(panel=_MANAGE, summary="Check everything and say what to do."),
        "checklist": Entry(panel=_MANAGE, summary="Tick the guide's checklist, a picture included."),
    }


app = command_app(cls=_Commands, no_args_is_help=True, add_completion=True)


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
