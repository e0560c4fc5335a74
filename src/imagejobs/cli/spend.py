"""`imagejobs spend`: what was spent."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from imagejobs.app.budgets import list_spend
from imagejobs.cli.console import AsJson, Document, command_app, dollars_of, print_rows
from imagejobs.cli.local import document_of, use_database

app = command_app()


@app.command()
def spend(
    days: Annotated[int, typer.Option(help="The last so many days.", min=1)] = 30,
    project: Annotated[str | None, typer.Option(help="Only this project.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what was spent, by project, provider and model, in US dollars.

    Posted is what was charged, overrun its part above what was reserved; unknown may have been charged: resolve it.

    ```
    imagejobs spend --days 7
    ```
    """
    found = use_database(lambda database: list_spend(database, days, project))
    documents = [document_of(row) for row in found]
    header = ("project", "provider", "model", "jobs", "posted", "overrun", "unknown", "reserved")
    print_rows(documents, header, _cells, as_json=as_json)
    if not as_json:
        print(f"In all {dollars_of(sum(row.posted_micros for row in found))} dollars in {days} days.", file=sys.stderr)


def _cells(row: Document) -> Sequence[object]:
    amounts = (value for name, value in row.items() if name.endswith("Micros"))
    return row["projectId"], row["provider"] or "none", row["model"] or "none", row["jobs"], *map(dollars_of, amounts)
