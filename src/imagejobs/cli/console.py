"""What every command shares: how its typer application is made, and how results are printed."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

import typer

from imagejobs.cli.exits import EXIT_CODES_HELP

Document: TypeAlias = Mapping[str, Any]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON for each.")]

# Control characters, line and paragraph separators, and what turns the direction of writing around.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def command_app(**options: Any) -> typer.Typer:  # noqa: ANN401 - typer's own arguments
    """A typer application, for one command or one group of them; without its own completion unless that is asked for."""
    return typer.Typer(
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=EXIT_CODES_HELP,
        **{"add_completion": False, **options},
    )


def printable(value: object) -> str:
    """The text with its control characters escaped: what others wrote must not steer a terminal or forge a line."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(value))


def dollars_of(micros: int) -> str:
    """The amount in dollars, to a hundredth of a cent."""
    return f"{micros / 1_000_000:.4f}"


def credits_of(amount: float | None) -> str:
    """The amount in credits, as exact as dollars are told."""
    return "unknown" if amount is None else f"{amount:.4f} credits"


def instant_of(at: datetime) -> str:
    """The second in UTC, and that it is."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def print_json(document: object) -> None:
    """One line of JSON, pure ASCII."""
    print(json.dumps(document, default=str), flush=True)


def print_either(document: object, words: str, *, as_json: bool) -> None:
    """The document as a line of JSON, or the words for a person."""
    print_json(document) if as_json else print(words, flush=True)


def print_rows(
    documents: Sequence[Document], header: Sequence[str], cells: Callable[[Document], Sequence[object]], *, as_json: bool
) -> None:
    """A line of JSON for each, or a table of what `cells` makes of each."""
    if not as_json:
        print_table(header, list(map(cells, documents)))
        return
    for document in documents:
        print_json(document)


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as what is in them, so that nothing is cut off where the output goes to another program."""
    table = [tuple(map(printable, row)) for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def require_id(text: str, name: str) -> None:
    """Refuse what no project and no user is called."""
    if not 1 <= len(text) <= 200 or not text.isprintable():
        raise typer.BadParameter("an id has 1 to 200 printable characters", param_hint=name)
