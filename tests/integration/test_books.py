"""What a review once found: errors on later sends and polls, charged errors, lost commits, late sweeps."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from imagejobs.app.attempt import run_job
from imagejobs.app.keys import create_key
from imagejobs.app.sweep import sweep
from imagejobs.db import budgets
from imagejobs.db.budgets import BudgetPeriod, BudgetScope
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus, ResumeClass
from imagejobs.domain.requests import GenerationRequest
from imagejobs.errors import (
    ContentRefused,
    DatabaseUnavailable,
    NoImageReturned,
    OutcomeUnknown,
    ProviderError,
    ProviderKeyRejected,
    ProviderOverloaded,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnreachable,
    StorageUnavailable,
)
from imagejobs.imaging import Decoder
from imagejobs.ports import Answer, Call, Plan, Storage, Submitted
from imagejobs.web.server import create_app
from tests.support.deaths import DeadlyProbe, Death
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.world import World, open_world

pytestmark = pytest.mark.database

Opening = Callable[[Scripted], AbstractAsyncContextManager[World]]


@pytest.fixture
def opening(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> Opening:
    @asynccontextmanager
    async def opened(provider: Scripted) -> AsyncIterator[World]:
        async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
            yield world
            assert await broken_invariants(database) == {}

    return opened


async def die_at(point: str, world: World, job_id: str) -> None:
    """Let a worker take the job and die at the named point."""
    job = await world.job(job_id)
    with pytest.raises(Death, match=point):
        await run_job(replace(world.deps, probe=DeadlyProbe(point=point)), job.id, job.delivery_no)


LATER = [ProviderUnreachable("gone"), ProviderThrottled("wait", 1.0), ProviderOverloaded("busy"), ProviderTimeout("late")]


@dataclass
class Polled(Scripted):
    """Fails its polls first."""

    poll_errors: deque[ProviderError] = field(default_factory=deque)

    async def poll(self, remote_id: str, call: Call) -> Answer | Submitted:
        if self.poll_errors:
            raise self.poll_errors.popleft()
        return await super().poll(remote_id, call)


@pytest.mark.parametrize("error", LATER)
async def test_p3_a_poll_that_fails_buys_nothing(opening: Opening, error: ProviderError) -> None:
    provider = Polled(resume_class=ResumeClass.LOOKUP, poll_errors=deque([error]))
    async with opening(provider) as world:
        job = await world.work_off((await world.generate()).json()["jobId"])
        assert (job.status, job.attempt_count, len(provider.bill)) == (JobStatus.COMPLETED, 1, 1)


async def test_p4_an_id_that_came_unasked_is_asked_for_again_as_a_promised_one_is(opening: Opening) -> None:
    class Surprising(Polled):
        def plan(self, request: GenerationRequest) -> Plan:
            return replace(super().plan(request), resume_class=ResumeClass.NONE)

    provider = Surprising(resume_class=ResumeClass.LOOKUP, poll_errors=deque([OutcomeUnknown("no answer to the poll")]))
    async with opening(provider) as world:
        job = await world.work_off((await world.generate()).json()["jobId"])
        assert (job.status, job.attempt_count, len(provider.bill)) == (JobStatus.COMPLETED, 1, 1)


@pytest.mark.parametrize("error", LATER)
async def test_p3_a_repeat_that_fails_stays_under_its_key(opening: Opening, error: ProviderError) -> None:
    provider = Scripted(resume_class=ResumeClass.KEY)
    async with opening(provider) as world:
        job_id = (await world.generate()).json()["jobId"]
        await die_at("stage.before_commit", world, job_id)
        provider.errors.append(error)
        assert (await world.work_off(job_id)).status is JobStatus.COMPLETED
        assert len(provider.bill) == 1
        assert len(set(provider.sends)) == 1


async def test_p5_a_repeat_that_can_never_succeed_leaves_the_first_send_unknown(opening: Opening) -> None:
    provider = Scripted(resume_class=ResumeClass.KEY)
    async with opening(provider) as world:
        job_id = (await world.generate()).json()["jobId"]
        await die_at("stage.before_commit", world, job_id)
        provider.errors.append(ProviderKeyRejected("the key was revoked meanwhile"))
        job = await world.work_off(job_id)
        assert job.failure is not None
        assert (job.failure.reason, job.failure.billed) == ("provider_key_rejected", "unknown")
        assert await billed(world.deps.database) == PRICE


async def test_p5_an_error_that_was_charged_is_posted(opening: Opening) -> None:
    async with opening(Scripted(errors=deque([NoImageReturned("It said yes and sent nothing.")]))) as world:
        job = await world.work_off((await world.generate()).json()["jobId"])
        assert job.failure is not None
        assert (job.failure.billed, job.cost_micros) == ("yes", PRICE)
        assert await billed(world.deps.database) == PRICE


async def test_p5_a_worker_without_the_provider_does_not_call_an_open_purchase_free(opening: Opening) -> None:
    provider = Scripted(resume_class=ResumeClass.NONE)
    async with opening(provider) as world:
        job_id = (await world.generate()).json()["jobId"]
        await die_at("stage.before_commit", world, job_id)
        job = await world.job(job_id)
        await run_job(replace(world.deps, providers={}), job.id, job.delivery_no)
        failure = (await world.job(job_id)).failure
        assert failure is not None
        assert (failure.reason, failure.billed) == ("no_provider_configured", "unknown")
        assert await billed(world.deps.database) == PRICE


async def test_p6_a_job_that_found_no_provider_is_bought_within_the_budget_of_the_key_that_retries_it(
    opening: Opening,
) -> None:
    async with opening(Scripted()) as world:
        key = await create_key(world.deps.database, "buyer")
        world.client.headers["authorization"] = f"Bearer {key}"
        async with world.deps.database.transaction() as tx:
            await budgets.set_cap(tx, BudgetScope.KEY, key.id, BudgetPeriod.DAY, PRICE - 1)
        nowhere = replace(world.deps, policy=replace(world.deps.policy, default_provider=None))
        world.client._transport.app.state.deps = nowhere  # type: ignore[attr-defined]
        job_id = (await world.generate()).json()["jobId"]
        await world.work_off(job_id)
        world.client._transport.app.state.deps = world.deps  # type: ignore[attr-defined]
        refused = await world.client.post(f"/api/images/jobs/{job_id}/retry")
        assert (refused.status_code, refused.json()["reason"]) == (402, "budget_exhausted")
        assert "key" in refused.json()["detail"]


class Flaky:
    """A database that is away for the next transaction, once told so."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_away = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        if self.is_away:
            self.is_away = False
            raise DatabaseUnavailable("away")
        async with self._database.transaction() as tx:
            yield tx


