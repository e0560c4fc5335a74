"""A whole instance inside one process: real database, engine, provider `sketch`, storage and decoder."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2

from imagejobs.app.attempt import run_job
from imagejobs.app.deps import Deps, Policy
from imagejobs.app.identifiers import new_id
from imagejobs.app.keys import create_key
from imagejobs.bootstrap import SystemClock
from imagejobs.db import job_reads
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import Job
from imagejobs.domain.lanes import UNASSIGNED
from imagejobs.domain.lifecycle import FINAL
from imagejobs.domain.retry import RetrySchedule
from imagejobs.engine.pgq import EngineOptions, PgqEngine
from imagejobs.imaging import Decoder
from imagejobs.net.guard import Guard
from imagejobs.ports import Provider, ProviderConfig
from imagejobs.providers import sketch
from imagejobs.spool import Spool
from imagejobs.storage.filesystem import FilesystemStorage
from imagejobs.storage.rehearsal import RehearsalStorage
from imagejobs.web.server import create_app
from imagejobs.worker import run_worker
from tests.support.declared import require_declared
from tests.support.tokens import tokens_by_secret

SOON = 30.0
BASE = "http://imagejobs.test"
FAST = RetrySchedule(base_seconds=0.05, cap_seconds=0.2)


class HastyClock(SystemClock):
    """The machine's clock, but nobody waits long."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 20)


@dataclass
class StopPoints:
    """A probe that holds the program at named points until the test lets it go on."""

    held: dict[str, asyncio.Event] = field(default_factory=dict)
    reached: dict[str, asyncio.Event] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def hold(self, point: str) -> None:
        self.held[point] = asyncio.Event()
        self.reached[point] = asyncio.Event()

    def let_go(self, point: str) -> None:
        self.held.pop(point).set()

    async def __call__(self, point: str) -> None:
        self.seen.append(point)
        if (gate := self.held.get(point)) is not None:
            self.reached[point].set()
            await gate.wait()


