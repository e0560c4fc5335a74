"""Everybody locks in one order: job, circuit, then the periods of budgets by budget and day (ADR 0014).

Each test has one side wait for a lock before the other goes on, so that nothing depends on who is faster.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagejobs.app.sweep import sweep
from imagejobs.db import budgets
from imagejobs.db.budgets import BudgetPeriod, BudgetScope
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus, ResumeClass
from imagejobs.errors import OutcomeUnknown, ProviderKeyRejected
from imagejobs.imaging import Decoder
from imagejobs.ports import Transaction
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.world import SOON, World, open_world

pytestmark = pytest.mark.database

WAITING = (  # for what another transaction has locked: a row, or a table
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND wait_event_type = 'Lock' AND wait_event IN ('transactionid', 'tuple', 'relation')"
)
CAP = 100 * PRICE


@pytest.fixture
async def shop(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> AsyncIterator[tuple[World, Scripted]]:
    provider = Scripted()
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        yield world, provider
        assert await broken_invariants(database) == {}
        assert await billed(database) == sum(provider.bill.values())


async def blocked(world: World, action: Awaitable[Any], count: int = 1) -> "asyncio.Task[Any]":
    """The action, begun, once so many wait for a lock; or once it is over, which the test will notice."""
    task = asyncio.ensure_future(action)
    while not task.done() and await world.scalar(WAITING) < count:
        await asyncio.sleep(0.005)
    return task


async def cap(world: World, scope: BudgetScope, scope_id: str, period: BudgetPeriod) -> None:
    async with world.deps.database.transaction() as tx:
        await budgets.set_cap(tx, scope, scope_id, period, CAP)


@asynccontextmanager
async def period_of(world: World, where: str) -> AsyncIterator[Transaction]:
    """A transaction that has the period of a budget locked, as a submission under it has."""
    async with world.deps.database.transaction() as tx:
        await lock_period(tx, where)
        yield tx


async def lock_period(tx: Transaction, where: str) -> None:
    """Lock the latest period of the budget; at once, or the test fails."""
    found = await tx.fetchval(
        "SELECT cap_micros FROM imagejobs.budgets AS budget JOIN imagejobs.budget_periods ON budget_id = budget.id "  # noqa: S608
        f"WHERE {where} ORDER BY starts_at DESC LIMIT 1 FOR NO KEY UPDATE OF budget_periods NOWAIT"
    )
    assert found == CAP


async def test_p4_an_answer_is_staged_beside_a_run_that_ends_the_job(
    shop: tuple[World, Scripted], caplog: pytest.LogCaptureFixture
) -> None:
    """A worker stalls with the picture; the next one is refused at its repeat, and gives the outcome up."""
    world, provider = shop
    provider.resume_class = ResumeClass.KEY
    provider.errors.extend([None, ProviderKeyRejected("No such key.")])
    job = await world.job((await world.generate()).json()["jobId"])
    world.probe.hold("stage.before_commit")
    late = asyncio.create_task(world.run(job))
    async with asyncio.timeout(SOON):
        await world.probe.reached["stage.before_commit"].wait()
        other = replace(world.twin(), deps=replace(world.twin().deps, key_fingerprints={"scripted": "k"}))
        async with world.deps.database.transaction() as tx:
            row = "INSERT INTO imagejobs.provider_state (provider, key_fingerprint) VALUES ('scripted', 'k')"
            await tx.execute(row)
            ending = await blocked(world, other.run(job))  # it has the job, and waits for the circuit
            world.probe.let_go("stage.before_commit")
            while not late.done() and await world.scalar(WAITING) < 2:
                await asyncio.sleep(0.005)
        await asyncio.gather(ending, late)
    assert not {"stage.database_away", "job.database_away"} & {*caplog.messages}
    after = await world.job(job.id)
    assert (after.status, after.cost_micros) == (JobStatus.FAILED, PRICE)
    assert (await world.client.post(f"/api/images/jobs/{job.id}/retry")).json()["isPaidAlready"] is True
    await world.work_off(job.id)


async def test_p6_who_fails_overdue_jobs_holds_the_budgets_of_one_at_a_time(shop: tuple[World, Scripted]) -> None:
    world, _ = shop
    for project in ("a", "b"):
        await world.generate(projectId=project)
        await cap(world, BudgetScope.PROJECT, project, BudgetPeriod.TOTAL)
    for project, days in (("a", 1), ("b", 2)):
        late = "UPDATE image_generation_jobs SET deadline_at = now() - make_interval(days => $2) WHERE project_id = $1"
        await world.scalar(late, project, days)
    async with asyncio.timeout(SOON):
        async with period_of(world, "scope_id = 'a'") as tx:
            sweeping = await blocked(world, sweep(world.deps))
            assert not sweeping.done()
            await lock_period(tx, "scope_id = 'b'")
        await sweeping
    assert await world.scalar("SELECT count(*) FROM image_generation_jobs WHERE error_reason = 'deadline_exceeded'") == 2


async def test_p5_a_word_on_the_purchases_of_two_days_locks_all_periods_in_their_order(shop: tuple[World, Scripted]) -> None:
    world, provider = shop
    provider.errors.extend([OutcomeUnknown("lost"), OutcomeUnknown("lost")])
    job_id = (await world.generate()).json()["jobId"]
    await world.work_off(job_id)
    await world.client.post(f"/api/images/jobs/{job_id}/retry")
    await world.work_off(job_id)
    await world.scalar("UPDATE imagejobs.reservations SET created_at = now() - interval '1 day' WHERE reservation_no = 1")
    for period in (BudgetPeriod.DAY, BudgetPeriod.TOTAL):
        await cap(world, BudgetScope.INSTANCE, "", period)
    async with asyncio.timeout(SOON):
        async with period_of(world, "period = 'day'") as tx:
            answering = world.client.post(f"/api/images/jobs/{job_id}/resolve", json={"billed": False})
            resolving = await blocked(world, answering)
            assert not resolving.done()
            await lock_period(tx, "period = 'total'")
        assert (await resolving).status_code == 200


async def test_p6_new_periods_are_opened_in_the_order_of_their_budgets(world: World) -> None:
    await cap(world, BudgetScope.INSTANCE, "", BudgetPeriod.TOTAL)
    await cap(world, BudgetScope.PROJECT, "film", BudgetPeriod.TOTAL)
    await cap(world, BudgetScope.INSTANCE, "", BudgetPeriod.TOTAL)  # its row lies behind the other's now
    await world.scalar("ANALYZE imagejobs.budgets")

    async def reserve() -> str | None:
        async with world.deps.database.transaction() as tx:
            return await budgets.reserve(tx, "film", None, PRICE)

    async with asyncio.timeout(SOON):
        async with world.deps.database.transaction() as tx:
            assert await budgets.reserve(tx, "another", None, PRICE) is None
            other = await blocked(world, reserve())
            assert await budgets.reserve(tx, "film", None, PRICE) is None
        assert await other is None


async def test_p6_a_cap_that_is_lifted_meanwhile_refuses_nobody(shop: tuple[World, Scripted]) -> None:
    world, _ = shop
    await cap(world, BudgetScope.INSTANCE, "", BudgetPeriod.TOTAL)
    async with asyncio.timeout(SOON):
        async with world.deps.database.transaction() as tx:
            assert await budgets.remove(tx, BudgetScope.INSTANCE, "", BudgetPeriod.TOTAL)
            asking = await blocked(world, world.generate())
            assert not asking.done()
        answer = await asking
    assert answer.status_code == 202, answer.text
    await world.work_off(answer.json()["jobId"])