class Restarting(Flaky):
    """A database that goes down with the next commit, its answer lost, and stays away for some tries."""

    tries_in_vain = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        if self.tries_in_vain > 0:
            self.tries_in_vain -= 1
            raise DatabaseUnavailable("starting up")
        was_away, self.is_away = self.is_away, False
        async with super().transaction() as tx:
            yield tx
        if was_away:
            self.tries_in_vain = 3
            raise DatabaseUnavailable("went away with the answer to the commit")


async def test_d1_d3_an_intent_whose_commit_got_no_answer_is_looked_up_once_the_database_is_back(
    opening: Opening, database: Database
) -> None:
    restarting = Restarting(database)

    class Unlucky(Scripted):
        def plan(self, request: GenerationRequest) -> Plan:
            restarting.is_away = True
            return super().plan(request)

    async with opening(provider := Unlucky()) as world:
        unlucky = replace(world, deps=replace(world.deps, database=restarting))  # type: ignore[arg-type]
        job_id = (await world.generate()).json()["jobId"]
        await unlucky.run(await world.job(job_id))
        assert restarting.tries_in_vain == 0
        job = await world.job(job_id)
        assert (job.status, job.attempt_count, len(provider.bill)) == (JobStatus.COMPLETED, 1, 1)


async def test_p5_a_refusal_is_not_forgotten_because_the_database_is_away(opening: Opening, database: Database) -> None:
    flaky = Flaky(database)

    class Refusing(Scripted):
        async def submit(self, call: Call) -> Answer | Submitted:
            del call
            flaky.is_away = True
            raise ContentRefused("No, not this one.")

    async with opening(Refusing()) as world:
        job = await world.job((await world.generate()).json()["jobId"])
        await run_job(replace(world.deps, database=flaky), job.id, job.delivery_no)  # type: ignore[arg-type]
        failure = (await world.job(job.id)).failure
        assert failure is not None
        assert (failure.reason, failure.billed) == ("content_refused", "no")


