"""`imagejobs spend`: what was spent."""

import sys
from typing import Annotated, Any

import typer

from imagejobs.app.budgets import list_spend
from imagejobs.cli.console import command_app, dollars_of, print_json, print_table
from imagejobs.cli.local import use_database
from imagejobs.db.budgets import Spend

app = command_app()


@app.command()
def spend(
    days: Annotated[int, typer.Option(help="The last so many days.", min=1)] = 30,
    project: Annotated[str | None, typer.Option(help="Only this project.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON each.")] = False,
) -> None:
    """Show what was spent, by project, provider and model, in US dollars.

    Posted is what the providers charged; unknown is what they may have charged: resolve it, it is never guessed.

    ```
    imagejobs spend --days 7
    ```
    """
    found = use_database(lambda database: list_spend(database, days, project))
    if as_json:
        for row in found:
            print_json(_document(row))
        return
    header = ("project", "provider", "model", "jobs", "posted", "of it overrun", "unknown", "reserved")
    rows = [
        (
            *(row.project_id, row.provider or "none", row.model or "none", row.jobs),
            *map(dollars_of, (row.posted_micros, row.overrun_micros, row.unknown_micros, row.reserved_micros)),
        )
        for row in found
    ]
    print_table(header, rows)
    total = sum(row.posted_micros for row in found)
    print(f"In all {dollars_of(total)} dollars in {days} days.", file=sys.stderr)


def _document(row: Spend) -> dict[str, Any]:
    return {
        "projectId": row.project_id,
        "provider": row.provider,
        "model": row.model,
        "jobs": int(row.jobs),
        "postedMicros": int(row.posted_micros),
        "overrunMicros": int(row.overrun_micros),
        "unknownMicros": int(row.unknown_micros),
        "reservedMicros": int(row.reserved_micros),
    }
