"""A9: what is known not to work is not tried by every job; one probe at a time finds out, whoever else asks."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagejobs.app.circuits import FAILURES_TO_OPEN
from imagejobs.bootstrap import key_fingerprints
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import Job, JobStatus
from imagejobs.errors import (
    ContentRefused,
    OutcomeUnknown,
    ProviderCreditExhausted,
    ProviderError,
    ProviderFailed,
    ProviderKeyRejected,
    ProviderOverloaded,
    ProviderRejected,
    ProviderThrottled,
    ProviderUnreachable,
)
from imagejobs.imaging import Decoder
from imagejobs.settings import Settings
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.world import World, open_world

pytestmark = pytest.mark.database

Shop = tuple[World, Scripted]
BAD_KEY = ProviderKeyRejected("No such key.")


@pytest.fixture
async def shop(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> AsyncIterator[Shop]:
    provider = Scripted()
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        yield under_key(world, "first"), provider
        assert await broken_invariants(database) == {}
        assert await billed(database) == sum(provider.bill.values())


def under_key(world: World, fingerprint: str) -> World:
    return replace(world, deps=replace(world.deps, key_fingerprints={"scripted": fingerprint}))


async def a_job(world: World, **body: object) -> Job:
    return await world.job((await world.generate(**body)).json()["jobId"])


async def an_end(world: World) -> Job:
    """A new job, worked off."""
    return await world.work_off((await a_job(world)).id)


async def let_time_pass(world: World, seconds: int = 61) -> None:
    await world.scalar("UPDATE imagejobs.provider_state SET probe_at = probe_at - make_interval(secs => $1)", seconds)


def reason_of(job: Job) -> str | None:
    return job.failure.reason if job.failure else None


@pytest.mark.parametrize("error", [BAD_KEY, ProviderCreditExhausted("Nothing left.")])
async def test_a9_a_bad_account_is_found_out_once_and_then_fails_every_job_without_a_call(
    shop: Shop, error: ProviderError
) -> None:
    world, provider = shop
    provider.errors.append(error)
    found, *later = [await an_end(world) for _ in range(4)]
    assert len(provider.sends) == 1
    for job in (found, *later):
        assert job.failure is not None
        assert (job.failure.code, job.failure.reason, job.failure.billed) == (error.code, error.reason, "no")
        assert not job.failure.retryable
        assert job.retries_used == 0
    assert all("nothing was sent" in job.failure.message for job in later if job.failure)


async def test_a9_a_probe_that_fails_keeps_it_open_and_one_that_succeeds_closes_it(shop: Shop) -> None:
    world, provider = shop
    provider.errors.extend([BAD_KEY, BAD_KEY])
    await an_end(world)
    await let_time_pass(world)
    assert [reason_of(await an_end(world)) for _ in range(2)] == [BAD_KEY.reason] * 2
    assert len(provider.sends) == 2
    await let_time_pass(world, 45)  # of the minute; the jobs here may take the rest, on a busy machine
    assert reason_of(await an_end(world)) == BAD_KEY.reason
    await let_time_pass(world, 15)
    assert [(await an_end(world)).status for _ in range(3)] == [JobStatus.COMPLETED] * 3
    assert len(provider.sends) == 5


async def test_a9_of_many_workers_one_makes_the_probe(shop: Shop) -> None:
    world, provider = shop
    provider.errors.extend([BAD_KEY] * 20)
    await an_end(world)
    await let_time_pass(world)
    waiting = [await a_job(world) for _ in range(8)]
    await asyncio.gather(*(world.twin().run(job) for job in waiting))
    assert len(provider.sends) == 2
    assert {reason_of(await world.job(job.id)) for job in waiting} == {BAD_KEY.reason}


async def test_a9_two_workers_at_the_intent_commit_share_one_probe(shop: Shop) -> None:
    world, provider = shop
    provider.errors.extend([BAD_KEY] * 20)
    await an_end(world)
    await let_time_pass(world)
    one, other = world.twin(), world.twin()
    one.probe.hold("budget.after_reserve")  # the probe is taken, and not yet committed
    first, second = [await a_job(world) for _ in range(2)]
    ahead = asyncio.create_task(one.run(first))
    await one.probe.reached["budget.after_reserve"].wait()
    behind = asyncio.create_task(other.run(second))
    waits = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%provider_state%'"
    )
    while not await world.scalar(waits):
        await asyncio.sleep(0.005)
    one.probe.let_go("budget.after_reserve")
    await asyncio.gather(ahead, behind)
    assert len(provider.sends) == 2
    assert "nothing was sent" in str((await world.job(second.id)).failure)


async def test_a9_another_key_starts_closed(shop: Shop) -> None:
    world, provider = shop
    provider.errors.append(BAD_KEY)
    await an_end(world)
    assert reason_of(await an_end(world)) == BAD_KEY.reason
    assert (await an_end(under_key(world, "second"))).status is JobStatus.COMPLETED


async def test_a9_a_probe_refused_for_its_prompt_shows_that_the_key_works(shop: Shop) -> None:
    world, provider = shop
    provider.errors.extend([BAD_KEY, ContentRefused("Not that.")])
    await an_end(world)
    await let_time_pass(world)
    assert reason_of(await an_end(world)) == "content_refused"
    assert (await an_end(world)).status is JobStatus.COMPLETED


@pytest.mark.parametrize("error", [ProviderUnreachable("No route."), ProviderOverloaded("Full.")])
async def test_an_outage_sends_jobs_back_to_the_queue_until_a_probe_succeeds(shop: Shop, error: ProviderError) -> None:
    world, provider = shop
    provider.errors.extend([error] * FAILURES_TO_OPEN)
    for _ in range(FAILURES_TO_OPEN):
        await world.run(await a_job(world))
    waiting = [await a_job(world) for _ in range(2)]
    for job in waiting:
        await world.run(job)
        held = await world.job(job.id)
        assert (held.status, held.retries_used) == (JobStatus.QUEUED, 0)
        last = (await world.events(job.id))[-1]
        assert last["data"]["reason"] == "provider_paused"
        assert f"{FAILURES_TO_OPEN} times in a row" in last["data"]["message"]
        assert 1 <= last["data"]["retryInSeconds"] <= 15
    assert len(provider.sends) == FAILURES_TO_OPEN
    await let_time_pass(world, 11)
    await world.scalar("UPDATE public.image_generation_jobs SET scheduled_at = now()")
    for job in waiting:
        assert (await world.work_off(job.id)).status is JobStatus.COMPLETED


async def test_a_job_that_an_outage_outlives_fails_saying_so(shop: Shop) -> None:
    world, provider = shop
    provider.errors.extend([ProviderUnreachable("No route.")] * FAILURES_TO_OPEN)
    for _ in range(FAILURES_TO_OPEN):
        await world.run(await a_job(world))
    job = await a_job(world, deadlineSeconds=5)
    await world.run(job)
    assert reason_of(await world.job(job.id)) == "provider_paused"


async def test_failures_count_in_a_row_only(shop: Shop) -> None:
    world, provider = shop
    away = ProviderUnreachable("No route.")
    provider.errors.extend([*[away] * (FAILURES_TO_OPEN - 1), None, away, away])
    for _ in range(FAILURES_TO_OPEN + 2):
        await world.run(await a_job(world))
    assert (await an_end(world)).status is JobStatus.COMPLETED
    assert await world.scalar("SELECT circuit_reason FROM imagejobs.provider_state") is None


@pytest.mark.parametrize(
    "error", [ProviderRejected("No."), ProviderFailed("Oops."), ProviderThrottled("Wait.", 1.0), OutcomeUnknown("Lost.")]
)
async def test_what_says_nothing_of_the_account_opens_nothing(shop: Shop, error: ProviderError) -> None:
    world, provider = shop
    provider.errors.extend([error] * (FAILURES_TO_OPEN + 1))
    for _ in range(FAILURES_TO_OPEN + 1):
        await world.run(await a_job(world))
    assert len(provider.sends) == FAILURES_TO_OPEN + 1
    provider.bill = dict.fromkeys(provider.sends, PRICE) if isinstance(error, OutcomeUnknown) else {}
    assert await world.scalar("SELECT count(*) FROM imagejobs.provider_state") == 0


async def test_a9_what_sketch_rehearses_opens_nothing(world: World) -> None:
    assert reason_of(await world.work_off((await a_job(world, prompt="[auth]")).id)) == BAD_KEY.reason
    assert (await an_end(world)).status is JobStatus.COMPLETED


def test_a_fingerprint_tells_keys_and_addresses_apart_and_tells_no_key() -> None:
    def of(**found: str) -> str | None:
        return key_fingerprints(Settings(provider_settings={"brush": found}), ["brush"]).get("brush")

    made = [of(api_key="s3cret"), of(api_key="other"), of(api_key="s3cret", base_url="http://x")]
    assert len(set(made)) == 3
    assert made[0] == of(api_key="s3cret")
    assert all(one and "s3cret" not in one for one in made)
    assert of(base_url="http://x") is None
