"""The disk under PostgreSQL full in the midst of work: nothing is bought that cannot be written down, nothing is lost."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from subprocess import CalledProcessError

import asyncpg
import pytest

from imagejobs.db.migrate import migrate
from imagejobs.db.pool import Database, PoolOptions
from imagejobs.engine.pgq import install
from imagejobs.imaging import Decoder
from tests.conftest import free_port
from tests.support.databases import DebianServer, debian_binaries, debian_server, small_disk
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted, a_png
from tests.support.world import World, open_world

pytestmark = [
    pytest.mark.skipif(debian_binaries() is None, reason="Debian's PostgreSQL is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk"),
    pytest.mark.timeout(180),
]

MEGABYTES = 96


@pytest.fixture
async def server() -> AsyncIterator[DebianServer]:
    with small_disk(MEGABYTES) as disk, debian_server(free_port(), disk) as running:
        connection = await asyncpg.connect(running.dsn)
        await migrate(connection, install)
        await connection.close()
        yield running


async def until_refused(world: World, acknowledged: dict[str, str]) -> str:
    """Go on ordering, while the disk fills up, until the service says that it is full; the key that it said so to."""
    number = len(acknowledged)
    while True:
        answer = await world.generate(idempotencyKey=f"{number}")
        if answer.status_code == 503:
            assert answer.json()["reason"] == "database_unavailable"
            return str(number)
        assert answer.status_code == 202
        acknowledged[str(number)] = answer.json()["jobId"]
        number += 1


async def test_d9_a_full_disk_refuses_new_jobs_buys_nothing_unwritten_and_comes_back(
    server: DebianServer, decoder: Decoder, tmp_path: Path
) -> None:
    provider = Scripted(data=a_png(edge=256))
    acknowledged: dict[str, str] = {}
    database = await Database.connect(server.dsn, PoolOptions(max_size=6))
    async with open_world(server.dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        async with world.working():
            first = await world.generate(idempotencyKey="before")
            acknowledged["before"] = first.json()["jobId"]
            await world.finished(acknowledged["before"])
            ballast = fill(server.data.parent / "ballast")
            refused = await until_refused(world, acknowledged)
            acknowledged |= await asked_in_vain(world)
            ballast.unlink()
            await asyncio.to_thread(start_again, server)
            for key in (refused, "during"):
                taken = await ordered_at_last(world, key)
                assert acknowledged.setdefault(key, taken) == taken
            states = {(await world.finished(job_id, 60.0))["status"] for job_id in acknowledged.values()}
        assert states == {"completed"}
        assert len(provider.bill) == len(acknowledged)
        assert await billed(database) == len(acknowledged) * PRICE
        assert await broken_invariants(database) == {}
    await database.close()


async def asked_in_vain(world: World) -> dict[str, str]:
    """Go on asking for one job more; what is taken all the same."""
    answers = [await world.generate(idempotencyKey="during") for _ in range(20)]
    assert {answer.status_code for answer in answers} <= {200, 202, 503}
    taken = [answer.json()["jobId"] for answer in answers if answer.status_code != 503]
    assert len(set(taken)) <= 1
    return {"during": job_id for job_id in taken[:1]}  # noqa: B035 - none or one


async def ordered_at_last(world: World, key: str) -> str:
    """The same request until it is taken, as a client does: the refused one may have been written down after all."""
    while (answer := await world.generate(idempotencyKey=key)).status_code == 503:
        pass
    assert answer.status_code in (200, 202)
    job_id: str = answer.json()["jobId"]
    return job_id


def fill(path: Path) -> Path:
    """Take all the room that is left, but for a little; or all of it, where PostgreSQL takes of it meanwhile."""
    room = os.statvfs(path.parent)
    with path.open("wb", buffering=0) as file:
        file.write(b"\0" * (room.f_bavail * room.f_frsize - 600_000))
    return path


def start_again(server: DebianServer) -> None:
    """PostgreSQL ends itself when it cannot write its log (WAL); its supervisor would start it again, as this does."""
    with suppress(CalledProcessError):
        server.stop()
    server.start()
