"""A1, `fallback`: a job goes on to its next model where a provider cannot make the picture and surely charged nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imagejobs.app.deps import Policy
from imagejobs.app.submit import target_of
from imagejobs.db import budgets
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import Job, JobStatus, ResumeClass
from imagejobs.errors import (
    Billed,
    ContentRefused,
    ModelUnavailable,
    NoImageReturned,
    OutcomeUnknown,
    ProviderCreditExhausted,
    ProviderError,
    ProviderFailed,
    ProviderKeyRejected,
    ProviderOverloaded,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnreachable,
)
from imagejobs.imaging import Decoder
from imagejobs.ports import ModelCapability
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.values import a_request
from tests.support.world import FAST, SOON, World, open_world

pytestmark = pytest.mark.database

MODELS = ("first:scripted-1", "second:scripted-1", "third:scripted-1")


@dataclass
class Street:
    """Three shops side by side; the first is the default."""

    world: World
    first: Scripted
    second: Scripted
    third: Scripted

    async def a_job(self, **body: Any) -> Job:
        answer = await self.world.generate(**{"fallback": ["second", "third"], **body})
        assert answer.status_code == 202, answer.text
        return await self.world.job(answer.json()["jobId"])

    async def an_end(self, **body: Any) -> Job:
        return await self.world.work_off((await self.a_job(**body)).id)

    async def went_on_to(self, job: Job) -> list[str]:
        return [event["data"]["nextModel"] for event in await self.world.events(job.id) if "nextModel" in event["data"]]

    async def books(self) -> list[tuple[str, int]]:
        async with self.world.deps.database.connection() as connection:
            rows = await connection.fetch("SELECT state, amount_micros FROM imagejobs.reservations ORDER BY reservation_no")
        return [(row["state"], row["amount_micros"]) for row in rows]


@pytest.fixture
async def street(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> AsyncIterator[Street]:
    shops = {name: Scripted(name=name) for name in ("first", "second", "third")}
    policy = Policy(default_provider="first", schedule=FAST, sweep_seconds=0.3, idle_seconds=0)
    async with open_world(dsn, database, decoder, tmp_path / "files", providers=shops, policy=policy) as world:
        yield Street(world, **shops)
        assert await broken_invariants(database) == {}
        assert await billed(database) == sum(sum(shop.bill.values()) for shop in shops.values())


@pytest.mark.parametrize(
    ("error", "sends"),
    [
        (ModelUnavailable("gone"), 1),
        (ProviderKeyRejected("no"), 1),
        (ProviderCreditExhausted("empty"), 1),
        (ProviderRejected("not here"), 1),
        (ProviderThrottled("slowly", 3600.0), 1),
        (ProviderUnreachable("refused"), 4),
        (ProviderOverloaded("full"), 4),
        (ProviderFailed("broken"), 4),
        (ProviderTimeout("late"), 4),
    ],
    ids=lambda value: value.reason if isinstance(value, ProviderError) else str(value),
)
async def test_a1_a_job_goes_on_to_its_next_model_when_the_first_gives_up(
    street: Street, error: ProviderError, sends: int
) -> None:
    street.first.errors.extend([error] * 10)
    job = await street.an_end()
    assert (job.status, job.provider, job.model) == (JobStatus.COMPLETED, "second", "scripted-1")
    assert len(street.first.sends) == sends
    assert (len(street.second.sends), len(street.third.sends)) == (1, 0)
    assert await street.went_on_to(job) == [MODELS[1]]
    assert await street.books() == [("released", PRICE), ("posted", PRICE)]
    assert (job.cost_micros, job.retries_used) == (PRICE, 0)


@pytest.mark.parametrize(
    "error", [ContentRefused("no"), OutcomeUnknown("lost"), NoImageReturned("nothing")], ids=lambda error: error.reason
)
async def test_a_refusal_and_what_may_have_been_charged_are_the_end(street: Street, error: ProviderError) -> None:
    street.first.errors.append(error)
    job = await street.an_end()
    assert job.failure is not None
    assert (job.status, job.failure.reason) == (JobStatus.FAILED, error.reason)
    assert (len(street.second.sends), len(street.third.sends)) == (0, 0)
    street.second.bill |= {"unknown": PRICE} if error.billed is Billed.UNKNOWN else {}


async def test_a_rejection_that_was_charged_is_the_end_too(street: Street) -> None:
    charged = ProviderRejected("no, and that costs")
    charged.billed = Billed.YES
    street.first.errors.append(charged)
    assert (await street.an_end()).status is JobStatus.FAILED
    assert street.second.sends == []


async def test_each_model_has_its_own_automatic_retries_and_the_last_error_is_told(street: Street) -> None:
    for shop in (street.first, street.second):
        shop.errors.extend([ProviderOverloaded("full")] * 10)
    street.third.errors.append(ContentRefused("not here either"))
    job = await street.an_end()
    assert [len(shop.sends) for shop in (street.first, street.second, street.third)] == [4, 4, 1]
    assert job.failure is not None
    assert (job.failure.reason, job.provider) == ("content_refused", "third")
    assert await street.went_on_to(job) == list(MODELS[1:])


async def test_a_persons_retry_begins_with_the_first_model_again(street: Street) -> None:
    for shop in (street.first, street.second, street.third):
        shop.errors.append(ProviderRejected("no"))
    job = await street.an_end()
    assert job.status is JobStatus.FAILED
    assert (await street.world.client.post(f"/api/images/jobs/{job.id}/retry")).status_code == 202
    again = await street.world.work_off(job.id)
    assert (again.status, again.provider) == (JobStatus.COMPLETED, "first")


async def test_p5_each_purchase_is_listed_under_the_model_that_made_it(street: Street) -> None:
    street.first.errors.extend([NoImageReturned("nothing"), ProviderRejected("no")])
    job = await street.an_end()
    await street.world.client.post(f"/api/images/jobs/{job.id}/retry")
    assert (await street.world.work_off(job.id)).provider == "second"
    async with street.world.deps.database.connection() as connection:
        spent = await budgets.spend_since(connection, job.created_at - timedelta(hours=1), None)
    assert {one.provider: one.posted_micros for one in spent} == {"first": PRICE, "second": PRICE}


async def test_a_retry_passes_over_a_first_model_that_was_retired_meanwhile(street: Street) -> None:
    for shop in (street.first, street.second, street.third):
        shop.errors.append(ProviderRejected("no"))
    job = await street.an_end()
    street.first.is_retired = True
    assert (await street.world.client.post(f"/api/images/jobs/{job.id}/retry")).status_code == 202
    again = await street.world.work_off(job.id)
    assert (again.status, again.provider) == (JobStatus.COMPLETED, "second")


async def test_a_late_picture_is_told_as_that_of_the_model_that_made_it(street: Street) -> None:
    street.first.errors.append(ProviderRejected("no"))
    world, job = street.world, await street.a_job()
    await world.run(job)
    job = await world.job(job.id)
    world.probe.hold("stage.before_commit")
    late = asyncio.create_task(world.run(job))
    async with asyncio.timeout(SOON):
        await world.probe.reached["stage.before_commit"].wait()
        await world.twin().run(job)
        assert (await world.client.post(f"/api/images/jobs/{job.id}/retry")).status_code == 202
        assert (await world.job(job.id)).provider == "first"
        world.probe.let_go("stage.before_commit")
        await late
    ended = await world.work_off(job.id)
    assert (ended.status, ended.provider, len(street.first.sends)) == (JobStatus.COMPLETED, "second", 1)


async def test_a_purchase_that_can_still_be_asked_for_is_waited_for_as_without_a_fallback(street: Street) -> None:
    street.first.resume_class = ResumeClass.KEY
    street.first.errors.extend([OutcomeUnknown("lost"), ProviderThrottled("slowly", 600.0)])
    job = await street.a_job()
    for _ in range(2):
        await street.world.run(job)
        job = await street.world.job(job.id)
        assert job.status is JobStatus.QUEUED
    await street.world.run(job)
    after = await street.world.job(job.id)
    assert (after.status, after.provider) == (JobStatus.COMPLETED, "first")
    assert (len(street.first.sends), len(set(street.first.sends))) == (3, 1)


async def test_a_canceled_job_goes_nowhere(street: Street) -> None:
    street.first.errors.append(ProviderUnreachable("refused"))
    job = await street.a_job()
    street.world.probe.hold("dispatch.after_intent")
    async with street.world.working():
        await street.world.probe.reached["dispatch.after_intent"].wait()
        answer = await street.world.client.post(f"/api/images/jobs/{job.id}/cancel")
        assert answer.json()["receipt"]["outcome"] == "stop_requested"
        street.world.probe.let_go("dispatch.after_intent")
        body = await street.world.finished(str(job.id))
    assert (body["status"], body["provider"]) == ("canceled", "first")
    assert street.second.sends == []


async def test_the_next_model_is_judged_before_anything_is_written(street: Street) -> None:
    street.second.model = ModelCapability(name="small-1", max_edge=32)
    refused = await street.world.generate(fallback=["third", "second"])
    assert (refused.status_code, refused.json()["reason"]) == (422, "unsupported_capability")
    assert "small-1" in refused.json()["detail"]
    dear = await street.world.generate(fallback=["third"], maxCost=0.03)
    assert dear.status_code == 402
    twice = await street.a_job(fallback=["first", "third", "third:scripted-1", "first:scripted-1"])
    assert twice.params["models"] == [MODELS[0], MODELS[2]]
    assert "models" not in (await street.a_job(fallback=["first"])).params


async def test_without_a_default_the_first_of_the_fallback_is_asked(street: Street) -> None:
    policy = replace(street.world.deps.policy, default_provider=None)
    undecided = replace(street.world.deps, policy=policy)
    request = a_request(fallback=("second", "third"))
    target = target_of(undecided, request)
    assert (target.provider, target.models) == ("second", MODELS[1:])
    assert target_of(undecided, replace(request, fallback=())).provider is None


async def test_a_cap_without_room_for_the_next_model_is_not_passed(street: Street) -> None:
    street.first.errors.append(ProviderRejected("no"))
    job = await street.a_job()
    await street.world.scalar("INSERT INTO imagejobs.budgets (scope, period, cap_micros) VALUES ('instance', 'total', 1)")
    ended = await street.world.work_off(job.id)
    assert ended.failure is not None
    assert ended.failure.reason == "budget_exhausted"
    assert street.second.sends == []
