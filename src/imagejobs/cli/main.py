"""The entry point: the list of commands, each imported when it is called, and how errors end the program."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from imagejobs import __version__
from imagejobs.cli.console import command_app
from imagejobs.cli.exits import ExitCode
from imagejobs.errors import ConfigurationError

_SERVE = "Run the service"
_USE = "Make pictures"
_MANAGE = "Look after it"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the list of commands says of one."""

    panel: str
    summary: str

    def load(self, name: str) -> TyperCommand | TyperGroup:
        """The command itself: the `app` of the module of its name, a group where it has several commands."""
        app: typer.Typer = import_module(f"imagejobs.cli.{name.replace('-', '_')}").app
        command = get_command(app)
        assert isinstance(command, TyperCommand | TyperGroup)
        command.name = name
        return command


class LazyGroup(TyperGroup):
    """Lists its `entries`, and imports only the one that is called, so that help and completion stay fast."""

    entries: ClassVar[Mapping[str, Entry]] = {
        "up": Entry(panel=_SERVE, summary="Start everything: database, API and workers."),
        "api": Entry(panel=_SERVE, summary="Run the web API alone."),
        "worker": Entry(panel=_SERVE, summary="Run one worker alone."),
        "migrate": Entry(panel=_SERVE, summary="Bring the database to this version."),
        "generate": Entry(panel=_USE, summary="Make a picture from a prompt."),
        "jobs": Entry(panel=_USE, summary="List, show, watch, prioritize, retry, cancel, resolve jobs."),
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

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - typer's own arguments
        super().__init__(**attributes)
        for name, entry in self.entries.items():
            self.add_command(TyperCommand(name, help=entry.summary, rich_help_panel=entry.panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401 - typer's types are private
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and command is not None:
            command = self.entries[name].load(name)
        return name, command, rest


app = command_app(cls=LazyGroup, no_args_is_help=True, add_completion=True)


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
