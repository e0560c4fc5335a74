"""What every command shares: how its typer application is made, and JSON on stdout."""

import json
from typing import Any

import typer

from imagejobs.cli.exits import EXIT_CODES_HELP


def command_app(**options: Any) -> typer.Typer:  # noqa: ANN401 - typer's own arguments
    """A typer application without its own completion, for one command or one group of them."""
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=EXIT_CODES_HELP,
        **options,
    )


def print_json(document: object) -> None:
    """One line of JSON."""
    print(json.dumps(document, ensure_ascii=False, default=str), flush=True)
