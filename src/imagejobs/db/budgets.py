"""Budgets: caps over a period, and what of them is reserved, posted or unknown; one conditional update judges every race."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg

from imagejobs.db.pool import Connection
from imagejobs.db.rows import value_from
from imagejobs.ports import Transaction


class BudgetScope(StrEnum):
    """Whose spending a budget bounds."""

    INSTANCE = "instance"
    PROJECT = "project"
    KEY = "key"


class BudgetPeriod(StrEnum):
    """How long a budget's count runs, in UTC; `total` never starts anew."""

    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A cap and how its current period stands, in micro-dollars; the instance's has no `scope_id`."""

    scope: BudgetScope
    scope_id: str | None
    period: BudgetPeriod
    cap_micros: int
    posted_micros: int
    reserved_micros: int
    unknown_micros: int
    left_micros: int
    starts_at: datetime


_PERIOD_START = """CASE budget.period
    WHEN 'day' THEN date_trunc('day', {at} AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
    WHEN 'month' THEN date_trunc('month', {at} AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
    ELSE 'epoch'::timestamptz END"""

_MATCHES = """(budget.scope = 'instance'
    OR (budget.scope = 'project' AND budget.scope_id = {project})
    OR (budget.scope = 'key' AND budget.scope_id = {key}))"""

_NOW, _ASKER = _PERIOD_START.format(at="now()"), _MATCHES.format(project="$1", key="$2")

_OPEN_PERIODS = f"""
INSERT INTO imagejobs.budget_periods (budget_id, starts_at)
SELECT budget.id, {_NOW} FROM imagejobs.budgets AS budget WHERE {_ASKER} ORDER BY 1
ON CONFLICT DO NOTHING
"""  # noqa: S608 - built from constants

_RESERVE = f"""
WITH held AS MATERIALIZED (
    SELECT current.budget_id, current.starts_at, budget.cap_micros
    FROM imagejobs.budget_periods AS current JOIN imagejobs.budgets AS budget ON budget.id = current.budget_id
    WHERE current.starts_at = {_NOW} AND {_ASKER}
    ORDER BY current.budget_id FOR NO KEY UPDATE OF current
), reserved AS (
    UPDATE imagejobs.budget_periods AS current SET reserved_micros = reserved_micros + $3
    FROM held WHERE current.budget_id = held.budget_id AND current.starts_at = held.starts_at
    AND reserved_micros + posted_micros + unknown_micros + $3 <= held.cap_micros
    RETURNING current.budget_id
)
SELECT budget.scope, budget.scope_id, budget.period, budget.cap_micros,
    budget.cap_micros - reserved_micros - posted_micros - unknown_micros AS left_micros
FROM held JOIN imagejobs.budgets AS budget ON budget.id = held.budget_id
JOIN imagejobs.budget_periods AS current ON current.budget_id = held.budget_id AND current.starts_at = held.starts_at
WHERE held.budget_id NOT IN (SELECT budget_id FROM reserved) LIMIT 1
"""  # noqa: S608 - built from constants


async def reserve(tx: Transaction, project_id: str, key_id: str | None, micros: int) -> str | None:
    """Hold the amount in every budget that applies; else the name of one that has no room, and the caller rolls back.

    Budgets are locked in the order of their ids until the transaction ends: of any number of racers for the last of a cap,
    those win that fit in.
    """
    if micros == 0:
        return None
    await tx.execute(_OPEN_PERIODS, project_id, key_id)
    full = await tx.fetchrow(_RESERVE, project_id, key_id, micros)
    return None if full is None else _described(full, micros)


_WITHOUT_ROOM = f"""
SELECT budget.scope, budget.scope_id, budget.period, budget.cap_micros,
    budget.cap_micros - coalesce(reserved_micros + posted_micros + unknown_micros, 0) AS left_micros
FROM imagejobs.budgets AS budget LEFT JOIN imagejobs.budget_periods AS current
    ON current.budget_id = budget.id AND current.starts_at = {_NOW}
WHERE {_ASKER} AND coalesce(reserved_micros + posted_micros + unknown_micros, 0) + $3 > budget.cap_micros
ORDER BY budget.id LIMIT 1
"""  # noqa: S608 - built from constants


