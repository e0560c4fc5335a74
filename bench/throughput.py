"""Pictures a second, order to end, beside Celery and Redis on the same tables in the same run; instant provider, 20 KB."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.create import JSON, READY_SECONDS, answers, prepare
from bench.report import Claim, report
from imagejobs import embedded
from tests.conftest import free_port

CLIENTS = 8
SLOWEST_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where everything of one run is."""

    dsn: str
    files: Path
    fake: str
    redis: str


@contextmanager
def running(words: list[str], is_up: Callable[[], bool], **environment: str) -> Iterator[None]:
    child = subprocess.Popen(words, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not is_up():
            assert child.poll() is None, words
            assert time.monotonic() < deadline, words
            time.sleep(0.05)
        yield
    finally:
        child.terminate()
        child.wait()


async def rate(place: Place, url: str, headers: dict[str, str], jobs: int) -> float:
    """Orders `jobs` by a few clients at once, and gives the pictures a second from the first order to the last picture."""
    database = await asyncpg.connect(place.dsn)
    done = "SELECT count(*) FROM image_generation_jobs WHERE status = 'completed'"
    before = await database.fetchval(done)
    began = time.perf_counter()
    order = {"target": {"url": url, "body": BODY, "headers": JSON | headers}, "connections": CLIENTS, "count": jobs}
    words = [sys.executable, "-m", "bench.load"]
    child = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate(json.dumps({"mode": "saturate", **order}).encode())
    assert json.loads(said)["errors"] == 0
    async with asyncio.timeout(SLOWEST_SECONDS):
        while await database.fetchval(done) < before + jobs:
            await asyncio.sleep(0.02)
    seconds = time.perf_counter() - began
    await database.close()
    return jobs / seconds


BODY = json.dumps(
    {"projectId": "bench", "jobType": "generate", "prompt": "a red fox in snow, number {n}", "width": 64, "height": 64}
)


def ours(place: Place, key: str, jobs: int) -> float:
    port = free_port()
    environment = {
        "DATABASE_URL": place.dsn,
        "PORT": str(port),
        "IMAGEJOBS_DATA_DIR": str(place.files / "ours"),
        "IMAGEJOBS_FAKE_BASE_URL": place.fake,
        "IMAGEJOBS_DEFAULT_PROVIDER": "fake",
        "IMAGEJOBS_CONCURRENCY": "20",
    }
    imagejobs = [sys.executable, "-m", "imagejobs"]
    url, headers = f"http://127.0.0.1:{port}", {"authorization": f"Bearer {key}"}
    with (
        running([*imagejobs, "api"], lambda: answers(url + "/readyz"), **environment),
        running([*imagejobs, "worker"], lambda: has_worker(place.dsn), **environment),
    ):
        asyncio.run(rate(place, url + "/api/images/generate", headers, 20))
        return asyncio.run(rate(place, url + "/api/images/generate", headers, jobs))


def has_worker(dsn: str) -> bool:
    async def count() -> int:
        connection = await asyncpg.connect(dsn)
        found: int = await connection.fetchval("SELECT count(*) FROM imagejobs.workers")
        await connection.close()
        return found

    return asyncio.run(count()) > 0


def theirs(place: Place, processes: int, jobs: int) -> float:
    port = free_port()
    environment = {
        "BENCH_DSN": place.dsn,
        "BENCH_REDIS": place.redis,
        "BENCH_FAKE": place.fake,
        "BENCH_FILES": str(place.files / "theirs"),
    }
    worker = [sys.executable, "-m", "celery", "-A", "bench.peers.celery_shop", "worker", "-c", str(processes)]
    with (
        running(
            [sys.executable, "-m", "bench.peers.celery_shop", str(port)],
            lambda: answers(f"http://127.0.0.1:{port}"),
            **environment,
        ),
        running([*worker, "--without-gossip", "--without-mingle"], lambda: True, **environment),
    ):
        asyncio.run(rate(place, f"http://127.0.0.1:{port}/jobs", {}, 20))
        return asyncio.run(rate(place, f"http://127.0.0.1:{port}/jobs", {}, jobs))


@contextmanager
def place_of() -> Iterator[Place]:
    """PostgreSQL, Redis that syncs at each command, and the provider."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imagejobs-bench-")))
        root.chmod(0o755)
        (root / "data").mkdir(mode=0o755)
        server = embedded.start(root / "data", system_dir=root / "system")
        stack.callback(server.release)
        redis_port, fake_port = free_port(), free_port()
        redis = ["redis-server", "--port", str(redis_port), "--bind", "127.0.0.1", "--dir", str(root)]
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        stack.enter_context(running(redis + durable, lambda: listens(redis_port)))
        fake = [sys.executable, "-m", "imagejobs", "fake-provider", "--port", str(fake_port), "--image-bytes", "20000"]
        stack.enter_context(running(fake, lambda: listens(fake_port)))
        yield Place(
            dsn=server.dsn,
            files=root,
            fake=f"http://127.0.0.1:{fake_port}",
            redis=f"redis://127.0.0.1:{redis_port}/0",
        )


def listens(port: int) -> bool:
    async def connect() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    return asyncio.run(connect())


def run(jobs: int) -> list[Claim]:
    """Both, one after the other and again; the best of each counts."""
    with place_of() as place:
        key = asyncio.run(prepare(place.dsn, place.files))
        mine, peers = [], []
        for processes in (2, 4):
            mine.append(ours(place, key, jobs))
            peers.append(theirs(place, processes, jobs))
    return [
        Claim("order to picture, 20 KB, instant provider", max(mine), "/s"),
        Claim("the same, Celery + Redis", max(peers), "/s"),
        Claim("share of Celery + Redis", max(mine) / max(peers), "x", least=1.2),
    ]


if __name__ == "__main__":
    sys.exit(report(run(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)))
