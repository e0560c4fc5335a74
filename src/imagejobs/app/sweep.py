"""Sweep: repair what deaths and lost messages left behind. Each step is small, safe to repeat, safe to run twice at once."""

import asyncio
import logging
from uuid import UUID

from imagejobs.app.conclude import fail_overdue, message_for
from imagejobs.app.deps import Deps
from imagejobs.app.neighbors import take_over_from_dead
from imagejobs.app.news import tell
from imagejobs.db import attempts, inputs, job_reads, jobs
from imagejobs.errors import DatabaseUnavailable
from imagejobs.ports import Health

logger = logging.getLogger(__name__)

_PAGE = 200
_RUNNING_GRACE_SECONDS = 300.0
_STORAGE_SECONDS = 10.0


async def sweep(deps: Deps) -> None:
    """One round; a step that fails is the next round's business, and keeps no other from being taken."""
    for step in (take_over_from_dead, _fail_overdue, _redeliver_forgotten, _prune, _weigh_staging, _ask_storage):
        try:
            await step(deps)
        except DatabaseUnavailable as error:
            logger.warning("sweep.database_away", extra={"detail": error.detail})
        except Exception:
            logger.exception("sweep.internal_error")


async def _fail_overdue(deps: Deps) -> None:
    """Fail open jobs whose deadline passed, each for itself; a running one gets time to store what it paid for."""
    while True:
        async with deps.database.transaction() as tx:
            job = await jobs.overdue(tx, _RUNNING_GRACE_SECONDS)
            if job is None:
                return
            await fail_overdue(deps, tx, job)
        tell(deps, job.id)


async def _redeliver_forgotten(deps: Deps) -> None:
    """Give every open job that has no message a new one: its worker's message was lost with it."""
    after: UUID | None = None
    while True:
        async with deps.database.connection() as connection:
            page = await job_reads.open_deliveries(connection, after, deps.policy.idle_seconds, _PAGE)
            delivered = await deps.engine.delivered(connection, page)
        for job_id, delivery_no in page:
            if job_id not in delivered:
                await _redeliver(deps, job_id, delivery_no)
        await deps.probe("janitor.mid_batch")
        if len(page) < _PAGE:
            return
        after = page[-1][0]


async def _redeliver(deps: Deps, job_id: UUID, delivery_no: int) -> None:
    async with deps.database.transaction() as tx:
        job = await jobs.redeliver(tx, job_id, delivery_no)
        if job is None:
            return
        await deps.engine.enqueue(tx, [message_for(job)])
    logger.warning("job.redelivered", extra={"job_id": str(job_id)})


async def _prune(deps: Deps) -> None:
    async with deps.database.transaction() as tx:
        await attempts.prune_staged_bytes(tx, deps.policy.staged_bytes_days, _PAGE)
        await inputs.release(tx, deps.policy.staged_bytes_days, _PAGE)
        await inputs.prune(tx, _PAGE)
        await deps.engine.prune(tx)


async def _weigh_staging(deps: Deps) -> None:
    """Warn at half of what may wait to be stored; at the whole of it, buy nothing more until pictures are stored again.

    From half of it on, what can never be stored goes.
    """
    limit = deps.policy.staged_bytes_limit
    async with deps.database.transaction() as tx:
        staged = await attempts.staged_total(tx, is_exact=False)
        if staged >= limit / 2:
            await attempts.drop_useless_bytes(tx, _PAGE)
            staged = await attempts.staged_total(tx, is_exact=True)
    deps.staging_room.is_full = staged >= limit
    if staged >= limit / 2:
        logger.warning("staging.filling", extra={"staged_bytes": staged, "limit_bytes": limit})


async def _ask_storage(deps: Deps) -> None:
    """Ask how it is: once at the start, and for as long as it refuses its key. That is free, unlike one more picture."""
    room = deps.staging_room
    if room.was_asked and not room.is_refused:
        return
    try:
        async with asyncio.timeout(_STORAGE_SECONDS):
            health = await deps.storage.check()
    except TimeoutError:
        health = Health(ok=False, detail=f"no answer within {_STORAGE_SECONDS:g} s")
    room.was_asked, room.is_refused = True, room.is_refused and not health.ok
    if not health.ok:
        logger.error("storage.not_well", extra={"detail": health.detail, "is_key_refused": room.is_refused})
