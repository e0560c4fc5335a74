"""A connection to the database reset at each message of a job's life, before the server heard it and after it answered.

Every commit may be ambiguous; whatever is lost, the job ends, nothing is bought twice in silence, and the books agree.
"""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from imagejobs.db.pool import Database, PoolOptions
from imagejobs.domain.jobs import JobStatus, ResumeClass
from imagejobs.imaging import Decoder
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.proxy import Cut, Proxy, proxied
from tests.support.world import SOON, World, open_world

pytestmark = [pytest.mark.database, pytest.mark.timeout(180)]

ANY, COMMIT = b"", b"COMMIT"
MOST = 80


async def submit_until_accepted(world: World, key: str) -> str:
    """As a client does: the same key again after a 503."""
    async with asyncio.timeout(SOON):
        while True:
            answer = await world.generate(idempotencyKey=key)
            if answer.status_code in (200, 202):
                job_id: str = answer.json()["jobId"]
                return job_id
            assert (answer.status_code, answer.json()["code"]) == (503, "TEMPORARY")
            assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("cut", list(Cut), ids=lambda cut: cut.value)
@pytest.mark.parametrize("word", [COMMIT, ANY], ids=["commits", "messages"])
@pytest.mark.parametrize("resume", list(ResumeClass), ids=lambda resume: resume.value)
async def test_d3_d4_no_lost_word_of_the_database_loses_or_doubles_anything(
    dsn: str, decoder: Decoder, tmp_path: Path, resume: ResumeClass, word: bytes, cut: Cut
) -> None:
    provider = Scripted(resume_class=resume)
    async with AsyncExitStack() as stack:
        direct = await Database.connect(dsn, PoolOptions(max_size=2))
        stack.push_async_callback(direct.close)
        proxy, through = await stack.enter_async_context(proxied(dsn))
        database = await Database.connect(through, PoolOptions(max_size=3))
        stack.push_async_callback(database.close)
        opened = open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider})
        world = await stack.enter_async_context(opened)
        nth = 1
        while await _one_job(world, proxy, direct, (word, nth, cut)):
            assert len(provider.bill) == nth
            assert await billed(direct) == nth * PRICE
            nth += 1
    assert 3 < nth < MOST


async def _one_job(world: World, proxy: Proxy, direct: Database, aim: tuple[bytes, int, Cut]) -> bool:
    """Make one job with the connection cut at the nth message; False once there is no nth message."""
    proxy.arm(*aim)
    job_id = await submit_until_accepted(world, f"job-{aim[1]}")
    async with asyncio.timeout(SOON):
        await world.work_off_by(direct, job_id)
    was_cut = proxy.seen >= aim[1]
    proxy.arm(ANY, 0, Cut.AFTER)
    job = await world.job(job_id)
    assert job.status is JobStatus.COMPLETED, (aim, job.failure)
    assert await broken_invariants(direct) == {}, aim
    return was_cut
