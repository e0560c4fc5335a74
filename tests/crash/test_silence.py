"""A database that says nothing: connections that became black holes, all at once, while jobs are in hand; and a slow one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagejobs.db.pool import Database, PoolOptions
from imagejobs.domain.jobs import ResumeClass
from imagejobs.imaging import Decoder
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Thoughtful
from tests.support.proxy import Proxy, proxied
from tests.support.world import World, open_world

pytestmark = [pytest.mark.database, pytest.mark.timeout(120)]

IMPATIENT = PoolOptions(max_size=6, acquire_seconds=1.0, statement_seconds=1.0, silence_seconds=0.5)
LONGEST_SECONDS = 30.0  # D5: what a black hole holds is free again within half a minute
patient = pytest.mark.parametrize("behind", [PoolOptions(max_size=6)], indirect=True, ids=["patient"])


@dataclass
class Behind:
    """An instance behind the proxy, and a way around it."""

    world: World
    proxy: Proxy
    provider: Thoughtful
    direct: Database


@pytest.fixture
async def behind(request: pytest.FixtureRequest, dsn: str, decoder: Decoder, tmp_path: Path) -> AsyncIterator[Behind]:
    provider = Thoughtful(resume_class=ResumeClass.NONE)
    async with AsyncExitStack() as stack:
        direct = await Database.connect(dsn, PoolOptions(max_size=2))
        stack.push_async_callback(direct.close)
        proxy, through = await stack.enter_async_context(proxied(dsn))
        database = await Database.connect(through, getattr(request, "param", IMPATIENT))
        stack.push_async_callback(database.close)
        opened = open_world(through, database, decoder, tmp_path / "files", providers={"scripted": provider})
        world = await stack.enter_async_context(opened)
        yield Behind(world=world, proxy=proxy, provider=provider, direct=direct)


async def test_d5_a_worker_whose_every_connection_became_a_black_hole_goes_on_by_itself(behind: Behind) -> None:
    """A paid call of class *none* is in flight meanwhile: its picture is kept, and it is bought once."""
    world, provider = behind.world, behind.provider
    async with world.working():
        first = await accepted(world, "first")
        await provider.is_asked.wait()
        began = time.monotonic()
        assert behind.proxy.swallow() >= 3
        provider.may_answer.set()
        second = await accepted(world, "second")
        states = {(await world.finished(job_id, LONGEST_SECONDS))["status"] for job_id in (first, second)}
        assert time.monotonic() - began < LONGEST_SECONDS
    assert states == {"completed"}
    assert len(provider.bill) == 2
    assert await billed(behind.direct) == 2 * PRICE
    assert await broken_invariants(behind.direct) == {}


@patient
async def test_d1_d6_a_session_whose_last_words_came_before_its_end_is_away_and_no_fault_of_ours(behind: Behind) -> None:
    """The server says why it ends a session, then closes it: whoever asks in between is told to come again."""
    behind.proxy.hides_ends = True
    async with behind.direct.connection() as admin:
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    async with asyncio.timeout(LONGEST_SECONDS):
        await behind.proxy.ends.wait()
    await asyncio.sleep(0)  # its words lie in our socket; this turn of the loop reads them
    await asyncio.sleep(0)
    answer = await behind.world.generate()
    assert (answer.status_code, answer.json()["reason"]) == (503, "database_unavailable")
    assert (await behind.world.generate()).status_code == 202


async def accepted(world: World, key: str) -> str:
    """As a client does: the same key again after a 503, which may be the only other answer."""
    while True:
        answer = await world.generate(idempotencyKey=key)
        if answer.status_code in (200, 202):
            job_id: str = answer.json()["jobId"]
            return job_id
        assert (answer.status_code, answer.json()["reason"]) == (503, "database_unavailable")
        assert int(answer.headers["retry-after"]) >= 1


@patient
async def test_d12_a_slow_database_slows_everything_and_loses_nothing(behind: Behind) -> None:
    world, provider = behind.world, behind.provider
    provider.may_answer.set()
    behind.proxy.delay_seconds = 0.1
    async with world.working():
        jobs = await asyncio.gather(*(accepted(world, str(number)) for number in range(3)))
        states = {(await world.finished(job_id, 3 * LONGEST_SECONDS))["status"] for job_id in jobs}
        behind.proxy.delay_seconds = 0.0
    assert states == {"completed"}
    assert len(provider.bill) == len(jobs)
    assert await broken_invariants(behind.direct) == {}