async def without_room(connection: Connection, project_id: str, key_id: str | None, micros: int) -> str | None:
    """What `reserve` would say just now; nothing is held."""
    full = None if micros == 0 else await connection.fetchrow(_WITHOUT_ROOM, project_id, key_id, micros)
    return None if full is None else _described(full, micros)


def _described(full: asyncpg.Record, micros: int) -> str:
    """The budget without room, and what of it is left."""
    cap, left, wanted = (f"{amount / 1_000_000:.4f}" for amount in (full["cap_micros"], full["left_micros"], micros))
    whose = f"{full['scope']} {full['scope_id']}".strip()
    return f"{whose} per {full['period']} (cap {cap}, left {left}, wanted {wanted} dollars)"


_SET = """
INSERT INTO imagejobs.budgets (scope, scope_id, period, cap_micros) VALUES ($1, $2, $3, $4)
ON CONFLICT (scope, scope_id, period) DO UPDATE SET cap_micros = EXCLUDED.cap_micros RETURNING id, xmax = 0 AS is_new
"""

_COUNT = f"""
INSERT INTO imagejobs.budget_periods (budget_id, starts_at, reserved_micros, posted_micros, unknown_micros)
SELECT budget.id, {_PERIOD_START.format(at="reservation.created_at")},
    coalesce(sum(reservation.amount_micros) FILTER (WHERE reservation.state = 'reserved'), 0),
    coalesce(sum(posted.amount_micros), 0),
    coalesce(sum(reservation.amount_micros) FILTER (WHERE reservation.state = 'unknown'), 0)
FROM imagejobs.budgets AS budget
JOIN imagejobs.reservations AS reservation ON {_MATCHES.format(project="reservation.project_id", key="reservation.key_id")}
LEFT JOIN imagejobs.ledger_entries AS posted ON posted.job_id = reservation.job_id
    AND posted.reservation_no = reservation.reservation_no AND posted.kind = 'post'
WHERE budget.id = $1 GROUP BY 1, 2
"""  # noqa: S608 - built from constants


async def set_cap(tx: Transaction, scope: BudgetScope, scope_id: str, period: BudgetPeriod, cap_micros: int) -> None:
    """Make the budget, counting what was reserved and spent before, or change its cap; what is in flight goes on either way.

    Making one stops reservations for the moment it takes to count them.
    """
    row = await tx.fetchrow(_SET, scope.value, scope_id, period.value, cap_micros)
    assert row is not None
    if row["is_new"]:
        await tx.execute("LOCK TABLE imagejobs.reservations IN SHARE MODE")
        await tx.execute(_COUNT, row["id"])


async def remove(tx: Transaction, scope: BudgetScope, scope_id: str, period: BudgetPeriod) -> bool:
    """Lift the cap; False where there was none. Reservations wait for that moment."""
    await tx.execute("LOCK TABLE imagejobs.reservations IN SHARE MODE")
    found = await tx.fetchval(
        "DELETE FROM imagejobs.budgets WHERE scope = $1 AND scope_id = $2 AND period = $3 RETURNING id",
        scope.value,
        scope_id,
        period.value,
    )
    return found is not None


_CURRENT = f"""
SELECT budget.scope, nullif(budget.scope_id, '') AS scope_id, budget.period, budget.cap_micros, {_NOW} AS starts_at,
    coalesce(reserved_micros, 0) AS reserved_micros, coalesce(posted_micros, 0) AS posted_micros,
    coalesce(unknown_micros, 0) AS unknown_micros,
    budget.cap_micros - coalesce(reserved_micros + posted_micros + unknown_micros, 0) AS left_micros
FROM imagejobs.budgets AS budget LEFT JOIN imagejobs.budget_periods AS current
    ON current.budget_id = budget.id AND current.starts_at = {_NOW}
ORDER BY budget.scope, budget.scope_id, budget.period
"""  # noqa: S608 - built from constants


