"""Open streams on one API process: what each costs, and how soon an event of another process arrives in it."""

import asyncio
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path

import asyncpg
import psutil

from bench.report import Claim, report
from imagejobs import embedded
from imagejobs.db.migrate import migrate
from imagejobs.db.pool import Database, PoolOptions
from imagejobs.engine.pgq import install
from imagejobs.imaging import Decoder
from tests.conftest import free_port
from tests.support.world import World, open_world


class Reader:
    """One stream, read by hand so that reading costs little; notes when each event came."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.came: dict[int, float] = {}
        self.first = asyncio.Event()

    async def read(self, port: int, authorization: str) -> None:
        stream, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET /api/images/jobs/{self.job_id}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
        writer.write(f"{head}Authorization: {authorization}\r\n\r\n".encode())
        with closing(writer):
            async for line in stream:
                if line.startswith(b"id: "):
                    self.came[int(line[4:])] = time.perf_counter()
                    self.first.set()


async def started(stack: AsyncExitStack, dsn: str, root: Path, port: int) -> psutil.Process:
    """An API process of its own on that database, once it answers."""
    environment = {**os.environ, "DATABASE_URL": dsn, "IMAGEJOBS_DATA_DIR": str(root), "IMAGEJOBS_LOG_LEVEL": "error"}
    environment["IMAGEJOBS_STREAMS_PER_CALLER"] = "0"
    words = [sys.executable, "-m", "imagejobs", "api", "--port", str(port)]
    child = await asyncio.create_subprocess_exec(*words, env=environment, cwd=root, stderr=asyncio.subprocess.DEVNULL)

    async def end() -> None:
        child.terminate()
        await child.wait()

    stack.push_async_callback(end)
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert child.returncode is None, "it ended before it listened"
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return psutil.Process(child.pid)


async def measure(world: World, api: psutil.Process, port: int, streams: int) -> list[Claim]:
    authorization = world.client.headers["authorization"]
    readers = [Reader((await world.generate()).json()["jobId"]) for _ in range(streams + 1)]
    warm, *readers = readers
    reading = [asyncio.create_task(warm.read(port, authorization))]
    await warm.first.wait()
    before = api.memory_info().rss
    reading += [asyncio.create_task(reader.read(port, authorization)) for reader in readers]
    await asyncio.gather(*(reader.first.wait() for reader in readers))
    grown = api.memory_info().rss - before
    busy, began = sum(api.cpu_times()[:2]), time.perf_counter()
    await asyncio.sleep(10)
    share = 100 * (sum(api.cpu_times()[:2]) - busy) / (time.perf_counter() - began)
    waits = sorted([await wake(world, reader) for reader in readers[:200]])
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    return [
        Claim(f"{streams} open streams: resident memory each", grown / streams / 1024, "KB", most=200),
        Claim(f"{streams} open streams: share of a core while nothing happens", share, "%", most=15),
        Claim("an event of another process, write begun to read, p50", waits[len(waits) // 2], "ms"),
        Claim("an event of another process, write begun to read, p95", waits[len(waits) * 95 // 100], "ms", most=1000),
    ]


async def wake(world: World, reader: Reader) -> float:
    """Milliseconds from the beginning of a write until the stream has its event."""
    began = time.perf_counter()
    await world.client.patch(f"/api/images/jobs/{reader.job_id}", json={"priority": 5})
    while 2 not in reader.came:
        await asyncio.sleep(0.0005)
    return 1000 * (reader.came[2] - began)


async def run(streams: int) -> list[Claim]:
    """The claims, with so many streams on an API process of its own."""
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
        world = await stack.enter_async_context(open_world(server.dsn, database, Decoder(), root / "files"))
        port = free_port()
        return await measure(world, await started(stack, server.dsn, root, port), port, streams)


if __name__ == "__main__":
    sys.exit(report(asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 500))))
