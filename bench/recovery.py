"""How long a killed worker's job lies until another has it: as on another machine, and as its neighbor on the same one."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from bench.report import Claim, report
from imagejobs import embedded
from imagejobs.app.keys import create_key
from imagejobs.db.migrate import migrate
from imagejobs.db.pool import Database, PoolOptions
from imagejobs.engine.pgq import install
from imagejobs.imaging import Decoder
from imagejobs.ports import ProviderConfig
from imagejobs.providers import fake as adapter
from imagejobs.providers.fake_server import Options, Terms, running
from tests.support.world import World, open_world

HEARTBEAT, DEQUEUE = 10.0, 5.0


@dataclass
class Crew:
    """Two workers of one instance, as processes of their own."""

    world: World
    environment: dict[str, str]

    async def start(self) -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "imagejobs", "worker"),
            env=self.environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await self.until("SELECT EXISTS (SELECT FROM imagejobs.workers WHERE pid = $1)", child.pid)
        return child

    async def until(self, question: str, *values: object) -> None:
        while not await self.world.scalar(question, *values):
            await asyncio.sleep(0.01)

    async def recovery(self, *, forget: bool) -> float:
        """Seconds from the kill until the other worker has claimed the job; `forget` hides that both share a machine."""
        doomed = await self.start()
        job_id = (await self.world.generate(model="fake:key")).json()["jobId"]
        fence = "SELECT EXISTS (SELECT FROM image_generation_jobs WHERE id = $1 AND fence >= $2)"
        await self.until(fence, job_id, 1)
        other = await self.start()
        await asyncio.sleep(HEARTBEAT / 4)  # any phase between two heartbeats
        if forget:
            await self.world.scalar("DELETE FROM imagejobs.workers WHERE pid = $1 RETURNING pid", doomed.pid)
        doomed.send_signal(signal.SIGKILL)
        began = time.perf_counter()
        await self.until(fence, job_id, 2)
        seconds = time.perf_counter() - began
        await doomed.wait()
        await self.until("SELECT EXISTS (SELECT FROM image_generation_jobs WHERE id = $1 AND status = 'completed')", job_id)
        other.terminate()
        await other.wait()
        return seconds


async def run(rounds: int) -> list[Claim]:
    """The worst of some rounds."""
    async with AsyncExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imagejobs-bench-")))
        root.chmod(0o755)
        (root / "data").mkdir(mode=0o755)
        server = embedded.start(root / "data", system_dir=root / "system")
        stack.callback(server.release)
        connection = await asyncpg.connect(server.dsn)
        await migrate(connection, install)
        await connection.close()
        database = await Database.connect(server.dsn, PoolOptions(max_size=6))
        stack.push_async_callback(database.close)
        decoder = Decoder()
        fake = await stack.enter_async_context(running(Options(port=0, terms=Terms(latency_seconds=6.0))))
        provider: Any = adapter.provider(ProviderConfig(api_key="any", base_url=fake.url))
        stack.push_async_callback(provider.close)
        opened = open_world(server.dsn, database, decoder, root / "files", providers={"fake": provider})
        world = await stack.enter_async_context(opened)
        environment = {
            **os.environ,
            "DATABASE_URL": server.dsn,
            "IMAGEJOBS_DATA_DIR": str(root),
            "IMAGEJOBS_FAKE_BASE_URL": fake.url,
            "IMAGEJOBS_FAKE_API_KEY": str(await create_key(database, "bench")),
            "IMAGEJOBS_HEARTBEAT_SECONDS": str(HEARTBEAT),
            "IMAGEJOBS_DEQUEUE_SECONDS": str(DEQUEUE),
        }
        crew = Crew(world=world, environment=environment)
        elsewhere = [await crew.recovery(forget=True) for _ in range(rounds)]
        here = [await crew.recovery(forget=False) for _ in range(rounds)]
    return [
        Claim("killed worker's job taken over, other machine", max(elsewhere), "s", most=HEARTBEAT + DEQUEUE),
        Claim("the same, by a neighbor on its machine", max(here), "s"),
    ]


if __name__ == "__main__":
    sys.exit(report(asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 3))))
