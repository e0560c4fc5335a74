"""What the database may say while a paid call is in flight and that passes: that we may not enter, that a table changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from imagejobs.db.pool import Database, PoolOptions
from imagejobs.domain.jobs import JobStatus, ResumeClass
from imagejobs.domain.money import Cost
from imagejobs.imaging import Decoder
from imagejobs.ports import Answer
from imagejobs.spool import Spooled
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Thoughtful
from tests.support.proxy import proxied
from tests.support.world import SOON, World, open_world

pytestmark = [pytest.mark.database, pytest.mark.timeout(120)]


@asynccontextmanager
async def entering(dsn: str, decoder: Decoder, root: Path, provider: Thoughtful) -> AsyncIterator[World]:
    """An instance that has one connection, so that what a statement was prepared for is known."""
    async with AsyncExitStack() as stack:
        database = await Database.connect(dsn, PoolOptions(max_size=1, application_name="imagejobs of the test"))
        stack.push_async_callback(database.close)
        yield await stack.enter_async_context(open_world(dsn, database, decoder, root, providers={provider.name: provider}))


async def test_p4_a_migration_while_a_call_is_in_flight_loses_no_paid_picture(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> None:
    """As when a newer version migrates while workers of the older one still run."""
    provider = Thoughtful(resume_class=ResumeClass.NONE)
    async with entering(dsn, decoder, tmp_path / "files", provider) as world:
        provider.may_answer.set()
        await world.work_off((await world.generate()).json()["jobId"])
        provider.begin_anew()
        working = asyncio.create_task(world.work_off((await world.generate()).json()["jobId"]))
        await provider.is_asked.wait()
        async with database.connection() as connection:
            await connection.execute("ALTER TABLE imagejobs.attempts ADD COLUMN of_a_later_version integer")
        provider.may_answer.set()
        assert (await working).status is JobStatus.COMPLETED
    assert await billed(database) == 2 * PRICE
    assert await broken_invariants(database) == {}


@pytest.mark.parametrize("code", ["28P01", "3D000", "XX000"], ids=["password", "database", "pooler"])
async def test_p4_an_entry_that_is_refused_for_a_moment_loses_no_paid_picture(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    """As when a password is changed in two steps, or a hosted database restarts behind its pooler."""
    provider = Thoughtful(resume_class=ResumeClass.NONE)
    async with proxied(dsn) as (proxy, through), entering(through, decoder, tmp_path / "files", provider) as world:
        working = asyncio.create_task(world.work_off((await world.generate()).json()["jobId"]))
        await provider.is_asked.wait()
        proxy.refusal = code
        async with database.connection() as admin:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'imagejobs of the test'"
            )
        provider.may_answer.set()
        async with asyncio.timeout(SOON):
            while caplog.messages.count("stage.database_away") < 3:  # the first may be the connection that was cut
                await asyncio.sleep(0.01)
        proxy.refusal = ""
        assert (await working).status is JobStatus.COMPLETED
    assert await billed(database) == PRICE
    assert await broken_invariants(database) == {}


async def test_p4_a_spooled_answer_that_cannot_be_staged_keeps_no_worker_from_starting(
    dsn: str, decoder: Decoder, tmp_path: Path
) -> None:
    """The database takes no NUL in what a provider said of its picture; the file stays for a person to look at."""
    provider = Thoughtful(resume_class=ResumeClass.KEY)
    async with entering(dsn, decoder, tmp_path / "files", provider) as world:
        job_id = (await world.generate()).json()["jobId"]
        dying = asyncio.create_task(world.work_off(job_id))
        await provider.is_asked.wait()
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        attempt_id = await world.scalar("SELECT id FROM imagejobs.attempts")
        cost = Cost(micros=PRICE, price_version="1", estimated=False)
        answer = Answer(data=provider.data, media_type="image/png", cost=cost, metadata={"said": "\0"})
        spooled = Spooled(attempt_id=attempt_id, job_id=UUID(job_id), reservation_no=1, answer=answer)
        world.deps.spool.keep(spooled)
        provider.may_answer.set()
        async with world.working():
            assert (await world.finished((await world.generate()).json()["jobId"]))["status"] == "completed"
        assert list(world.deps.spool.waiting()) == [spooled]
