"""Attempt: one delivered job, taken as far as it goes, one durable step at a time.

    claim  →  purchase: intent committed, then sent, then the bytes and their cost committed
           →  settle: object put into the storage, then the job completed in one commit

A crash between two steps is repaired by the next claim, which reads the attempt's stage and goes on from there.
"""

import logging
from uuid import UUID

from imagejobs.app.claim import claim_job
from imagejobs.app.conclude import conclude
from imagejobs.app.deps import Deps
from imagejobs.app.purchase import obtain
from imagejobs.app.room import MemoryRoom
from imagejobs.app.settle import make_thumbnail, store_and_settle
from imagejobs.domain.jobs import Claim
from imagejobs.errors import DatabaseUnavailable, ImageJobsError, InternalError, LostClaim

logger = logging.getLogger(__name__)

_DATABASE_PAUSE_SECONDS = 1.0


async def run_job(deps: Deps, job_id: UUID, delivery_no: int) -> None:
    """Take the job to its end, or back to the queue for later; never raises.

    Repeating it is always safe: a finished job, a stale message or a job that another worker took over is left alone.
    While the database is away it waits, and goes on where it was unless somebody else did.
    """
    held_fence: int | None = None
    while True:
        try:
            claim = await claim_job(deps, job_id, delivery_no, held_fence)
            if claim is not None:
                held_fence = claim.fence
                await _work(deps, claim)
        except LostClaim:
            logger.warning("job.claim_lost", extra={"job_id": str(job_id)})
        except DatabaseUnavailable as error:
            logger.warning("job.database_away", extra={"job_id": str(job_id), "detail": error.detail})
            await deps.clock.sleep(_DATABASE_PAUSE_SECONDS * (1 + deps.clock.chance()))
            continue
        return


async def _work(deps: Deps, claim: Claim) -> None:
    room = MemoryRoom(deps.places)
    try:
        attempt, data = await obtain(deps, claim, room)
        artifact = await store_and_settle(deps, claim, attempt, data)
        await make_thumbnail(deps, artifact, data)
    except (LostClaim, DatabaseUnavailable):
        raise
    except ImageJobsError as error:
        await conclude(deps, claim, error)
    except Exception:
        logger.exception("job.internal_error", extra={"job_id": str(claim.job_id)})
        await conclude(deps, claim, InternalError("A fault inside imagejobs stopped this job; its log says more."))
    finally:
        room.leave()
