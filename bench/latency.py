"""Latency on an idle instance: accepted → provider called, answered → completed; real database, engine, decoder and disk."""

import asyncio
import io
import os
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncpg
from PIL import Image

from bench.report import Claim, report
from imagejobs import embedded
from imagejobs.app.deps import Policy
from imagejobs.db.migrate import migrate
from imagejobs.db.pool import Database, PoolOptions
from imagejobs.engine.pgq import install
from imagejobs.imaging import Decoder
from imagejobs.ports import Answer, Call, Submitted
from tests.support.providers import Scripted
from tests.support.world import StopPoints, World, open_world


@dataclass
class Timed(Scripted):
    """Notes when it was called and when it had answered."""

    called: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)

    async def submit(self, call: Call) -> Answer | Submitted:
        self.called.append(time.perf_counter())
        answer = await super().submit(call)
        self.answered.append(time.perf_counter())
        return answer


def noise(edge: int = 720) -> bytes:
    """A PNG of about 1.5 MB, for noise does not compress."""
    out = io.BytesIO()
    Image.frombytes("RGB", (edge, edge), os.urandom(edge * edge * 3)).save(out, "PNG")
    return out.getvalue()


@dataclass
class TimedPoints(StopPoints):
    """Notes when each point was passed."""

    times: dict[str, list[float]] = field(default_factory=dict)

    async def __call__(self, point: str) -> None:
        self.times.setdefault(point, []).append(time.perf_counter())


async def staging(world: World, provider: Timed, jobs: int) -> list[float]:
    """Milliseconds from the last byte in hand to the commit that keeps it, for pictures of 4 MB."""
    provider.data = noise(1180)
    points = TimedPoints()
    timed = replace(world, deps=replace(world.deps, probe=points))
    for _ in range(jobs):
        await timed.work_off((await world.generate()).json()["jobId"])
    pairs = zip(points.times["stage.before_commit"], points.times["stage.after_commit"], strict=True)
    return sorted(1000 * (after - before) for before, after in pairs)


async def one_by_one(world: World, provider: Timed, jobs: int) -> tuple[list[float], list[float]]:
    """Waits of each job in milliseconds: until the provider was called, and from its answer to the end."""
    called, completed = [], []
    for _ in range(jobs):
        job_id = (await world.generate()).json()["jobId"]
        accepted = time.perf_counter()
        while not await world.scalar("SELECT completed_at IS NOT NULL FROM image_generation_jobs WHERE id = $1", job_id):
            await asyncio.sleep(0.002)
        completed.append(1000 * (time.perf_counter() - provider.answered[-1]))
        called.append(1000 * (provider.called[-1] - accepted))
        await asyncio.sleep(0.15)  # the engine flushes a finished message after 0.1 s; idle means after that
    return called, completed


async def run(jobs: int) -> list[Claim]:
    """The claims, measured over `jobs` jobs, one after the other."""
    async with AsyncExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imagejobs-bench-")))
        root.chmod(0o755)
        (root / "data").mkdir(mode=0o755)
        server = embedded.start(root / "data", system_dir=root / "system")
        stack.callback(server.release)
        connection = await asyncpg.connect(server.dsn)
        await migrate(connection, install)
        await connection.close()
        database = await Database.connect(server.dsn, PoolOptions(max_size=12))
        stack.push_async_callback(database.close)
        decoder = Decoder()
        await decoder.start()
        stack.push_async_callback(decoder.stop)
        provider = Timed(data=noise())
        opened = open_world(
            *(server.dsn, database, decoder, root / "files"),
            providers={"scripted": provider},
            policy=Policy(default_provider="scripted"),
            heartbeat_seconds=10.0,
            dequeue_seconds=5.0,
        )
        world = await stack.enter_async_context(opened)
        async with world.working():
            await one_by_one(world, provider, 3)
            called, completed = await one_by_one(world, provider, jobs)
            cpu = await idle_cpu(5.0)
        small = len(provider.data)
        waits = await staging(world, provider, jobs)
    return [
        Claim(
            f"last byte to staging commit, {len(provider.data) / 1e6:.1f} MB, p99", waits[-1 - jobs // 100], "ms", most=250
        ),
        Claim("idle: accepted to provider called, p50", statistics.median(called), "ms", most=20),
        Claim("idle: accepted to provider called, worst", max(called), "ms"),
        Claim(f"answered to completed, {small / 1e6:.1f} MB, p50", statistics.median(completed), "ms", most=100),
        Claim("idle worker (with its API), share of a core", cpu, "%", most=1.0),
    ]


async def idle_cpu(seconds: float) -> float:
    """What this process uses of a core while nothing is to be done, in percent."""
    before = time.process_time()
    await asyncio.sleep(seconds)
    return 100 * (time.process_time() - before) / seconds


if __name__ == "__main__":
    sys.exit(report(asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 40))))
