"""A worker process whose jobs stay where they are told: the first to come to each named point parks there, and it says so.

    python -m tests.support.parking POINT …

So one process that is killed, or stopped, stands at every point at once. It prints `POINT JOB` for each job that parked;
whatever comes on its standard input opens all points.
"""

import asyncio
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import replace
from typing import cast
from uuid import UUID

import uvloop

from imagejobs.bootstrap import Role, open_deps
from imagejobs.engine.pgq import Handle, PgqEngine
from imagejobs.settings import Settings, load_settings
from imagejobs.worker import drain_on_signals, run_worker

_job: ContextVar[UUID] = ContextVar("job")


class NamingEngine(PgqEngine):
    """Delivers so that a probe knows whose run it is in."""

    async def run(self, handle: Handle, stop: asyncio.Event) -> None:
        async def named(job_id: UUID, delivery_no: int) -> None:
            _job.set(job_id)
            await handle(job_id, delivery_no)

        await super().run(named, stop)


class Parking:
    """Holds one job at each point, until all are opened."""

    def __init__(self, points: Iterable[str]) -> None:
        self.free = set(points)
        self.opened = asyncio.Event()

    async def __call__(self, point: str) -> None:
        if point in self.free:
            self.free.remove(point)
            print(point, _job.get(), flush=True)  # noqa: T201 - the test reads it
            await self.opened.wait()

    def open_by_input(self) -> None:
        """Open the points once something comes on the standard input, or its end."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            loop.remove_reader(sys.stdin)
            self.opened.set()

        loop.add_reader(sys.stdin, read)


async def work(settings: Settings, points: Iterable[str]) -> None:
    stop, parking = asyncio.Event(), Parking(points)
    parking.open_by_input()
    async with open_deps(settings, Role.WORKER) as deps:
        drain_on_signals(stop, lambda: None)
        engine = NamingEngine(cast("PgqEngine", deps.engine)._options)
        await run_worker(replace(deps, engine=engine, probe=parking), settings.concurrency, stop)


if __name__ == "__main__":
    uvloop.run(work(load_settings(), sys.argv[1:]))
