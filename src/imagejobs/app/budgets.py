"""Setting, lifting and reading budgets, and what was spent."""

from datetime import UTC, datetime, timedelta

from imagejobs.app.keys import NO_KEY
from imagejobs.db import access, budgets
from imagejobs.db.budgets import Budget, BudgetPeriod, BudgetScope, Spend
from imagejobs.db.pool import Database
from imagejobs.errors import NotFound


async def set_cap(database: Database, scope: BudgetScope, scope_id: str, period: BudgetPeriod, micros: int) -> bool:
    """Make or change a cap; whether its project exists yet; `NotFound` for a key. What is reserved goes on, and counts."""
    async with database.transaction() as tx:
        if scope is BudgetScope.KEY and await access.key_by_id(tx, scope_id) is None:
            raise NotFound(NO_KEY.format(scope_id))
        await budgets.set_cap(tx, scope, scope_id, period, micros)
        return scope is not BudgetScope.PROJECT or await access.project(tx, scope_id) is not None


async def remove_cap(database: Database, scope: BudgetScope, scope_id: str, period: BudgetPeriod) -> None:
    """Lift a cap; `NotFound` where there was none."""
    async with database.transaction() as tx:
        if not await budgets.remove(tx, scope, scope_id, period):
            raise NotFound("There is no such budget: `imagejobs budgets ls` lists them.")


async def list_budgets(database: Database) -> list[Budget]:
    """Every budget, as its current period stands."""
    async with database.connection() as connection:
        return list(await budgets.current(connection))


async def list_spend(database: Database, days: int, project_id: str | None) -> list[Spend]:
    """What was spent in the last days, by project, provider and model."""
    async with database.connection() as connection:
        return await budgets.spend_since(connection, datetime.now(UTC) - timedelta(days=days), project_id)
