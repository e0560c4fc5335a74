"""Stopping: a purchase that its provider works on is called off there, when somebody cancels the job."""

import asyncio
import logging
from dataclasses import dataclass
from uuid import UUID

from imagejobs.app.deps import Deps
from imagejobs.db import job_reads
from imagejobs.domain.jobs import Claim
from imagejobs.errors import CancelRequested, DatabaseUnavailable
from imagejobs.ports import Provider

logger = logging.getLogger(__name__)

_STOP_SECONDS = 15.0
_LOOK_SECONDS = 1.0


@dataclass
class Stop:
    """Whether the provider was asked to stop; it is asked once in each run of a job."""

    is_tried: bool = False


async def pause(deps: Deps, claim: Claim, stop: Stop, seconds: float) -> None:
    """Wait before the next poll; news of a cancel that the provider has not heard of ends it early."""
    nap = asyncio.ensure_future(deps.clock.sleep(seconds))
    with deps.waiters.waiting(claim.job_id) as news:
        called = asyncio.ensure_future(news.wait())
        try:
            await asyncio.wait({nap} if stop.is_tried else {nap, called}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nap.cancel()
            called.cancel()


async def stop_if_asked(deps: Deps, claim: Claim, stop: Stop, provider: Provider, remote_id: str) -> None:
    """Pass a cancel on to the provider; `CancelRequested` where it says that nothing is charged.

    Where it cannot or will not stop, the purchase goes on: its picture will be paid for, and is then kept.
    """
    if stop.is_tried or not await _canceled_among(deps, [claim.job_id]):
        return
    stop.is_tried = True
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            is_stopped = await provider.cancel(remote_id)
    except Exception:
        logger.warning("attempt.stop_failed", extra={"job_id": str(claim.job_id), "provider": provider.name}, exc_info=True)
        return
    await deps.probe("cancel.after_stop")
    if is_stopped:
        raise CancelRequested(f"{provider.name} stopped the work before it charged for it.", is_stopped=True)


async def _canceled_among(deps: Deps, job_ids: list[UUID]) -> list[UUID]:
    """Those that somebody wants to stop; none while the database is away, for a purchase is not disturbed by that."""
    try:
        async with deps.database.connection() as connection:
            return await job_reads.cancel_requested(connection, job_ids)
    except DatabaseUnavailable as error:
        logger.warning("worker.database_away", extra={"detail": error.detail})
        return []


async def notice_cancels(deps: Deps) -> None:
    """Wake those who wait for a provider when their job is canceled, within about a second, until canceled itself."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        if waited_for := deps.waiters.job_ids:
            deps.waiters.wake(await _canceled_among(deps, waited_for))
