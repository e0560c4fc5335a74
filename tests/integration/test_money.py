"""Reservations, postings, unknown spend, caps and the person's word on them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imagejobs.db import budgets
from imagejobs.db.budgets import BudgetPeriod, BudgetScope
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus, ResumeClass
from imagejobs.errors import OutcomeUnknown, ProviderOverloaded
from imagejobs.imaging import Decoder
from imagejobs.ports import Answer, Call, Submitted
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.world import World, open_world

pytestmark = pytest.mark.database


class Dear(Scripted):
    """Charges more than it quoted."""

    async def submit(self, call: Call) -> Answer | Submitted:
        answer = await super().submit(call)
        assert isinstance(answer, Answer)
        cost = type(answer.cost)(micros=3 * PRICE, price_version="dear", estimated=False)
        return type(answer)(data=answer.data, media_type=answer.media_type, cost=cost)


@pytest.fixture
async def provider() -> Scripted:
    return Scripted()


@pytest.fixture
async def paid(dsn: str, database: Database, decoder: Decoder, tmp_path: Path, provider: Scripted) -> AsyncIterator[World]:
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as opened:
        yield opened
        assert await broken_invariants(database) == {}


async def cap(world: World, micros: int, period: BudgetPeriod = BudgetPeriod.TOTAL) -> None:
    """For ever, where it is not the day that is tested: a new one may begin at any moment."""
    async with world.deps.database.transaction() as tx:
        await budgets.set_cap(tx, BudgetScope.INSTANCE, "", period, micros)


async def counts(world: World) -> tuple[int, int, int]:
    async with world.deps.database.connection() as connection:
        (budget,) = await budgets.current(connection)
    return budget.reserved_micros, budget.posted_micros, budget.unknown_micros


async def test_p5_money_is_reserved_then_posted_with_its_price_list(paid: World) -> None:
    await cap(paid, 10 * PRICE)
    job_id = (await paid.generate()).json()["jobId"]
    assert await counts(paid) == (PRICE, 0, 0)
    await paid.work_off(job_id)
    assert await counts(paid) == (0, PRICE, 0)
    body = await paid.read(job_id)
    assert body["cost"] == {"estimated": 0.04, "actual": 0.04}
    versions = await paid.scalar("SELECT array_agg(DISTINCT price_version) FROM imagejobs.ledger_entries")
    assert versions == ["scripted-1"]


async def test_p6_of_a_hundred_racers_for_the_last_of_a_cap_those_win_that_fit(paid: World) -> None:
    await cap(paid, 3 * PRICE + 1, BudgetPeriod.DAY)
    answers = await asyncio.gather(*(paid.generate() for _ in range(100)))
    assert Counter(answer.status_code for answer in answers) == {202: 3, 402: 97}
    refused = next(answer.json() for answer in answers if answer.status_code == 402)
    assert (refused["reason"], refused["code"]) == ("budget_exhausted", "PERMANENT")
    assert "instance per day" in refused["detail"]
    assert await counts(paid) == (3 * PRICE, 0, 0)
    assert await paid.scalar("SELECT count(*) FROM image_generation_jobs") == 3


async def test_p6_every_budget_that_applies_must_have_room(paid: World) -> None:
    await cap(paid, 10 * PRICE)
    async with paid.deps.database.transaction() as tx:
        await budgets.set_cap(tx, BudgetScope.PROJECT, "poor", BudgetPeriod.TOTAL, PRICE)
    assert (await paid.generate(projectId="poor", n=2)).status_code == 402
    assert (await paid.generate(projectId="poor")).status_code == 202
    assert (await paid.generate(projectId="poor")).status_code == 402
    assert (await paid.generate(projectId="rich", n=2)).status_code == 202


async def test_b3_a_cap_set_late_counts_what_went_before_and_one_set_low_stops_only_the_next(paid: World) -> None:
    done = (await paid.generate()).json()["jobId"]
    await paid.work_off(done)
    waiting = (await paid.generate()).json()["jobId"]
    await cap(paid, PRICE, BudgetPeriod.DAY)
    assert await counts(paid) == (PRICE, PRICE, 0)
    assert (await paid.generate()).status_code == 402
    assert (await paid.work_off(waiting)).status is JobStatus.COMPLETED


async def test_a_refused_job_gives_its_money_back(paid: World, provider: Scripted) -> None:
    await cap(paid, 10 * PRICE)
    provider.errors.extend([ProviderOverloaded("busy")] * 4)
    job = await paid.work_off((await paid.generate()).json()["jobId"])
    assert job.status is JobStatus.FAILED
    assert await counts(paid) == (0, 0, 0)


async def test_p6_what_was_charged_above_the_reservation_is_posted_and_told_as_overrun(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> None:
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": Dear()}) as world:
        await cap(world, PRICE)
        job_id = (await world.generate()).json()["jobId"]
        assert (await world.work_off(job_id)).status is JobStatus.COMPLETED
        assert await counts(world) == (0, 3 * PRICE, 0)
        overrun = await world.scalar("SELECT amount_micros FROM imagejobs.ledger_entries WHERE kind = 'overrun'")
        assert overrun == 2 * PRICE
        assert await broken_invariants(database) == {}


@pytest.mark.parametrize("was_billed", [True, False])
async def test_p5_unknown_spend_is_settled_by_a_person_once(paid: World, provider: Scripted, *, was_billed: bool) -> None:
    await cap(paid, 10 * PRICE)
    provider.errors.append(OutcomeUnknown("gone"))
    job_id = (await paid.generate()).json()["jobId"]
    job = await paid.work_off(job_id)
    assert job.failure is not None
    assert (job.failure.reason, job.failure.billed) == ("outcome_unknown", "unknown")
    assert await counts(paid) == (0, 0, PRICE)
    assert (await paid.read(job_id))["cost"]["actual"] is None
    answer = await paid.client.post(f"/api/images/jobs/{job_id}/resolve", json={"billed": was_billed})
    assert answer.json() == {"jobId": job_id, "posted": 0.04 if was_billed else 0.0}
    assert await counts(paid) == ((0, PRICE, 0) if was_billed else (0, 0, 0))
    body = await paid.read(job_id)
    assert body["error"]["billed"] == ("yes" if was_billed else "no")
    assert (body["status"], body["cost"]["actual"]) == ("failed", 0.04 if was_billed else 0.0)
    assert (await paid.events(job_id))[-1]["kind"] == "job.resolved"
    again = await paid.client.post(f"/api/images/jobs/{job_id}/resolve", json={"billed": was_billed})
    assert again.status_code == 409


async def test_p3_only_a_policy_buys_again_after_an_unknown_outcome_and_once(paid: World, provider: Scripted) -> None:
    provider.errors.extend([OutcomeUnknown("gone")] * 3)
    failed = await paid.work_off((await paid.generate()).json()["jobId"])
    assert failed.attempt_count == 1
    again = await paid.work_off((await paid.generate(onUnknownOutcome="retry_once")).json()["jobId"])
    assert (again.status, again.attempt_count) == (JobStatus.FAILED, 2)
    await paid.scalar("UPDATE imagejobs.projects SET on_unknown_outcome = 'retry_once'")
    provider.errors.append(OutcomeUnknown("gone"))
    by_project = await paid.work_off((await paid.generate()).json()["jobId"])
    assert (by_project.status, by_project.attempt_count) == (JobStatus.COMPLETED, 2)
    assert await billed(paid.deps.database) == PRICE * 5


async def test_a11_a_retry_after_a_failed_upload_costs_nothing(paid: World, provider: Scripted, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir(exist_ok=True)
    (files / "project_film").write_text("a file where a folder should be")
    job_id = (await paid.generate()).json()["jobId"]
    job = await paid.work_off(job_id)
    assert job.failure is not None
    assert (job.failure.stage, job.failure.billed) == ("uploading", "yes")
    assert await paid.scalar("SELECT count(*) FROM imagejobs.staged_bytes") == 1
    (files / "project_film").unlink()
    answer = await paid.client.post(f"/api/images/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json()) == (
        202,
        {"jobId": job_id, "status": "queued", "isPaidAlready": True, "mayBuyTwice": False, "estimated": 0.0},
    )
    done = await paid.work_off(job_id)
    assert (done.status, done.retry_count, len(provider.bill)) == (JobStatus.COMPLETED, 1, 1)
    kinds = [event["kind"] for event in await paid.events(job_id)]
    assert kinds[-4:] == ["job.queued", "job.processing", "job.uploading", "job.completed"]


async def test_a_retry_that_must_buy_again_says_so_reserves_and_happens_once(paid: World, provider: Scripted) -> None:
    provider.errors.extend([ProviderOverloaded("busy")] * 4)
    job_id = (await paid.generate()).json()["jobId"]
    await paid.work_off(job_id)
    answers = await asyncio.gather(*(paid.client.post(f"/api/images/jobs/{job_id}/retry") for _ in range(5)))
    assert Counter(answer.status_code for answer in answers) == {202: 1, 409: 4}
    won = next(answer.json() for answer in answers if answer.status_code == 202)
    assert (won["isPaidAlready"], won["estimated"]) == (False, 0.04)
    job = await paid.work_off(job_id)
    assert (job.status, job.retry_count, job.retries_used) == (JobStatus.COMPLETED, 1, 0)
    refused = await paid.client.post(f"/api/images/jobs/{job_id}/retry")
    assert (refused.status_code, refused.json()["reason"]) == (409, "invalid_transition")


async def test_b6_a_retry_stays_within_max_cost_with_what_is_unknown(paid: World, provider: Scripted) -> None:
    provider.errors.append(OutcomeUnknown("gone"))
    job_id = (await paid.generate(maxCost=0.07)).json()["jobId"]
    await paid.work_off(job_id)
    refused = await paid.client.post(f"/api/images/jobs/{job_id}/retry")
    assert (refused.status_code, refused.json()["reason"]) == (402, "budget_exhausted")
    assert "maxCost" in refused.json()["detail"]
    assert await paid.scalar("SELECT count(*) FROM imagejobs.reservations") == 1
    await paid.client.post(f"/api/images/jobs/{job_id}/resolve", json={"billed": False})
    assert (await paid.client.post(f"/api/images/jobs/{job_id}/retry")).status_code == 202
    assert (await paid.work_off(job_id)).status is JobStatus.COMPLETED


async def test_p4_a_late_answer_is_kept_posted_and_free_to_retry(paid: World, provider: Scripted) -> None:
    """The worker stalled with the answer in hand, another called the outcome unknown, then the bytes came in after all."""
    provider.resume_class = ResumeClass.NONE
    job_id = (await paid.generate()).json()["jobId"]
    job = await paid.job(job_id)
    paid.probe.hold("stage.before_commit")
    stalled = asyncio.create_task(paid.run(job))
    await paid.probe.reached["stage.before_commit"].wait()
    await paid.twin().run(job)
    assert (await paid.job(job_id)).status is JobStatus.FAILED
    paid.probe.let_go("stage.before_commit")
    await stalled
    assert (await paid.job(job_id)).status is JobStatus.FAILED
    answer = await paid.client.post(f"/api/images/jobs/{job_id}/retry")
    assert answer.json()["isPaidAlready"] is True
    assert (await paid.work_off(job_id)).status is JobStatus.COMPLETED
    assert len(provider.bill) == 1
