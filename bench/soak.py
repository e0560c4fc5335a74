"""Soak: load on real processes while workers, API and database are killed again and again; a report at the end.

A provider with a bill of its own and a fault in every fifth answer; workers killed every 10 to 30 s, PostgreSQL stopped at
once every 5 to 40 s, the API every 20 to 60 s. At the end everything is left to finish. Then every accepted job must be
final, every invariant hold, and the whole bill be in the books; memory, descriptors and connections must not have grown.
"""

import asyncio
import logging
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from bench.report import Claim, report
from imagejobs.app.keys import create_key
from imagejobs.db import verify
from imagejobs.db.migrate import migrate
from imagejobs.db.pool import Database, PoolOptions
from imagejobs.engine.pgq import install
from imagejobs.providers.fake_server import FakeProvider, Options, running
from tests.conftest import free_port
from tests.support.databases import DebianServer, debian_server
from tests.support.invariants import books

FINAL = ("completed", "failed", "canceled")
CLIENTS = 6
MOST_SECONDS_AFTER = 300.0
WORKERS = 2


@dataclass
class Process:
    """One of ours, started again whenever it is gone."""

    words: tuple[str, ...]
    environment: dict[str, str]
    child: asyncio.subprocess.Process | None = None
    deaths: int = 0

    async def keep(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "imagejobs", *self.words),
                env=self.environment,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            await self.child.wait()

    def kill(self) -> None:
        if self.child is not None and self.child.returncode is None:
            self.deaths += 1
            self.child.kill()

    async def end(self) -> None:
        if self.child is not None and self.child.returncode is None:
            self.child.terminate()
            await self.child.wait()

    def measure(self) -> tuple[float, int]:
        """Megabytes resident, and open descriptors."""
        assert self.child is not None
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        kilobytes = int(status.partition("VmRSS:")[2].split()[0])
        return kilobytes / 1024, sum(1 for _ in Path(f"/proc/{self.child.pid}/fd").iterdir())


@dataclass
class Soak:
    """Everything that runs, and what was seen."""

    url: str
    key: str
    server: DebianServer
    api: Process
    workers: list[Process]
    chance: random.Random
    accepted: set[str] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    restarts: int = 0
    is_over: bool = False

    async def client(self, number: int) -> None:
        """Make jobs, each under its key until it is accepted."""
        turn = 0
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {self.key}"}, timeout=10) as http:
            while not self.is_over:
                await self.submit(http, f"{number}-{turn}")
                turn += 1
                await asyncio.sleep(self.chance.uniform(0.1, 0.6))

    async def submit(self, http: httpx2.AsyncClient, key: str) -> None:
        model = self.chance.choice(["key", "lookup", "none"])
        body = {"projectId": "soak", "jobType": "generate", "prompt": key, "model": f"fake:{model}", "idempotencyKey": key}
        while True:
            with suppress(httpx2.TransportError):
                answer = await http.post(self.url + "/api/images/generate", json=body)
                self.answers[answer.status_code] += 1
                if answer.status_code in (200, 202):
                    self.accepted.add(answer.json()["jobId"])
                    return
            await asyncio.sleep(0.1)

    async def every(self, least: float, most: float, strike: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while not self.is_over:
            await asyncio.sleep(self.chance.uniform(least, most))
            if not self.is_over:
                await strike()

    async def kill_a_worker(self) -> None:
        self.chance.choice(self.workers).kill()

    async def kill_the_api(self) -> None:
        self.api.kill()

    async def restart_postgres(self) -> None:
        self.restarts += 1
        await asyncio.to_thread(self.server.stop)
        await asyncio.sleep(self.chance.uniform(0, 2))
        await asyncio.to_thread(self.server.start)


async def run(seconds: float, seed: int) -> list[Claim]:
    """The soak, its quiet end, and the claims."""
    with debian_server(free_port()) as server, tempfile.TemporaryDirectory(prefix="imagejobs-soak-") as directory:
        connection = await asyncpg.connect(server.dsn)
        await migrate(connection, install)
        await connection.close()
        async with running(Options(port=0, fault_rate=0.2, seed=seed)) as fake:
            return await _soak(seconds, seed, server, fake, directory)


async def _soak(seconds: float, seed: int, server: DebianServer, fake: FakeProvider, directory: str) -> list[Claim]:
    database = await Database.connect(server.dsn, PoolOptions(max_size=2))
    key = str(await create_key(database, "soak"))
    port = free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": server.dsn,
        "PORT": str(port),
        "IMAGEJOBS_DATA_DIR": directory,
        "IMAGEJOBS_FAKE_BASE_URL": fake.url,
        "IMAGEJOBS_FAKE_API_KEY": "any",
        "IMAGEJOBS_HEARTBEAT_SECONDS": "2",
        "IMAGEJOBS_DEQUEUE_SECONDS": "1",
        "IMAGEJOBS_SWEEP_SECONDS": "2",
    }
    soak = Soak(
        url=f"http://127.0.0.1:{port}",
        key=key,
        server=server,
        api=Process(("api",), environment),
        workers=[Process(("worker",), environment) for _ in range(WORKERS)],
        chance=random.Random(seed),  # noqa: S311 - a soak is not a secret
    )
    stop = asyncio.Event()
    keepers = [asyncio.create_task(process.keep(stop)) for process in (soak.api, *soak.workers)]
    striking = [
        asyncio.create_task(soak.every(10, 30, soak.kill_a_worker)),
        asyncio.create_task(soak.every(20, 60, soak.kill_the_api)),
        asyncio.create_task(soak.every(5, 40, soak.restart_postgres)),
    ]
    clients = [asyncio.create_task(soak.client(number)) for number in range(CLIENTS)]
    await _progress(soak, seconds)
    soak.is_over = True
    await asyncio.gather(*clients, *striking)
    took = await _settle(database, soak)
    claims = await _claims(database, soak, fake, took)
    stop.set()
    for process in (soak.api, *soak.workers):
        await process.end()
    await asyncio.gather(*keepers)
    await database.close()
    return claims


