"""`imagejobs budgets`: caps on spending."""

import sys
from decimal import Decimal
from typing import Annotated, Any

import typer

from imagejobs.app.budgets import list_budgets, remove_cap, set_cap
from imagejobs.cli.console import command_app, dollars_of, instant_of, print_json, print_table
from imagejobs.cli.exits import ExitCode
from imagejobs.cli.local import use_database
from imagejobs.db.budgets import Budget, BudgetPeriod, BudgetScope
from imagejobs.domain.money import MICROS
from imagejobs.errors import NotFound

app = command_app(
    no_args_is_help=True,
    help="Caps on spending, in US dollars. No reservation takes what is reserved, posted and unknown above one.",
)

Project = Annotated[str | None, typer.Option(help="Only this project's spending.", show_default=False)]
Key = Annotated[str | None, typer.Option(help="Only what the key with this id spends.", show_default=False)]
Period = Annotated[BudgetPeriod, typer.Option("--per", help="When the count starts anew, in UTC.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON each.")]


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
    micros = int(Decimal(str(dollars)) * MICROS)
    use_database(lambda database: set_cap(database, scope, scope_id, per, micros))
    print(f"At most {dollars:.2f} dollars per {per.value} for the {scope.value} {scope_id}".rstrip() + ".")


@app.command("rm")
def remove_budget(per: Period = BudgetPeriod.DAY, project: Project = None, key: Key = None) -> None:
    """Lift a cap.

    ```
    imagejobs budgets rm --per month --project film
    ```
    """
    scope, scope_id = _scope(project, key)
    try:
        use_database(lambda database: remove_cap(database, scope, scope_id, per))
    except NotFound as error:
        print(f"imagejobs: {error.detail}", file=sys.stderr)
        raise typer.Exit(ExitCode.NOT_FOUND) from error
    print(f"No cap per {per.value} any more for the {scope.value} {scope_id}".rstrip() + ".")


@app.command("ls")
def list_all(as_json: AsJson = False) -> None:
    """List the caps, and how much of each is left in its current period.

    ```
    imagejobs budgets ls
    ```
    """
    found = use_database(list_budgets)
    if as_json:
        for budget in found:
            print_json(_document(budget))
        return
    header = ("scope", "of", "per", "cap", "posted", "reserved", "unknown", "left")
    amounts = [(b.cap_micros, b.posted_micros, b.reserved_micros, b.unknown_micros, b.left_micros) for b in found]
    names = [(b.scope.value, b.scope_id or "all", b.period.value) for b in found]
    print_table(header, [(*name, *map(dollars_of, amount)) for name, amount in zip(names, amounts, strict=True)])


def _document(budget: Budget) -> dict[str, Any]:
    return {
        "scope": budget.scope.value,
        "scopeId": budget.scope_id or None,
        "period": budget.period.value,
        "capMicros": int(budget.cap_micros),
        "postedMicros": int(budget.posted_micros),
        "reservedMicros": int(budget.reserved_micros),
        "unknownMicros": int(budget.unknown_micros),
        "leftMicros": int(budget.left_micros),
        "startsAt": instant_of(budget.starts_at),
    }


def _scope(project: str | None, key: str | None) -> tuple[BudgetScope, str]:
    if project is not None and key is not None:
        raise typer.BadParameter("a budget is for a project or for a key, not for both")
    if project is not None:
        return BudgetScope.PROJECT, project
    return (BudgetScope.INSTANCE, "") if key is None else (BudgetScope.KEY, key)
