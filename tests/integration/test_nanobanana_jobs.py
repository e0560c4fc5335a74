"""Jobs that buy from a service with the generic contract, over real HTTP; its own bill against our books."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus
from imagejobs.imaging import Decoder
from tests.support.invariants import billed, broken_invariants
from tests.support.nanobanana_server import API_KEY, MICROS, NanoBananaServer, an_adapter
from tests.support.world import SOON, World, open_world

pytestmark = pytest.mark.database


@pytest.fixture
async def service() -> AsyncIterator[tuple[NanoBananaServer, str]]:
    server = NanoBananaServer()
    yield server, server.start()
    server.stop()


@pytest.fixture
async def shop(
    service: tuple[NanoBananaServer, str], dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> AsyncIterator[tuple[World, NanoBananaServer]]:
    async with buying(service[1], API_KEY, (dsn, database, decoder, tmp_path)) as world:
        yield world, service[0]
        assert await broken_invariants(database) == {}


@asynccontextmanager
async def buying(url: str, api_key: str, where: tuple[str, Database, Decoder, Path]) -> AsyncIterator[World]:
    adapter = an_adapter(url, api_key)
    async with open_world(*where, providers={"nanobanana": adapter}) as world:
        yield replace(world, deps=replace(world.deps, key_fingerprints={"nanobanana": "one"}))
    await adapter.close()


@pytest.mark.parametrize("form", ["base64", "link", "job", "muddled", "muddled link"])
async def test_d1_a_job_becomes_a_picture_and_its_cost_is_the_services_own(
    shop: tuple[World, NanoBananaServer], form: str
) -> None:
    world, server = shop
    job = await world.work_off((await world.generate(prompt=form)).json()["jobId"])
    assert job.status is JobStatus.COMPLETED
    assert len(server.bill) == 1
    assert await billed(world.deps.database) == MICROS


@pytest.mark.parametrize("point", ["async.after_id_commit", "async.between_polls"])
@pytest.mark.parametrize("form", ["link", "job"])
async def test_p3_p23_another_worker_fetches_what_a_lost_one_bought(
    shop: tuple[World, NanoBananaServer], form: str, point: str
) -> None:
    world, server = shop
    job_id = (await world.generate(prompt=form)).json()["jobId"]
    world.probe.hold(point)
    lost = asyncio.create_task(world.run(await world.job(job_id)))
    async with asyncio.timeout(SOON):
        await world.probe.reached[point].wait()
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)
    job = await world.job(job_id)
    await world.twin().run(job)
    assert (await world.job(job_id)).status is JobStatus.COMPLETED
    assert len(server.bill) == 1
    assert await billed(world.deps.database) == MICROS


async def test_a9_d1_a_placeholder_for_a_key_fails_jobs_gracefully_and_is_sent_once(
    service: tuple[NanoBananaServer, str], dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> None:
    server, url = service
    async with buying(url, "your-nano-banana-api-key", (dsn, database, decoder, tmp_path)) as world:
        for _ in range(3):
            job = await world.work_off((await world.generate()).json()["jobId"])
            assert job.failure is not None
            assert (job.failure.code, job.failure.billed, job.retries_used) == ("AUTH_ERROR", "no", 0)
            assert "your-nano" not in job.failure.message
    assert len(server.asked) == 1
    assert server.bill == []
