"""Staging: paid bytes, their cost and the posting into the database in one commit; onto this disk while there is none.

Under no fence: these bytes are paid for, whoever owns the job now. Bytes that come after their attempt was called unknown
turn its unknown spend into posted, and wait there for a free retry.
"""

import asyncio
import hashlib
import logging

from imagejobs.app.deps import Deps
from imagejobs.db import attempts, jobs, ledger
from imagejobs.domain.jobs import Attempt
from imagejobs.errors import DatabaseUnavailable
from imagejobs.ports import Answer
from imagejobs.spool import Spooled

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.25


async def stage(deps: Deps, attempt: Attempt, answer: Answer) -> None:
    """Make the answer durable; returns when the database has it.

    While the database is away the bytes lie fsynced in the spool, so that a death in between loses nothing either; and for
    good where it will not have them. A repeat changes nothing, also where a commit's own answer was lost.
    """
    await deps.probe("stage.before_commit")
    spooled = Spooled(attempt_id=attempt.id, job_id=attempt.job_id, reservation_no=attempt.reservation_no, answer=answer)
    is_spooled = False
    try:
        while not await _try_to_stage(deps, spooled):
            is_spooled = is_spooled or await _spool(deps, spooled)
            await deps.clock.sleep(_PAUSE_SECONDS * (1 + deps.clock.chance()))
    except Exception:
        await _spool(deps, spooled)
        raise
    await deps.probe("stage.after_commit")
    if is_spooled:
        await asyncio.to_thread(deps.spool.forget, attempt.id)


async def stage_spooled(deps: Deps) -> None:
    """Stage what an earlier worker of this machine had to leave in the spool; the rest waits for the next start."""
    waiting = deps.spool.waiting()
    while (spooled := await asyncio.to_thread(next, waiting, None)) is not None:  # one at a time in memory
        about = {"attempt_id": str(spooled.attempt_id), "job_id": str(spooled.job_id)}
        try:
            if await _try_to_stage(deps, spooled):
                await asyncio.to_thread(deps.spool.forget, spooled.attempt_id)
                logger.info("spool.staged", extra=about)
        except Exception:
            logger.exception("spool.not_staged", extra=about)  # it keeps nobody from working


async def _spool(deps: Deps, spooled: Spooled) -> bool:
    try:
        await asyncio.to_thread(deps.spool.keep, spooled)
    except OSError:
        logger.exception("spool.full", extra={"attempt_id": str(spooled.attempt_id)})
        return False
    logger.warning("spool.kept", extra={"attempt_id": str(spooled.attempt_id), "job_id": str(spooled.job_id)})
    await deps.probe("spool.after_keep")
    return True


async def _try_to_stage(deps: Deps, spooled: Spooled) -> bool:
    answer = spooled.answer
    sha256 = hashlib.sha256(answer.data).digest()
    purchase = ledger.Purchase(job_id=spooled.job_id, reservation_no=spooled.reservation_no, attempt_id=spooled.attempt_id)
    try:
        async with deps.database.transaction() as tx:
            fresh = await attempts.answered(tx, spooled.job_id, spooled.attempt_id, answer)
            if fresh is None:
                await attempts.require(tx, spooled.attempt_id)
            else:
                await attempts.stage_bytes(tx, fresh, answer, sha256)
                is_new = await ledger.post(tx, purchase, answer.cost)
                await jobs.add_cost(tx, spooled.job_id, answer.cost.micros if is_new else 0, answer.metadata)
    except DatabaseUnavailable as error:
        logger.warning("stage.database_away", extra={"attempt_id": str(spooled.attempt_id), "detail": error.detail})
        return False
    return True
