"""At most so many pictures are in a worker's memory at once; those that wait for room lose no time of their call."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus
from imagejobs.imaging import Decoder
from imagejobs.ports import ProviderConfig
from imagejobs.providers import fake as adapter
from imagejobs.providers.fake_server import Options, Terms, running
from tests.support.sockets import until
from tests.support.world import SOON, World, open_world

pytestmark = pytest.mark.database

CALL_SECONDS = 30.0


@pytest.fixture
async def narrow(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> AsyncIterator[World]:
    """A worker with room for one picture, and calls that may take half a minute."""
    async with running(Options(port=0, terms=Terms(image_bytes=500_000))) as fake:
        config = ProviderConfig(api_key="any", base_url=fake.url, timeout_seconds=CALL_SECONDS)
        provider = adapter.provider(config)
        assert provider is not None
        async with open_world(dsn, database, decoder, tmp_path / "files", providers={"fake": provider}) as world:
            yield replace(world, deps=replace(world.deps, places=asyncio.Semaphore(1)))
        await provider.close()


@pytest.mark.parametrize("model", ["key", "none", "lookup"])
async def test_a_second_picture_waits_outside_until_the_first_is_stored(
    narrow: World, model: str, put_forward: Callable[[float], None]
) -> None:
    first, second = [(await narrow.generate(model=f"fake:{model}")).json()["jobId"] for _ in range(2)]
    narrow.probe.hold("stage.before_commit")
    tasks = [asyncio.create_task(narrow.run(await narrow.job(job_id))) for job_id in (first, second)]
    async with asyncio.timeout(SOON):
        await narrow.probe.reached["stage.before_commit"].wait()
        await until(lambda: narrow.deps.places._waiters is not None and len(narrow.deps.places._waiters) == 1)
    put_forward(1.2 * CALL_SECONDS)  # which must not count against the other
    async with asyncio.timeout(SOON):
        assert narrow.probe.seen.count("stage.before_commit") == 1
        narrow.probe.let_go("stage.before_commit")
        await asyncio.gather(*tasks)
    for job_id in (first, second):
        job = await narrow.job(job_id)
        assert (job.status, job.attempt_count) == (JobStatus.COMPLETED, 1)
