"""C22: a retry is made once for each failure that a person saw, however often its request is sent, and answers alike."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from imagejobs.db import budgets
from imagejobs.db.budgets import BudgetPeriod, BudgetScope
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus
from imagejobs.errors import ContentRefused, OutcomeUnknown, ProviderError
from imagejobs.imaging import Decoder
from tests.support.invariants import broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.world import World, open_world

pytestmark = pytest.mark.database


@pytest.fixture
async def provider() -> Scripted:
    return Scripted()


@pytest.fixture
async def paid(dsn: str, database: Database, decoder: Decoder, tmp_path: Path, provider: Scripted) -> AsyncIterator[World]:
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as opened:
        yield opened
        assert await broken_invariants(database) == {}


async def failed(world: World, provider: Scripted, error: ProviderError | None = None) -> str:
    provider.errors.append(error or ContentRefused("no"))
    job_id: str = (await world.generate()).json()["jobId"]
    assert (await world.work_off(job_id)).status is JobStatus.FAILED
    return job_id


async def retry(world: World, job_id: str, retry_count: Any) -> httpx2.Response:
    return await world.client.post(f"/api/images/jobs/{job_id}/retry", json={"retryCount": retry_count})


def is_replay(answer: httpx2.Response) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


async def test_c22_a_hundred_retries_of_one_failure_make_one_and_answer_alike(paid: World, provider: Scripted) -> None:
    job_id = await failed(paid, provider)
    answers = await asyncio.gather(*(retry(paid, job_id, 0) for _ in range(100)))
    assert Counter((answer.status_code, is_replay(answer)) for answer in answers) == {(202, False): 1, (200, True): 99}
    one = {"jobId": job_id, "status": "queued", "isPaidAlready": False, "mayBuyTwice": False, "estimated": PRICE / 1_000_000}
    assert [answer.json() for answer in answers] == [one] * 100
    assert {answer.headers["location"] for answer in answers} == {f"/api/images/jobs/{job_id}"}
    assert (await paid.job(job_id)).retry_count == 1
    assert len([event for event in await paid.events(job_id) if "retriedBy" in event["data"]]) == 1
    assert (await paid.work_off(job_id)).status is JobStatus.COMPLETED
    assert len(provider.bill) == 1


async def test_c22_a_repeat_never_retries_the_failure_that_came_after(paid: World, provider: Scripted) -> None:
    """The first answer was lost, and the job failed anew before it was asked for again."""
    job_id = await failed(paid, provider, OutcomeUnknown("gone"))
    first = await retry(paid, job_id, 0)
    assert (first.status_code, first.json()["mayBuyTwice"]) == (202, True)
    provider.errors.append(ContentRefused("no"))
    await paid.work_off(job_id)
    again = await retry(paid, job_id, 0)
    assert (again.status_code, is_replay(again)) == (200, True)
    assert again.json() == {**first.json(), "status": "failed"}
    assert (await paid.job(job_id)).retry_count == 1
    assert (await retry(paid, job_id, 1)).status_code == 202
    assert (await paid.work_off(job_id)).status is JobStatus.COMPLETED
    repeats = [await retry(paid, job_id, number) for number in (0, 1)]
    assert [(one.status_code, one.json()["status"]) for one in repeats] == [(200, "completed")] * 2


async def test_c22_what_was_refused_was_no_retry(paid: World, provider: Scripted) -> None:
    """A number that is not reached yet, a job that has not failed, a full budget: none of them counts."""
    job_id = await failed(paid, provider)
    ahead = await retry(paid, job_id, 1)
    assert (ahead.status_code, ahead.json()["reason"]) == (409, "invalid_transition")
    assert ahead.json()["detail"] == "This job's retryCount is 0, not 1: send the one it has."
    async with paid.deps.database.transaction() as tx:
        await budgets.set_cap(tx, BudgetScope.INSTANCE, "", BudgetPeriod.DAY, 0)
    assert [(await retry(paid, job_id, 0)).status_code for _ in range(2)] == [402, 402]
    async with paid.deps.database.transaction() as tx:
        await budgets.set_cap(tx, BudgetScope.INSTANCE, "", BudgetPeriod.DAY, PRICE)
    assert (await retry(paid, job_id, 0)).status_code == 202
    for wrong in (-1, "0", 0.5):
        refused = await retry(paid, job_id, wrong)
        assert (refused.status_code, refused.json()["field"]) == (422, "retryCount")
    assert (await retry(paid, job_id, None)).status_code == 409
    assert (await paid.work_off(job_id)).retry_count == 1
