"""Real processes, real SIGKILL, real HTTP: a worker killed at every point of a job, an API at every point of a submission.

The points are those that a first run passes, so one added later is covered by itself. The provider keeps its own bill.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from imagejobs.app.keys import create_key
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus, ResumeClass
from imagejobs.imaging import Decoder
from imagejobs.ports import ProviderConfig
from imagejobs.providers import fake as adapter
from imagejobs.providers.fake_server import FakeProvider, Options, running
from tests.conftest import free_port
from tests.support.invariants import billed, broken_invariants
from tests.support.world import World, open_world

pytestmark = [pytest.mark.database, pytest.mark.slow, pytest.mark.timeout(400)]

SOON = 30.0
PRICE = 40_000


@dataclass
class Shop:
    """One instance, its provider, and how its processes are started."""

    world: World
    fake: FakeProvider
    environment: dict[str, str]

    async def start(self, *words: str, **settings: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "imagejobs", *words),
            env={**self.environment, **settings},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker that nobody kills, drained at the end."""
        worker = await self.start("worker")
        try:
            yield
        finally:
            async with asyncio.timeout(SOON):
                while not await self.world.scalar("SELECT count(*) FROM imagejobs.workers WHERE pid = $1", worker.pid):
                    await asyncio.sleep(0.02)
                worker.terminate()
                assert await worker.wait() == 0  # drained, not killed by the signal


@pytest.fixture
async def shop(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        fake = await stack.enter_async_context(running(Options(port=0)))
        provider = adapter.provider(ProviderConfig(api_key="any", base_url=fake.url))
        assert provider is not None
        stack.push_async_callback(provider.close)
        opened = open_world(dsn, database, decoder, tmp_path / "files", providers={"fake": provider})
        world = await stack.enter_async_context(opened)
        environment = {
            **os.environ,
            "DATABASE_URL": dsn,
            "IMAGEJOBS_DATA_DIR": str(tmp_path),
            "IMAGEJOBS_FAKE_BASE_URL": fake.url,
            "IMAGEJOBS_FAKE_API_KEY": "any",
            "IMAGEJOBS_HEARTBEAT_SECONDS": "1",
            "IMAGEJOBS_DEQUEUE_SECONDS": "0.5",
            "IMAGEJOBS_SWEEP_SECONDS": "0.5",
        }
        yield Shop(world=world, fake=fake, environment=environment)


async def points_of(shop: Shop, model: str, prefix: str = "") -> list[str]:
    """The points that one job passes, in order."""
    shop.world.probe.seen.clear()
    await shop.world.work_off((await shop.world.generate(model=f"fake:{model}")).json()["jobId"])
    passed = list(dict.fromkeys(shop.world.probe.seen))
    return [point for point in passed if point.startswith("api.") == (prefix == "api.")]


@pytest.mark.parametrize("resume", list(ResumeClass), ids=lambda resume: resume.value)
async def test_w1_to_w13_a_worker_killed_at_any_point_loses_nothing_and_buys_nothing_twice(
    shop: Shop, resume: ResumeClass
) -> None:
    points = await points_of(shop, resume.value)
    assert {"claim.after_commit", "dispatch.after_intent", "stage.before_commit", "upload.after_put"} <= set(points)
    for point in points:
        before = len(shop.fake.bill.entries)
        job_id = (await shop.world.generate(model=f"fake:{resume.value}")).json()["jobId"]
        doomed = await shop.start("worker", IMAGEJOBS_PROBES=f"{point}=kill")
        async with asyncio.timeout(SOON):
            assert await doomed.wait() == -signal.SIGKILL, point
        async with shop.working():
            body = await shop.world.finished(job_id, SOON)
        assert await broken_invariants(shop.world.deps.database) == {}, point
        bought = len(shop.fake.bill.entries) - before
        if body["status"] == JobStatus.COMPLETED:
            assert bought == 1, point
        else:
            assert resume is not ResumeClass.KEY, point
            assert body["error"]["reason"] == "outcome_unknown", point
            assert bought <= 1, point
    assert await billed(shop.world.deps.database) >= shop.fake.bill.total_micros


async def test_p1_an_api_killed_at_any_point_of_a_submission_makes_the_job_or_none(shop: Shop, database: Database) -> None:
    key = await create_key(database, "client")
    points = await points_of(shop, "key", "api.")
    assert set(points) == {"api.before_insert", "api.after_insert", "api.after_commit"}
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=SOON) as client:
        for point in points:
            port = free_port()
            body = {
                "projectId": "film",
                "jobType": "generate",
                "prompt": point,
                "model": "fake:key",
                "idempotencyKey": point,
            }
            doomed = await shop.start("api", PORT=str(port), IMAGEJOBS_PROBES=f"{point}=kill")
            url = f"http://127.0.0.1:{port}/api/images/generate"
            with pytest.raises(httpx2.TransportError):
                await until_answered(client, url, body)
            async with asyncio.timeout(SOON):
                assert await doomed.wait() == -signal.SIGKILL
            again = await shop.world.client.post("/api/images/generate", json=body)
            assert again.status_code == (200 if point == "api.after_commit" else 202)
            count = "SELECT count(*) FROM image_generation_jobs WHERE idempotency_key = $1"
            assert await shop.world.scalar(count, point) == 1
    assert await broken_invariants(database) == {}


async def until_answered(client: httpx2.AsyncClient, url: str, body: dict[str, str]) -> httpx2.Response:
    """Send until the server listens; then whatever comes, an answer or a broken connection."""
    async with asyncio.timeout(SOON):
        while True:
            with suppress(httpx2.ConnectError):
                return await client.post(url, json=body)
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("point", ["dispatch.after_intent", "stage.before_commit", "upload.before"])
@pytest.mark.parametrize("resume", [ResumeClass.KEY, ResumeClass.NONE], ids=lambda resume: resume.value)
async def test_w15_a_worker_stopped_past_its_heartbeat_changes_nothing_when_it_wakes(
    shop: Shop, resume: ResumeClass, point: str
) -> None:
    """SIGSTOP and SIGCONT, as a frozen machine: its bytes are kept, the bill agrees."""
    job_id = (await shop.world.generate(model=f"fake:{resume.value}")).json()["jobId"]
    frozen = await shop.start("worker", IMAGEJOBS_PROBES=f"{point}=stop")
    async with asyncio.timeout(SOON):
        while not is_stopped(frozen.pid):
            await asyncio.sleep(0.02)
    async with shop.working():
        body = await shop.world.finished(job_id, SOON)
    frozen.send_signal(signal.SIGCONT)
    frozen.terminate()
    async with asyncio.timeout(SOON):
        assert await frozen.wait() == 0
    after = await shop.world.read(job_id)
    assert after["status"] == body["status"]
    assert await broken_invariants(shop.world.deps.database) == {}
    assert await billed(shop.world.deps.database) >= shop.fake.bill.total_micros
    assert len(shop.fake.bill.entries) <= 1
    if body["status"] == JobStatus.FAILED:
        assert body["error"]["reason"] == "outcome_unknown"
        retried = await shop.world.client.post(f"/api/images/jobs/{job_id}/retry")
        assert retried.json()["isPaidAlready"] is (len(shop.fake.bill.entries) == 1)


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
