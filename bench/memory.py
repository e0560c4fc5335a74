"""A thousand calls in flight in one worker, a provider that answers 1.5 MB after ten seconds: what the worker needs."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What was seen of a worker."""

    peak_megabytes: float
    in_flight: int
    done: int
    took_seconds: float

    def claims(self, jobs: int) -> list[Claim]:
        return [
            Claim("calls in flight at once, most seen", self.in_flight, ""),
            Claim("jobs completed", self.done, "", least=jobs),
            Claim("from start to the last picture", self.took_seconds, "s"),
        ]


def resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def run(jobs: int, image_bytes: int, latency: float) -> list[Claim]:
    """Submit everything, start one worker, and watch it until the last job has ended."""
    terms = Terms(price_micros=40_000, latency_seconds=latency, image_bytes=image_bytes)
    with tempfile.TemporaryDirectory(prefix="imagejobs-bench-") as directory:
        root = Path(directory)
        root.chmod(0o755)
        (root / "data").mkdir(mode=0o755)
        server = embedded.start(root / "data", system_dir=root / "system")
        try:
            async with running(Options(port=0, terms=terms)) as fake:
                return await _measured(server.dsn, fake.url, root, jobs)
        finally:
            server.release()


async def _measured(dsn: str, url: str, root: Path, jobs: int) -> list[Claim]:
    connection = await asyncpg.connect(dsn)
    await migrate(connection, install)
    await connection.close()
    database = await Database.connect(dsn, PoolOptions(max_size=8))
    await create_key(database, "bench")
    provider = adapter.provider(ProviderConfig(api_key="any", base_url=url))
    assert provider is not None
    async with open_world(dsn, database, Decoder(), root / "files", providers={"fake": provider}) as world:
        for _ in range(jobs // 100):
            assert (await world.generate(model="fake:key", n=100)).status_code == 202
        environment = {"IMAGEJOBS_FAKE_BASE_URL": url, "IMAGEJOBS_FAKE_API_KEY": "any"}
        watched = await watch(world, root, environment, jobs)
    await provider.close()
    await database.close()
    return [
        Claim(f"worker, {jobs} calls in flight, peak memory", watched.peak_megabytes, "MB", most=400),
        *watched.claims(jobs),
    ]


async def watch(world: World, root: Path, settings: Mapping[str, str], jobs: int) -> Watched:
    """Start one worker, and watch it until the last of the jobs has ended."""
    environment = {
        **os.environ,
        **settings,
        "DATABASE_URL": world.dsn,
        "IMAGEJOBS_DATA_DIR": str(root),
        "IMAGEJOBS_CONCURRENCY": str(jobs),
    }
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "imagejobs", "worker"), env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    began, peak, in_flight, left = time.monotonic(), 0.0, 0, jobs
    while left and time.monotonic() - began < 300:
        peak = max(peak, resident_megabytes(worker.pid))
        left = await world.scalar("SELECT count(*) FROM image_generation_jobs WHERE completed_at IS NULL")
        busy = await world.scalar("SELECT count(*) FROM image_generation_jobs WHERE status = 'generating'")
        in_flight = max(in_flight, busy)
        await asyncio.sleep(0.1)
    took = time.monotonic() - began
    done = await world.scalar("SELECT count(*) FROM image_generation_jobs WHERE status = 'completed'")
    worker.terminate()
    await worker.wait()
    return Watched(peak_megabytes=peak, in_flight=in_flight, done=done, took_seconds=took)


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    sys.exit(report(asyncio.run(run(wanted, 1_500_000, 10.0))))