@dataclass
class World:
    """One instance; `client` speaks HTTP to it with an admin-like key."""

    deps: Deps
    dsn: str
    client: httpx2.AsyncClient
    probe: StopPoints

    async def generate(self, **body: Any) -> httpx2.Response:
        wanted = {"projectId": "film", "jobType": "generate", "prompt": "a red fox", "width": 64, "height": 64, **body}
        return await self.client.post("/api/images/generate", json={k: v for k, v in wanted.items() if v is not ...})

    async def upload(self, data: bytes, project: str = "film") -> str:
        """The id of the picture as an input."""
        headers = {"content-type": "image/png"}
        answer = await self.client.post(f"/api/images/inputs?projectId={project}", content=data, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["inputId"])

    async def job(self, job_id: str | UUID) -> Job:
        async with self.deps.database.connection() as connection:
            job = await job_reads.by_id(connection, UUID(str(job_id)))
        assert job is not None
        return job

    async def read(self, job_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/api/images/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def work_off(self, job_id: str | UUID) -> Job:
        """Run the job in this task, waiting out its own retries, until it is final."""
        async with asyncio.timeout(SOON):
            while True:
                job = await self.job(job_id)
                if job.status in FINAL:
                    return job
                await run_job(self.deps, job.id, job.delivery_no)
                await self.until_due(job.id)

    async def work_off_by(self, direct: Database, job_id: str) -> None:
        """As `work_off`, watching over a connection that nobody cuts."""
        while True:
            async with direct.connection() as connection:
                job = await job_reads.by_id(connection, UUID(job_id))
            assert job is not None
            if job.status in FINAL:
                return
            await run_job(self.deps, job.id, job.delivery_no)

    async def run(self, job: Job) -> None:
        """Deliver the job to this worker once."""
        await run_job(self.deps, job.id, job.delivery_no)

    async def until_due(self, job_id: UUID) -> None:
        """Wait, in the database, until the job's next turn."""
        async with self.deps.database.connection() as connection:
            await connection.execute(
                "SELECT pg_sleep(greatest(0, extract(epoch FROM scheduled_at - now()))) "
                "FROM public.image_generation_jobs WHERE id = $1 AND scheduled_at IS NOT NULL",
                job_id,
            )

    async def events(self, job_id: str | UUID) -> list[dict[str, Any]]:
        answer = await self.client.get(f"/api/images/jobs/{job_id}/events")
        found: list[dict[str, Any]] = answer.json()["events"]
        return found

    async def scalar(self, query: str, *values: object) -> Any:
        async with self.deps.database.connection() as connection:
            return await connection.fetchval(query, *values)

    async def rows(self) -> str:
        """Every row of every table of ours, as text."""
        async with self.deps.database.connection() as connection:
            tables = await connection.fetch(
                "SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables "
                "WHERE table_schema IN ('public', 'imagejobs') AND table_type = 'BASE TABLE'"
            )
            found = [await connection.fetch(f"SELECT t::text AS row FROM {table['name']} AS t") for table in tables]  # noqa: S608
        return "\n".join(row["row"] for table in found for row in table)

    def twin(self) -> "World":
        """Another worker of the same instance, with probes of its own."""
        probe = StopPoints()
        return replace(self, deps=replace(self.deps, probe=probe, worker_id=new_id()), probe=probe)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker beside the test."""
        stop = asyncio.Event()
        task = asyncio.create_task(run_worker(self.deps, 10, stop))
        try:
            yield
        finally:
            stop.set()
            async with asyncio.timeout(SOON):
                await task

    async def finished(self, job_id: str, seconds: float = SOON) -> dict[str, Any]:
        """The job once a worker has finished it, also while the database comes and goes."""
        try:
            return await asyncio.wait_for(self._until_final(job_id), seconds)
        except TimeoutError:
            raise AssertionError(await self._what_is_waiting(job_id)) from None

    async def _until_final(self, job_id: str) -> dict[str, Any]:
        while True:
            answer = await self.client.get(f"/api/images/jobs/{job_id}")
            body: dict[str, Any] = answer.json()
            if answer.status_code == 200 and body["status"] in FINAL:
                return body
            await asyncio.sleep(0.02)

    async def _what_is_waiting(self, job_id: str) -> str:
        """Why a job is not finished: its row, the engine's messages, the server's sessions and what our tasks wait for."""
        job = await self.job(job_id)
        lines = [str(job)]
        for query in (
            f"SELECT * FROM imagejobs.attempts WHERE job_id = '{job.id}'",  # noqa: S608 - a UUID
            "SELECT status, queue_manager_id, count(*), min(heartbeat) FROM imagejobs.pgqueuer GROUP BY 1, 2",
            f"SELECT * FROM imagejobs.pgqueuer WHERE dedupe_key LIKE '{job.id}:%'",  # noqa: S608 - a UUID
            "SELECT pid, state, wait_event, xact_start, query FROM pg_stat_activity WHERE datname = current_database()",
        ):
            async with self.deps.database.connection() as connection:
                lines += [query, *(str(dict(row)) for row in await connection.fetch(query))]
        for task in asyncio.all_tasks():
            frames = [f"{frame.f_code.co_filename}:{frame.f_lineno}" for frame in task.get_stack()]
            lines.append(f"{task.get_name()} {task.get_coro()} {frames}")
        return "\n".join(lines)


@asynccontextmanager
async def open_world(
    dsn: str,
    database: Database,
    decoder: Decoder,
    root: Path,
    *,
    providers: Mapping[str, Provider] | None = None,
    policy: Policy | None = None,
    heartbeat_seconds: float = 1.0,
    dequeue_seconds: float = 0.5,
) -> AsyncIterator[World]:
    """An instance over a migrated database, its pictures below `root`."""
    known = {"sketch": sketch.provider(ProviderConfig())} if providers is None else dict(providers)
    assert all(provider is not None for provider in known.values())
    worker_id, probe, guard = new_id(), StopPoints(), Guard(["127.0.0.1"])
    options = EngineOptions(
        dsn=dsn,
        worker_id=worker_id,
        lanes=(*known, UNASSIGNED),
        heartbeat_seconds=heartbeat_seconds,
        dequeue_seconds=dequeue_seconds,
        restart_seconds=0.1,
    )
    deps = Deps(
        database=database,
        engine=PgqEngine(options),
        providers=known,
        storage=RehearsalStorage(FilesystemStorage(root, BASE)),
        files=FilesystemStorage(root, BASE),
        decoder=decoder,
        guard=guard,
        spool=Spool(root / "spool"),
        clock=HastyClock(),
        probe=probe,
        policy=policy or Policy(default_provider=next(iter(known), None), schedule=FAST, sweep_seconds=0.3, idle_seconds=0),
        worker_id=worker_id,
    )
    key = await create_key(database, "tests")
    transport = httpx2.ASGITransport(create_app(deps, tokens=tokens_by_secret()), raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {key}"}
    hooks = {"response": [require_declared]}
    async with httpx2.AsyncClient(transport=transport, base_url=BASE, headers=headers, event_hooks=hooks) as client:
        yield World(deps=deps, dsn=dsn, client=client, probe=probe)
    await guard.close()
