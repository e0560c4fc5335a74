"""Several API processes on one database are one service."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from imagejobs.app.keys import create_key
from imagejobs.db.pool import Database
from tests.conftest import free_port

pytestmark = [pytest.mark.database, pytest.mark.timeout(240)]

READY = 100.0


@asynccontextmanager
async def api(dsn: str, data_dir: Path, **settings: str) -> AsyncIterator[str]:
    port = free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": dsn,
        "PORT": str(port),
        "IMAGEJOBS_DATA_DIR": str(data_dir),
        "IMAGEJOBS_DEFAULT_PROVIDER": "sketch",
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "imagejobs", "api"), env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        await said_it_listens(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        async with asyncio.timeout(READY):
            await process.communicate()


async def said_it_listens(process: asyncio.subprocess.Process, port: int) -> None:
    """A13: at its start the API says where it listens and which routes there are; then it answers."""
    assert process.stderr is not None
    said = ""
    async with asyncio.timeout(READY), httpx2.AsyncClient() as client:
        while "/healthz" not in said:
            line = (await process.stderr.readline()).decode()
            assert line, f"it ended before it listened: {said}"
            said += line
        while True:
            try:
                await client.get(f"http://127.0.0.1:{port}/readyz")
            except httpx2.TransportError:
                await asyncio.sleep(0.02)
            else:
                break
    assert f"127.0.0.1:{port}" in said
    assert "POST /api/images/generate" in said


async def test_a7_a13_a_hundred_equal_requests_at_once_over_two_processes_make_one_job(
    dsn: str, database: Database, tmp_path: Path
) -> None:
    key = await create_key(database, "racers")
    body = {"projectId": "film", "jobType": "generate", "prompt": "a fox", "idempotencyKey": "the-one"}
    async with AsyncExitStack() as stack:
        bases = [await stack.enter_async_context(api(dsn, tmp_path)) for _ in range(2)]
        limits = httpx2.Limits(max_connections=100)
        headers = {"authorization": f"Bearer {key}"}
        client = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, limits=limits, timeout=READY))
        answers = await asyncio.gather(*(client.post(bases[n % 2] + "/api/images/generate", json=body) for n in range(100)))
    assert Counter(answer.status_code for answer in answers) == {202: 1, 200: 99}
    assert len({answer.json()["jobId"] for answer in answers}) == 1
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM public.image_generation_jobs") == 1
        assert await connection.fetchval("SELECT count(*) FROM imagejobs.pgqueuer") == 1
        assert await connection.fetchval("SELECT count(*) FROM imagejobs.reservations") == 1
