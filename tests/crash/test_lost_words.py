"""Each message of a job's life to the database lost, in four ways: unheard, unanswered, in silence, with the whole process.

Every commit may be ambiguous; whatever is lost, the job ends, nothing is bought twice in silence, and the books agree.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from imagejobs.app.patience import until_back
from imagejobs.db.pool import Database, PoolOptions
from imagejobs.domain.jobs import Job, JobStatus, ResumeClass
from imagejobs.imaging import Decoder
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.proxy import Cut, Proxy, proxied
from tests.support.world import SOON, World, open_world

pytestmark = [pytest.mark.database, pytest.mark.timeout(400)]

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


IMPATIENT = PoolOptions(max_size=3, acquire_seconds=1.0, statement_seconds=0.5, silence_seconds=0.3)
ONE_OF_EACH = [(COMMIT, resume) for resume in ResumeClass] + [(ANY, ResumeClass.KEY)]


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER], ids=lambda cut: cut.value)
@pytest.mark.parametrize("word", [COMMIT, ANY], ids=["commits", "messages"])
@pytest.mark.parametrize("resume", list(ResumeClass), ids=lambda resume: resume.value)
async def test_d3_d4_no_lost_word_of_the_database_loses_or_doubles_anything(
    dsn: str, decoder: Decoder, tmp_path: Path, resume: ResumeClass, word: bytes, cut: Cut
) -> None:
    await every_message_lost(dsn, decoder, tmp_path, resume, (word, cut))


@pytest.mark.slow
@pytest.mark.parametrize(("word", "resume"), ONE_OF_EACH, ids=lambda part: getattr(part, "value", "") or str(part))
async def test_d5_no_silence_in_mid_sentence_does_either(
    dsn: str, decoder: Decoder, tmp_path: Path, word: bytes, resume: ResumeClass
) -> None:
    await every_message_lost(dsn, decoder, tmp_path, resume, (word, Cut.HANG))


async def every_message_lost(
    dsn: str, decoder: Decoder, tmp_path: Path, resume: ResumeClass, aim: tuple[bytes, Cut]
) -> None:
    """Make one job after the other, the nth with its nth message lost, until there is no nth; each is bought once."""
    provider, (word, cut) = Scripted(resume_class=resume), aim
    async with broken_line(dsn, decoder, tmp_path, provider) as (world, proxy, direct):
        nth = 1
        while await _one_job(world, proxy, direct, (word, nth, cut)):
            assert len(provider.bill) == nth
            assert await billed(direct) == nth * PRICE
            nth += 1
    assert 3 < nth < MOST


@asynccontextmanager
async def broken_line(
    dsn: str, decoder: Decoder, tmp_path: Path, provider: Scripted
) -> AsyncIterator[tuple[World, Proxy, Database]]:
    """An instance behind the proxy, and a way around it."""
    async with AsyncExitStack() as stack:
        direct = await Database.connect(dsn, PoolOptions(max_size=2))
        stack.push_async_callback(direct.close)
        proxy, through = await stack.enter_async_context(proxied(dsn))
        database = await Database.connect(through, IMPATIENT)
        stack.push_async_callback(database.close)
        opened = open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider})
        yield await stack.enter_async_context(opened), proxy, direct


@pytest.mark.slow
@pytest.mark.parametrize("resume", list(ResumeClass), ids=lambda resume: resume.value)
async def test_w1_to_w13_no_exit_at_a_message_to_the_database_loses_a_job_or_buys_in_silence(
    dsn: str, decoder: Decoder, tmp_path: Path, resume: ResumeClass
) -> None:
    """The process is gone together with its words, before the server hears them; another worker goes on."""
    provider = Scripted(resume_class=resume)
    async with broken_line(dsn, decoder, tmp_path, provider) as (world, proxy, direct):
        for nth in range(1, MOST):
            before = len(provider.bill)
            proxy.arm(ANY, nth, Cut.EXIT)
            life = asyncio.create_task(_submit_and_work(world, direct, f"job-{nth}"))
            proxy.on_exit = life.cancel
            await asyncio.wait([life])
            was_hit = proxy.seen >= nth
            proxy.arm(ANY, 0, Cut.AFTER)
            job = await _read(world, await _submit_and_work(world.twin(), direct, f"job-{nth}"))
            assert len(provider.bill) - before <= 1
            is_unknown = job.failure is not None and job.failure.reason == "outcome_unknown"
            assert job.status is JobStatus.COMPLETED or (is_unknown and resume is not ResumeClass.KEY), (nth, job.failure)
            assert await broken_invariants(direct) == {}, nth
            assert await billed(direct) >= len(provider.bill) * PRICE
            if not was_hit:
                break
    assert 10 < nth < MOST - 1


async def _submit_and_work(world: World, direct: Database, key: str) -> str:
    job_id = await submit_until_accepted(world, key)
    async with asyncio.timeout(SOON):
        await world.work_off_by(direct, job_id)
    return job_id


async def _read(world: World, job_id: str) -> Job:
    """The job, over the connections of the instance: they are impatient, and a machine that is busy for a second goes on."""
    return await until_back(world.deps, UUID(job_id), lambda: world.job(job_id))


async def _one_job(world: World, proxy: Proxy, direct: Database, aim: tuple[bytes, int, Cut]) -> bool:
    """Make one job with the connection cut at the nth message; False once there is no nth message."""
    proxy.arm(*aim)
    job_id = await _submit_and_work(world, direct, f"job-{aim[1]}")
    was_cut = proxy.seen >= aim[1]
    proxy.arm(ANY, 0, Cut.AFTER)
    job = await _read(world, job_id)
    assert job.status is JobStatus.COMPLETED, (aim, job.failure)
    assert await broken_invariants(direct) == {}, aim
    return was_cut
