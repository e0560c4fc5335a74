"""`imagejobs budgets`: caps on spending."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from imagejobs.app.budgets import list_budgets, remove_cap, set_cap
from imagejobs.cli.console import AsJson, Document, command_app, dollars_of, print_rows, printable
from imagejobs.cli.local import document_of, use_database
from imagejobs.db.budgets import BudgetPeriod, BudgetScope
from imagejobs.domain.money import from_credits

app = command_app(
    no_args_is_help=True,
    help="Caps on spending, in US dollars. No reservation takes what is reserved, posted and unknown above one.",
)

Project = Annotated[str | None, typer.Option(help="Only this project's spending.", show_default=False)]
Key = Annotated[str | None, typer.Option(help="Only what the key with this id spends.", show_default=False)]
Period = Annotated[BudgetPeriod, typer.Option("--per", help="When the count starts anew, in UTC.")]


@app.command("set")
def set_budget(
    dollars: Annotated[float, typer.Argument(help="The cap.", min=0, show_default=False)],
    per: Period = BudgetPeriod.DAY,
    project: Project = None,
    key: Key = None,
) -> None:
    """Set a cap for the whole instance, or for a project or a key.

    ```
    imagejobs budgets set 5
    imagejobs budgets set 100 --per month --project film
    ```
    """
    scope, scope_id = _scope(project, key)
    micros = from_credits(dollars)
    if not use_database(lambda database: set_cap(database, scope, scope_id, per, micros)):
        print(f"There is no project {printable(scope_id)} yet; the cap holds as soon as there is.", file=sys.stderr)
    print(f"At most {dollars_of(micros)} dollars per {per.value} for the {scope.value} {scope_id}".rstrip() + ".")


@app.command("rm")
def remove_budget(per: Period = BudgetPeriod.DAY, project: Project = None, key: Key = None) -> None:
    """Lift a cap.

    ```
    imagejobs budgets rm --per month --project film
    ```
    """
    scope, scope_id = _scope(project, key)
    use_database(lambda database: remove_cap(database, scope, scope_id, per))
    print(f"No cap per {per.value} any more for the {scope.value} {scope_id}".rstrip() + ".")


@app.command("ls")
def list_all(as_json: AsJson = False) -> None:
    """List the caps, and how much of each is left in its current period.

    ```
    imagejobs budgets ls
    ```
    """
    documents = list(map(document_of, use_database(list_budgets)))
    print_rows(documents, ("scope", "of", "per", "cap", "posted", "reserved", "unknown", "left"), _cells, as_json=as_json)


def _cells(found: Document) -> Sequence[object]:
    amounts = (value for name, value in found.items() if name.endswith("Micros"))
    return found["scope"], found["scopeId"] or "all", found["period"], *map(dollars_of, amounts)


def _scope(project: str | None, key: str | None) -> tuple[BudgetScope, str]:
    if project is not None and key is not None:
        raise typer.BadParameter("a budget is for a project or for a key, not for both")
    if project is not None:
        return BudgetScope.PROJECT, project
    return (BudgetScope.INSTANCE, "") if key is None else (BudgetScope.KEY, key)
