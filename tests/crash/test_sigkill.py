"""Real processes, real SIGKILL, real HTTP: a worker killed at every point of a job, an API at every point of a submission.

The points are those that a first run passes, so one added later is covered by itself. One process stands at all of them at
once, with a job at each, as a busy worker does. The providers keep their own bills.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from imagejobs.app.keys import create_key
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus, ResumeClass
from imagejobs.imaging import Decoder
from imagejobs.ports import Provider, ProviderConfig
from imagejobs.providers import fake as fake_adapter, gemini as gemini_adapter
from imagejobs.providers.fake_server import FakeProvider, Options, running
from tests.conftest import free_port
from tests.support.gemini_server import KEY, GeminiServer, running_gemini
from tests.support.invariants import billed, broken_invariants
from tests.support.world import World, open_world

pytestmark = [pytest.mark.database, pytest.mark.slow, pytest.mark.timeout(400)]

SOON = 60.0
PRICE = 40_000
ROOT = Path(__file__).parents[2]
# Between the intent and the bytes' commit, or until the id is known, only the provider knows whether it was bought.
IN_DOUBT = {
    ResumeClass.KEY: set(),
    ResumeClass.LOOKUP: {"dispatch.after_intent", "async.after_submit"},
    ResumeClass.NONE: {"dispatch.after_intent", "stage.before_commit"},
}


@dataclass
class Shop:
    """One instance, its providers, and how its processes are started."""

    world: World
    fake: FakeProvider
    google: GeminiServer
    environment: dict[str, str]
    started: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self, *words: str, module: str = "imagejobs", **settings: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *words),
            env={**self.environment, **settings},
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE if module != "imagejobs" else asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self.started.append(process)
        return process

    async def end(self) -> None:
        """End what still runs, after a test that failed."""
        for process in self.started:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def park(self, points: Iterable[str], model: str) -> tuple[asyncio.subprocess.Process, dict[str, str]]:
        """A worker with a job at each of the points, and which job is where; a job's prompt tells the bill apart."""
        wanted = set(points)
        jobs = [(await self.world.generate(model=model, prompt=f"fox {n}")).json()["jobId"] for n in range(len(wanted))]
        process = await self.start(*wanted, module="tests.support.parking", IMAGEJOBS_CONCURRENCY="40")
        assert process.stdout is not None
        parked: dict[str, str] = {}
        while len(parked) < len(jobs):
            line = await asyncio.wait_for(process.stdout.readline(), SOON)
            point, job_id = line.decode().split()
            parked[point] = job_id
        assert parked.keys() == wanted
        assert set(parked.values()) == set(jobs)
        return process, parked

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker that nobody kills, drained at the end."""
        worker = await self.start("worker")
        async with asyncio.timeout(SOON):
            while not await self.world.scalar("SELECT count(*) FROM imagejobs.workers WHERE pid = $1", worker.pid):
                await asyncio.sleep(0.02)
        yield
        worker.terminate()
        async with asyncio.timeout(SOON):
            assert await worker.wait() == 0  # drained, not killed by the signal

    async def ends(self, jobs: Iterable[str]) -> list[dict[str, Any]]:
        """How these jobs ended at a worker that nobody kills."""
        async with self.working():
            return [await self.world.finished(job_id, SOON) for job_id in jobs]

    async def bought(self, job_id: str) -> list[int]:
        """What the providers charged for the job, in micro-dollars, one for each purchase."""
        prompt = (await self.world.job(job_id)).prompt
        made = {seen.purchase for seen in self.fake.journal.requests if seen.prompt == prompt}
        at_fake = [entry.micros for entry in self.fake.bill.entries if entry.purchase in made]
        return at_fake + [purchase.micros for purchase in self.google.bill if purchase.prompt == prompt]


@pytest.fixture
async def shop(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        fake = await stack.enter_async_context(running(Options(port=0)))
        google = await stack.enter_async_context(running_gemini())
        made = {
            "fake": fake_adapter.provider(ProviderConfig(api_key="any", base_url=fake.url)),
            "gemini": gemini_adapter.provider(ProviderConfig(api_key=KEY, base_url=google.url)),
        }
        providers: dict[str, Provider] = {name: provider for name, provider in made.items() if provider is not None}
        for provider in providers.values():
            stack.push_async_callback(provider.close)
        opened = open_world(dsn, database, decoder, tmp_path / "files", providers=providers)
        world = await stack.enter_async_context(opened)
        environment = {
            **os.environ,
            "DATABASE_URL": dsn,
            "IMAGEJOBS_DATA_DIR": str(tmp_path),
            "IMAGEJOBS_FAKE_BASE_URL": fake.url,
            "IMAGEJOBS_FAKE_API_KEY": "any",
            "IMAGEJOBS_GEMINI_BASE_URL": google.url,
            "IMAGEJOBS_GEMINI_API_KEY": KEY,
            "IMAGEJOBS_HEARTBEAT_SECONDS": "1",
            "IMAGEJOBS_DEQUEUE_SECONDS": "0.5",
            "IMAGEJOBS_SWEEP_SECONDS": "0.5",
        }
        shop = Shop(world=world, fake=fake, google=google, environment=environment)
        stack.push_async_callback(shop.end)
        yield shop


async def points_of(shop: Shop, model: str, prefix: str = "") -> list[str]:
    """The points that one job passes, in order."""
    shop.world.probe.seen.clear()
    job = await shop.world.work_off((await shop.world.generate(model=model)).json()["jobId"])
    async with shop.world.deps.database.transaction() as tx:  # which no worker took
        await shop.world.deps.engine.withdraw(tx, job.id, job.delivery_no)
    passed = list(dict.fromkeys(shop.world.probe.seen))
    return [point for point in passed if point.startswith("api.") == (prefix == "api.")]


@pytest.mark.parametrize(
    ("model", "resume"),
    [
        *((f"fake:{resume.value}", resume) for resume in ResumeClass),
        *(("gemini", ResumeClass.LOOKUP), ("gemini", ResumeClass.NONE)),
    ],
)
async def test_w1_to_w13_a_worker_killed_at_any_point_loses_nothing_and_buys_nothing_twice(
    shop: Shop, model: str, resume: ResumeClass
) -> None:
    shop.google.refuses_background = resume is ResumeClass.NONE
    points = await points_of(shop, model)
    assert {"claim.after_commit", "dispatch.after_intent", "stage.before_commit", "upload.after_put"} <= set(points)
    assert ("async.after_id_commit" in points) is (resume is ResumeClass.LOOKUP)
    before = await billed(shop.world.deps.database)
    doomed, parked = await shop.park(points, model)
    doomed.kill()
    assert await doomed.wait() == -signal.SIGKILL
    ends = dict(zip(parked, await shop.ends(parked.values()), strict=True))
    assert await broken_invariants(shop.world.deps.database) == {}
    expected = 0.0
    for point, body in ends.items():
        bought = sum(await shop.bought(body["jobId"])) / 1_000_000
        cost = body["cost"]
        if point in IN_DOUBT[resume]:
            assert body["status"] == JobStatus.FAILED, (point, body)
            assert body["error"]["reason"] == "outcome_unknown", point
            assert (bought > 0) is (point != "dispatch.after_intent")
            assert bought <= cost["estimated"]
            expected += cost["estimated"]
        else:
            assert (body["status"], cost["actual"]) == (JobStatus.COMPLETED, bought), point
            expected += bought
    assert await billed(shop.world.deps.database) - before == round(expected * 1_000_000)


async def test_p1_an_api_killed_at_any_point_of_a_submission_makes_the_job_or_none(shop: Shop, database: Database) -> None:
    key = await create_key(database, "client")
    points = await points_of(shop, "fake:key", "api.")
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


@pytest.mark.parametrize("resume", [ResumeClass.KEY, ResumeClass.NONE], ids=lambda resume: resume.value)
async def test_w15_a_worker_stopped_past_its_heartbeat_changes_nothing_when_it_wakes(
    shop: Shop, resume: ResumeClass
) -> None:
    """SIGSTOP and SIGCONT, as a frozen machine: its bytes are kept, the bill agrees."""
    points = ("dispatch.after_intent", "stage.before_commit", "upload.before")
    frozen, parked = await shop.park(points, f"fake:{resume.value}")
    frozen.send_signal(signal.SIGSTOP)
    ends = dict(zip(parked, await shop.ends(parked.values()), strict=True))
    assert frozen.stdin is not None
    frozen.stdin.write(b"go on\n")
    frozen.send_signal(signal.SIGCONT)
    frozen.terminate()
    async with asyncio.timeout(SOON):
        assert await frozen.wait() == 0
    assert await broken_invariants(shop.world.deps.database) == {}
    assert await billed(shop.world.deps.database) >= shop.fake.bill.total_micros
    for point, body in ends.items():
        after, bought = await shop.world.read(body["jobId"]), await shop.bought(body["jobId"])
        assert after["status"] == body["status"], point
        assert len(bought) <= 1, point
        if resume is ResumeClass.KEY or point == "upload.before":
            assert (after["status"], after["cost"]["actual"]) == (JobStatus.COMPLETED, PRICE / 1_000_000), point
        else:
            assert after["error"]["reason"] == "outcome_unknown", point
            retried = await shop.world.client.post(f"/api/images/jobs/{body['jobId']}/retry")
            assert retried.json()["isPaidAlready"] is (len(bought) == 1), point