async def current(connection: Connection) -> Sequence[Budget]:
    """Every budget as its current period stands."""
    return [value_from(Budget, row) for row in await connection.fetch(_CURRENT)]


_SPEND = """
SELECT job.project_id, coalesce(bought.provider, job.provider, '') AS provider,
    coalesce(bought.model, job.model, '') AS model,
    count(DISTINCT job.id) AS jobs,
    coalesce(sum(entry.amount_micros) FILTER (WHERE entry.kind = 'post'), 0)::bigint AS posted_micros,
    coalesce(sum(entry.amount_micros) FILTER (WHERE entry.kind = 'overrun'), 0)::bigint AS overrun_micros,
    coalesce(sum(entry.amount_micros) FILTER (WHERE entry.kind = 'reserve' AND reservation.state = 'unknown'), 0)::bigint
        AS unknown_micros,
    coalesce(sum(entry.amount_micros) FILTER (WHERE entry.kind = 'reserve' AND reservation.state = 'reserved'), 0)::bigint
        AS reserved_micros
FROM imagejobs.ledger_entries AS entry
JOIN imagejobs.reservations AS reservation USING (job_id, reservation_no)
JOIN public.image_generation_jobs AS job ON job.id = entry.job_id
LEFT JOIN LATERAL (SELECT provider, model FROM imagejobs.attempts AS attempt WHERE attempt.job_id = entry.job_id
    AND attempt.reservation_no = entry.reservation_no ORDER BY number LIMIT 1) AS bought ON true
WHERE entry.created_at >= $1 AND ($2::text IS NULL OR job.project_id = $2)
GROUP BY 1, 2, 3 ORDER BY posted_micros DESC, 1, 2, 3
"""


@dataclass(frozen=True, kw_only=True)
class Spend:
    """What one project spent with one model, in micro-dollars; unknown is listed, never guessed."""

    project_id: str
    provider: str
    model: str
    jobs: int
    posted_micros: int
    overrun_micros: int
    unknown_micros: int
    reserved_micros: int


async def spend_since(connection: Connection, since: datetime, project_id: str | None) -> list[Spend]:
    """The spending since an instant, by project, provider and model."""
    return [value_from(Spend, row) for row in await connection.fetch(_SPEND, since, project_id)]


_SHIFT = f"""
WITH held AS MATERIALIZED (
    SELECT counted.budget_id, counted.starts_at, reservation_no
    FROM imagejobs.reservations AS reservation
    JOIN imagejobs.budgets AS budget ON {_MATCHES.format(project="reservation.project_id", key="reservation.key_id")}
    JOIN imagejobs.budget_periods AS counted ON counted.budget_id = budget.id
        AND counted.starts_at = {_PERIOD_START.format(at="reservation.created_at")}
    WHERE reservation.job_id = $1
    ORDER BY counted.budget_id, counted.starts_at FOR NO KEY UPDATE OF counted
)
UPDATE imagejobs.budget_periods AS counted
SET reserved_micros = reserved_micros + $3, posted_micros = posted_micros + $4, unknown_micros = unknown_micros + $5
FROM held WHERE counted.budget_id = held.budget_id AND counted.starts_at = held.starts_at AND held.reservation_no = $2
"""  # noqa: S608 - built from constants


async def shift(
    tx: Transaction, job_id: UUID, reservation_no: int, *, reserved: int = 0, posted: int = 0, unknown: int = 0
) -> None:
    """Move a reservation's amount within its budgets, the periods of all the job's reservations locked in one order."""
    if (reserved, posted, unknown) != (0, 0, 0):
        await tx.execute(_SHIFT, job_id, reservation_no, reserved, posted, unknown)