async def test_a_policy_that_buys_again_does_not_outlive_the_deadline(opening: Opening) -> None:
    provider = Scripted(resume_class=ResumeClass.NONE)
    async with opening(provider) as world:
        job_id = (await world.generate(onUnknownOutcome="retry_once")).json()["jobId"]
        await die_at("stage.before_commit", world, job_id)
        await world.scalar("UPDATE image_generation_jobs SET deadline_at = now() - interval '1 second'")
        job = await world.work_off(job_id)
        assert job.failure is not None
        assert (job.failure.reason, job.failure.billed, len(provider.bill)) == ("deadline_exceeded", "unknown", 1)


class Full:
    """A storage without room."""

    def __init__(self, inner: Storage) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def put(self, *_: object) -> None:
        raise StorageUnavailable("full")


class Hanging(Full):
    """A storage that never comes back, the first time."""

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.is_first = True

    async def put(self, *arguments: Any) -> None:
        if self.is_first:
            self.is_first = False
            await asyncio.Event().wait()
        await self._inner.put(*arguments)


async def test_s5_a_storage_that_hangs_is_left_after_its_time_and_asked_again(opening: Opening) -> None:
    provider = Scripted()
    async with opening(provider) as world:
        patient = replace(world, deps=replace(world.deps, storage=Hanging(world.deps.storage)))
        impatient = replace(world.deps.policy, upload_seconds=0.2)
        job_id = (await world.generate()).json()["jobId"]
        await replace(patient, deps=replace(patient.deps, policy=impatient)).run(await world.job(job_id))
        job = await patient.work_off(job_id)
        assert (job.status, job.retries_used, len(provider.bill)) == (JobStatus.COMPLETED, 1, 1)
        reasons = [event["data"].get("reason") for event in await world.events(job_id)]
        assert "storage_unavailable" in reasons


async def test_a_job_that_the_sweep_failed_is_not_moved_by_its_late_worker(opening: Opening) -> None:
    async with opening(Scripted()) as world:
        full = replace(world, deps=replace(world.deps, storage=Full(world.deps.storage)))
        job_id = (await world.generate()).json()["jobId"]
        world.probe.hold("dispatch.after_intent")
        late = asyncio.create_task(full.run(await world.job(job_id)))
        await world.probe.reached["dispatch.after_intent"].wait()
        await world.scalar("UPDATE image_generation_jobs SET deadline_at = now() - interval '10 minutes'")
        await sweep(world.deps)
        swept = await world.job(job_id)
        world.probe.let_go("dispatch.after_intent")
        await late
        after = await world.job(job_id)
        assert after.status is JobStatus.FAILED
        assert after.event_seq == swept.event_seq


async def test_a_paid_picture_is_stored_even_after_the_deadline(opening: Opening) -> None:
    async with opening(Scripted()) as world:
        job_id = (await world.generate()).json()["jobId"]
        await die_at("stage.after_commit", world, job_id)
        await world.scalar("UPDATE image_generation_jobs SET deadline_at = now() - interval '10 minutes'")
        await sweep(world.deps)
        assert (await world.work_off(job_id)).status is JobStatus.COMPLETED


async def test_a7_what_was_accepted_once_is_found_again_after_a_new_configuration(opening: Opening) -> None:
    async with opening(Scripted()) as world:
        first = await world.generate(idempotencyKey="k", model="scripted:scripted-1")
        world.client._transport.app = create_app(replace(world.deps, providers={}))  # type: ignore[attr-defined]
        again = await world.generate(idempotencyKey="k", model="scripted:scripted-1")
        assert (again.status_code, again.json()) == (200, first.json())
        fresh = await world.generate(idempotencyKey="other", model="scripted:scripted-1")
        assert fresh.status_code == 422


async def test_what_the_provider_said_beside_the_picture_is_kept(opening: Opening) -> None:
    class Talkative(Scripted):
        async def submit(self, call: Call) -> Answer | Submitted:
            answer = await super().submit(call)
            assert isinstance(answer, Answer)
            return replace(answer, metadata={"finish": "STOP"})

    async with opening(Talkative()) as world:
        job = await world.work_off((await world.generate()).json()["jobId"])
        assert job.provider_metadata == {"finish": "STOP"}
