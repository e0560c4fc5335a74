"""A worker stalls with a paid answer in hand, and others act on the job before its bytes come in after all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagejobs.app.staging import stage
from imagejobs.app.sweep import sweep
from imagejobs.db import budgets
from imagejobs.db.budgets import BudgetPeriod, BudgetScope
from imagejobs.db.pool import Database
from imagejobs.db.rows import value_from
from imagejobs.domain.jobs import Attempt, JobStatus, ResumeClass
from imagejobs.domain.money import Cost
from imagejobs.errors import NoImageReturned, OutcomeUnknown, ProviderRejected, StorageRejected
from imagejobs.imaging import Decoder
from imagejobs.ports import Answer, Call, Submitted
from imagejobs.storage.rehearsal import RehearsalStorage
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.world import SOON, World, open_world

pytestmark = pytest.mark.database

CAP = 3 * PRICE


class OneTime(Scripted):
    """With class `lookup`, gives each picture to the first who asks, and tells all others that it has none any more."""

    async def poll(self, remote_id: str, call: Call) -> Answer | Submitted:
        if self.has_given:
            raise NoImageReturned("It charged, and its link is gone.")
        self.has_given = True
        return await super().poll(remote_id, call)

    has_given = False


@pytest.fixture
async def shop(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> AsyncIterator[tuple[World, Scripted]]:
    provider = OneTime()
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        async with database.transaction() as tx:
            await budgets.set_cap(tx, BudgetScope.INSTANCE, "", BudgetPeriod.TOTAL, CAP)
        yield world, provider
        assert await broken_invariants(database) == {}
        assert await billed(database) == sum(provider.bill.values())


@asynccontextmanager
async def stalled(world: World, **body: object) -> AsyncIterator[str]:
    """A job whose worker stalls with the picture while another calls the outcome unknown; staged when the block ends."""
    job = await world.job((await world.generate(**body)).json()["jobId"])
    world.probe.hold("stage.before_commit")
    late = asyncio.create_task(world.run(job))
    async with asyncio.timeout(SOON):
        await world.probe.reached["stage.before_commit"].wait()
        await world.twin().run(job)
        yield str(job.id)
        world.probe.let_go("stage.before_commit")
        await late


async def post(world: World, job_id: str, verb: str, **body: object) -> Any:
    answer = await world.client.post(f"/api/images/jobs/{job_id}/{verb}", json=body or None)
    assert answer.status_code in (200, 202), answer.text
    return answer.json()


async def test_p5_a_retry_that_finds_the_picture_come_in_gives_back_what_it_reserved(shop: tuple[World, Scripted]) -> None:
    world, provider = shop
    async with stalled(world) as job_id:
        assert (await post(world, job_id, "retry"))["mayBuyTwice"] is True
    job = await world.work_off(job_id)
    assert (job.status, job.cost_micros, len(provider.sends)) == (JobStatus.COMPLETED, PRICE, 1)
    states = await world.scalar("SELECT array_agg(state ORDER BY reservation_no) FROM imagejobs.reservations")
    assert states == ["posted", "released"]


async def test_p4_a_cancel_of_the_retry_says_that_the_picture_is_bought_and_it_is_stored(
    shop: tuple[World, Scripted],
) -> None:
    world, provider = shop
    async with stalled(world) as job_id:
        pass
    await post(world, job_id, "retry")
    receipt = (await post(world, job_id, "cancel"))["receipt"]
    assert (receipt["outcome"], receipt["mayCost"]) == ("too_late", PRICE / 1e6)
    assert (await world.work_off(job_id)).status is JobStatus.COMPLETED
    assert len(provider.sends) == 1


async def test_a_retry_is_refused_while_another_runs_also_where_the_picture_came_in(shop: tuple[World, Scripted]) -> None:
    world, _ = shop
    other = world.twin()
    other.probe.hold("dispatch.after_intent")
    async with stalled(world) as job_id:
        await post(world, job_id, "retry")
        second = asyncio.create_task(other.run(await world.job(job_id)))
        await other.probe.reached["dispatch.after_intent"].wait()
    answer = await world.client.post(f"/api/images/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json()["reason"]) == (409, "invalid_transition")
    other.probe.let_go("dispatch.after_intent")
    async with asyncio.timeout(SOON):
        await second


async def test_p4_a_policy_that_buys_again_takes_the_picture_that_came_in(shop: tuple[World, Scripted]) -> None:
    world, provider = shop
    async with stalled(world, onUnknownOutcome="retry_once") as job_id:
        assert (await world.job(job_id)).status is JobStatus.QUEUED
    job = await world.work_off(job_id)
    assert (job.status, job.cost_micros, len(provider.sends)) == (JobStatus.COMPLETED, PRICE, 1)


async def test_s14_a_second_picture_of_a_completed_job_is_kept_for_a_look_and_holds_no_purchase_up(
    shop: tuple[World, Scripted], caplog: pytest.LogCaptureFixture
) -> None:
    world, provider = shop
    async with stalled(world, onUnknownOutcome="retry_once") as job_id:
        assert (await world.twin().work_off(job_id)).status is JobStatus.COMPLETED
    assert len(provider.bill) == 2
    for limit_bytes, kept in ((2 * len(provider.data) + 1, 1), (len(provider.data), 0)):
        policy = replace(world.deps.policy, staged_bytes_limit=limit_bytes)
        await sweep(replace(world.deps, policy=policy))
        assert await world.scalar("SELECT count(*) FROM imagejobs.staged_bytes") == kept
        world.deps.staging_room.require()
    assert "staging.filling" not in caplog.messages


class Refusing(RehearsalStorage):
    """Takes no picture, and will not."""

    async def put(self, key: str, data: bytes, media_type: str) -> None:
        raise StorageRejected(f"There is no bucket for the {len(data)} bytes of {media_type} at {key}.")


async def comes_in_late(world: World, provider: Scripted, number: int) -> None:
    """The answer to the attempt, which was paid for."""
    async with world.deps.database.connection() as connection:
        row = await connection.fetchrow("SELECT * FROM imagejobs.attempts WHERE number = $1", number)
    provider.bill[f"late-{number}"] = PRICE
    cost = Cost(micros=PRICE, price_version="1", estimated=False)
    await stage(world.deps, value_from(Attempt, row), Answer(data=provider.data, media_type="image/png", cost=cost))


async def test_p4_a_retry_takes_the_picture_that_was_being_stored_before_another_that_came_in_later(
    shop: tuple[World, Scripted],
) -> None:
    world, provider = shop
    provider.errors.extend([OutcomeUnknown("Lost."), OutcomeUnknown("Lost.")])
    job_id = (await world.generate()).json()["jobId"]
    await world.work_off(job_id)
    await post(world, job_id, "retry")
    await world.work_off(job_id)
    await comes_in_late(world, provider, 1)
    assert (await post(world, job_id, "retry"))["isPaidAlready"] is True
    full = replace(world, deps=replace(world.deps, storage=Refusing(world.deps.storage)))
    assert (await full.work_off(job_id)).status is JobStatus.FAILED
    await comes_in_late(world, provider, 2)
    assert (await post(world, job_id, "retry"))["isPaidAlready"] is True
    job = await world.work_off(job_id)
    assert (job.status, job.cost_micros, len(provider.sends)) == (JobStatus.COMPLETED, 2 * PRICE, 2)


async def test_p4_a_late_picture_that_nobody_came_back_for_goes_after_its_time(shop: tuple[World, Scripted]) -> None:
    world, _ = shop
    async with stalled(world) as job_id:
        pass
    await world.scalar("UPDATE imagejobs.staged_bytes SET staged_at = now() - interval '31 days'")
    await sweep(world.deps)
    assert await world.scalar("SELECT count(*) FROM imagejobs.staged_bytes") == 0
    retried = await post(world, job_id, "retry")
    assert (retried["isPaidAlready"], retried["mayBuyTwice"]) == (False, False)


async def test_p4_a_picture_that_was_promised_for_free_is_not_forgotten_before_it_is_stored(
    shop: tuple[World, Scripted],
) -> None:
    world, provider = shop
    async with stalled(world) as job_id:
        pass
    assert (await post(world, job_id, "retry"))["isPaidAlready"] is True
    await world.scalar("UPDATE imagejobs.staged_bytes SET staged_at = now() - interval '31 days'")
    await sweep(world.deps)
    assert (await world.work_off(job_id)).status is JobStatus.COMPLETED
    assert len(provider.sends) == 1


@pytest.mark.parametrize("was_billed", [True, False])
async def test_p5_an_answer_that_comes_after_a_persons_word_is_counted_once(
    shop: tuple[World, Scripted], *, was_billed: bool
) -> None:
    world, _ = shop
    async with stalled(world) as job_id:
        await post(world, job_id, "resolve", billed=was_billed)
    body = await world.read(job_id)
    assert (body["status"], body["cost"]["actual"], body["error"]["billed"]) == ("failed", PRICE / 1e6, "yes")
    assert (await post(world, job_id, "retry"))["isPaidAlready"] is True
    assert (await world.work_off(job_id)).cost_micros == PRICE


async def test_p6_an_answer_that_was_taken_for_free_is_an_overrun_where_others_took_its_room(
    shop: tuple[World, Scripted],
) -> None:
    world, _ = shop
    async with stalled(world) as job_id:
        await post(world, job_id, "resolve", billed=False)
        others = [(await world.generate()).json()["jobId"] for _ in range(CAP // PRICE)]
        assert (await world.generate()).status_code == 402
    assert await world.scalar("SELECT amount_micros FROM imagejobs.ledger_entries WHERE kind = 'overrun'") == PRICE
    assert await broken_invariants(world.deps.database) == {}
    for other in (job_id, *others):
        await world.work_off(other)


async def test_p4_a_picture_that_only_one_worker_could_have_is_kept_though_another_was_told_that_it_is_gone(
    shop: tuple[World, Scripted],
) -> None:
    world, provider = shop
    provider.resume_class = ResumeClass.LOOKUP
    async with stalled(world) as job_id:
        assert (await world.read(job_id))["error"]["reason"] == "no_image_returned"
    assert (await post(world, job_id, "retry"))["isPaidAlready"] is True
    job = await world.work_off(job_id)
    assert (job.status, job.cost_micros, len(provider.sends)) == (JobStatus.COMPLETED, PRICE, 1)


async def test_p5_a_late_answer_makes_an_unknown_cost_known(shop: tuple[World, Scripted]) -> None:
    world, _ = shop
    async with stalled(world) as job_id:
        body = await world.read(job_id)
        assert (body["cost"]["actual"], body["error"]["billed"]) == (None, "unknown")
    body = await world.read(job_id)
    assert (body["cost"]["actual"], body["error"]["billed"]) == (PRICE / 1e6, "yes")


async def test_p5_an_earlier_unknown_outcome_is_not_called_free_by_a_later_free_failure(
    shop: tuple[World, Scripted],
) -> None:
    world, provider = shop
    provider.errors.extend([OutcomeUnknown("lost"), ProviderRejected("no")])
    job_id = (await world.generate()).json()["jobId"]
    await world.work_off(job_id)
    await post(world, job_id, "retry")
    await world.work_off(job_id)
    body = await world.read(job_id)
    assert (body["error"]["reason"], body["error"]["billed"]) == ("provider_rejected", "unknown")
    assert body["cost"]["actual"] is None
    await post(world, job_id, "resolve", billed=False)
    body = await world.read(job_id)
    assert (body["cost"]["actual"], body["error"]["billed"]) == (0, "no")


async def test_p5_nor_by_a_cancel(shop: tuple[World, Scripted]) -> None:
    world, provider = shop
    provider.errors.append(OutcomeUnknown("lost"))
    job_id = (await world.generate()).json()["jobId"]
    await world.work_off(job_id)
    await post(world, job_id, "retry")
    assert (await post(world, job_id, "cancel"))["receipt"]["mayCost"] == PRICE / 1e6
    assert (await world.events(job_id))[-1]["data"]["billed"] == "unknown"
    assert (await world.read(job_id))["cost"]["actual"] is None
    await post(world, job_id, "resolve", billed=False)
