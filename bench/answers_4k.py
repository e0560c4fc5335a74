"""200 calls to Gemini in flight in one worker, each answered with 8 MB of base64 (a 4K picture): the memory it needs."""

import asyncio
import sys
import tempfile
from pathlib import Path

import asyncpg

from bench.memory import watch
from bench.report import Claim, report
from imagejobs import embedded
from imagejobs.app.keys import create_key
from imagejobs.db.migrate import migrate
from imagejobs.db.pool import Database, PoolOptions
from imagejobs.engine.pgq import install
from imagejobs.imaging import Decoder
from imagejobs.ports import ProviderConfig
from imagejobs.providers.gemini import provider
from tests.support.gemini_server import KEY, running_gemini
from tests.support.world import open_world

CALLS = 200
IMAGE_BYTES = 6_000_000
LATENCY_SECONDS = 15.0


async def run(way: str) -> list[Claim]:
    """Submit everything, start one worker, and watch it until the last job has ended."""
    settings = {"refuses_background": way == "generateContent", "image_bytes": IMAGE_BYTES, "keeps_requests": False}
    with tempfile.TemporaryDirectory(prefix="imagejobs-bench-") as directory:
        root = Path(directory)
        root.chmod(0o755)
        (root / "data").mkdir(mode=0o755)
        server = embedded.start(root / "data", system_dir=root / "system")
        try:
            async with running_gemini(latency_seconds=LATENCY_SECONDS, **settings) as google:
                return await _measured(server.dsn, google.url, root, way)
        finally:
            server.release()


async def _measured(dsn: str, url: str, root: Path, way: str) -> list[Claim]:
    connection = await asyncpg.connect(dsn)
    await migrate(connection, install)
    await connection.close()
    database = await Database.connect(dsn, PoolOptions(max_size=8))
    await create_key(database, "bench")
    gemini = provider(ProviderConfig(api_key=KEY, base_url=url))
    assert gemini is not None
    async with open_world(dsn, database, Decoder(), root / "files", providers={"gemini": gemini}) as world:
        for _ in range(CALLS // 100):
            assert (await world.generate(model="gemini", width=4096, height=4096, n=100)).status_code == 202
        environment = {"IMAGEJOBS_GEMINI_BASE_URL": url, "IMAGEJOBS_GEMINI_API_KEY": KEY}
        watched = await watch(world, root, environment, CALLS)
    await gemini.close()
    await database.close()
    return [Claim(f"{way}: worker, peak memory", watched.peak_megabytes, "MB", most=600), *watched.claims(CALLS)]


if __name__ == "__main__":
    ways = sys.argv[1:] or ["generateContent", "interactions"]
    sys.exit(report([claim for way in ways for claim in asyncio.run(run(way))]))
