"""The worker's life: start, take jobs, drain, stop."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from imagejobs.app.attempt import run_job
from imagejobs.app.deps import Deps
from imagejobs.app.neighbors import register, unregister
from imagejobs.app.news import told
from imagejobs.app.staging import stage_spooled
from imagejobs.app.stopping import notice_cancels
from imagejobs.app.sweep import sweep
from imagejobs.app.waiters import wait_for

logger = logging.getLogger(__name__)

_IMPATIENT_EXIT = 130


async def run_worker(deps: Deps, concurrency: int, stop: asyncio.Event) -> None:
    """Take jobs until `stop` is set, then finish those in hand.

    At its start it takes over what dead workers of this machine left, without waiting for their heartbeats to run out.
    """
    in_hand: dict[tuple[UUID, int], asyncio.Task[None]] = {}

    async def handle(job_id: UUID, delivery_no: int) -> None:
        """A message that comes again while in hand here, its heartbeats having stalled, is waited for, not begun anew."""
        message = (job_id, delivery_no)
        if message not in in_hand:
            in_hand[message] = asyncio.create_task(run_job(deps, job_id, delivery_no))
            in_hand[message].add_done_callback(lambda _: in_hand.pop(message))
        await asyncio.shield(in_hand[message])

    await register(deps, concurrency)
    await stage_spooled(deps)
    logger.info("worker.started", extra={"worker_id": str(deps.worker_id), "lanes": list(deps.providers)})
    async with _looking_after(deps, stop):
        await deps.engine.run(handle, stop)
    logger.info("worker.stopped", extra={"worker_id": str(deps.worker_id)})


@asynccontextmanager
async def _looking_after(deps: Deps, stop: asyncio.Event) -> AsyncIterator[None]:
    """Sweep and notice cancels while the block lasts; then say what is left to say, and take the worker off the list."""
    sweeper = asyncio.create_task(_sweep_until(deps, stop))
    noticing = asyncio.create_task(notice_cancels(deps))
    try:
        yield
    finally:
        stop.set()
        noticing.cancel()
        await sweeper
        await told(deps)
        await unregister(deps)


async def _sweep_until(deps: Deps, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await sweep(deps)
        await wait_for(stop, deps.policy.sweep_seconds * (0.8 + 0.4 * deps.clock.chance()))


def drain_on_signals(stop: asyncio.Event, announce: Callable[[], None]) -> None:
    """SIGTERM or SIGINT sets `stop`; a second one quits at once, leaving the jobs in hand to other workers."""

    def on_signal() -> None:
        if stop.is_set():
            logger.warning("worker.quit")
            os._exit(_IMPATIENT_EXIT)
        announce()
        stop.set()

    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, on_signal)