async def _progress(soak: Soak, seconds: float) -> None:
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        await asyncio.sleep(min(15.0, seconds - passed))
        deaths = sum(worker.deaths for worker in soak.workers)
        print(
            f"  {passed:6.0f} s  accepted {len(soak.accepted)}, workers killed {deaths}, database {soak.restarts}",
            flush=True,
        )


async def _settle(database: Database, soak: Soak) -> float:
    """Wait until every accepted job is final; how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < MOST_SECONDS_AFTER:
        with suppress(Exception):
            async with database.connection() as connection:
                left = await connection.fetchval(
                    "SELECT count(*) FROM image_generation_jobs WHERE id = ANY($1::uuid[]) AND status <> ALL($2)",
                    list(soak.accepted),
                    list(FINAL),
                )
            if left == 0:
                break
        await asyncio.sleep(0.2)
    return time.monotonic() - began


async def _claims(database: Database, soak: Soak, fake: FakeProvider, took: float) -> list[Claim]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT status, coalesce(error_reason, '') AS reason, count(*) AS jobs FROM image_generation_jobs GROUP BY 1, 2"
        )
        found = await connection.fetchval(
            "SELECT count(*) FROM image_generation_jobs WHERE id = ANY($1::uuid[])", list(soak.accepted)
        )
        unfinished = sum(row["jobs"] for row in rows if row["status"] not in FINAL)
        broken = await verify.broken(connection)
        booked = await books(connection)
        connections = await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    for row in sorted(rows, key=lambda row: -row["jobs"]):
        print(f"  {row['jobs']:6} {row['status']} {row['reason']}")
    print(f"  answers: {dict(soak.answers)}; broken: {broken}")
    memory, descriptors = zip(*(process.measure() for process in (soak.api, *soak.workers)), strict=True)
    return [
        Claim("accepted jobs that are not there", len(soak.accepted) - found, "", most=0),
        Claim("jobs that did not end", unfinished, "", most=0),
        Claim("invariants that do not hold", len(broken), "", most=0),
        Claim("billed, but not in the books", max(0, fake.bill.total_micros - booked) / 1e6, "$", most=0),
        Claim("jobs accepted", len(soak.accepted), "", least=1),
        Claim("workers killed", sum(worker.deaths for worker in soak.workers), ""),
        Claim("API killed", soak.api.deaths, ""),
        Claim("database stopped at once", soak.restarts, ""),
        Claim("until the last job ended", took, "s"),
        Claim("largest process", max(memory), "MB", most=250),
        Claim("most descriptors of a process", max(descriptors), "", most=200),
        Claim("database connections at the end", connections, "", most=60),
    ]


if __name__ == "__main__":
    length = float(sys.argv[1]) if len(sys.argv) > 1 else 1800.0
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    print(f"soak of {length:g} s, seed {first}", flush=True)
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # that the database is away is the point of it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(report(asyncio.run(run(length, first))))
