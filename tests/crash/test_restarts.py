"""PostgreSQL stopped at once and started again under load, as a machine that loses its power and comes back."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from imagejobs.db.migrate import migrate
from imagejobs.db.pool import Database, PoolOptions
from imagejobs.domain.jobs import ResumeClass
from imagejobs.engine.pgq import install
from imagejobs.imaging import Decoder
from tests.conftest import free_port
from tests.support.databases import DebianServer, debian_binaries, debian_server
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.world import HastyClock, World, open_world

needs_debian = pytest.mark.skipif(debian_binaries() is None, reason="Debian's PostgreSQL is not installed")
pytestmark = [needs_debian, pytest.mark.timeout(300)]

CLIENTS, EACH, RESTARTS = 4, 15, 3


@pytest.fixture
async def server() -> AsyncIterator[DebianServer]:
    with debian_server(free_port()) as running:
        connection = await asyncpg.connect(running.dsn)
        await migrate(connection, install)
        await connection.close()
        yield running


async def client(world: World, number: int, acknowledged: set[str]) -> None:
    """Make jobs one after the other, each under its key until it is accepted."""
    for turn in range(EACH):
        while True:
            answer = await world.generate(idempotencyKey=f"{number}-{turn}")
            if answer.status_code in (200, 202):
                acknowledged.add(answer.json()["jobId"])
                break
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.02)


async def restart_now_and_then(server: DebianServer, acknowledged: set[str]) -> None:
    """Stop the server at once each time some more jobs were accepted, and start it again."""
    for restart in range(1, RESTARTS + 1):
        while len(acknowledged) < restart * CLIENTS * EACH // (RESTARTS + 1):
            await asyncio.sleep(0.005)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)


@pytest.mark.parametrize("resume", list(ResumeClass), ids=lambda resume: resume.value)
async def test_p1_d1_what_was_acknowledged_is_there_and_bought_once(
    server: DebianServer, decoder: Decoder, tmp_path: Path, resume: ResumeClass
) -> None:
    provider = Scripted(resume_class=resume)
    acknowledged: set[str] = set()
    database = await Database.connect(server.dsn, PoolOptions(max_size=12))
    async with open_world(server.dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        async with world.working():
            await asyncio.gather(
                *(client(world, number, acknowledged) for number in range(CLIENTS)),
                restart_now_and_then(server, acknowledged),
            )
            states = {(await world.finished(job_id, 120.0))["status"] for job_id in acknowledged}
        assert len(acknowledged) == CLIENTS * EACH
        assert states == {"completed"}
        assert await broken_invariants(database) == {}
        assert len(provider.bill) == len(acknowledged)
        assert await billed(database) == len(acknowledged) * PRICE
    await database.close()


class Pauses(HastyClock):
    """Says when somebody has paused twice."""

    def __init__(self) -> None:
        self.pauses = 0
        self.paused_twice = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.pauses += 1
        if self.pauses == 2:
            self.paused_twice.set()
        await super().sleep(seconds)


async def test_d6_a_server_that_became_read_only_takes_nothing_and_loses_nothing(
    server: DebianServer, decoder: Decoder, tmp_path: Path
) -> None:
    """As after a failover that left us on the old primary: 503 and no purchase, then everything goes on."""
    provider = Scripted()
    database = await Database.connect(server.dsn, PoolOptions(max_size=4))
    async with open_world(server.dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        before = (await world.generate()).json()["jobId"]
        job = await world.job(before)
        await turn(server, "on")
        refused = await world.generate(idempotencyKey="k")
        assert (refused.status_code, refused.json()["reason"]) == (503, "database_unavailable")
        clock = Pauses()
        late = asyncio.create_task(replace(world, deps=replace(world.deps, clock=clock)).run(job))
        async with asyncio.timeout(30):
            await clock.paused_twice.wait()
        assert provider.sends == []
        await turn(server, "off")
        await late
        assert (await world.job(before)).status == "completed"
        accepted = await world.generate(idempotencyKey="k")
        assert accepted.status_code == 202
        assert await broken_invariants(database) == {}
    await database.close()


async def turn(server: DebianServer, state: str) -> None:
    """Switch the whole server to read-only, or back, and end every session that does not know yet."""
    admin = await asyncpg.connect(server.dsn, server_settings={"default_transaction_read_only": "off"})
    await admin.execute(f"ALTER SYSTEM SET default_transaction_read_only = '{state}'")
    await admin.execute("SELECT pg_reload_conf()")
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
    )
    await admin.close()
