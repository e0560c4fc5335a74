"""A job as its caller may see and change it, and as its worker may: or exactly as absent as another tenant's."""

from uuid import UUID

from imagejobs.db import job_reads, jobs
from imagejobs.db.pool import Connection
from imagejobs.domain.access import Caller, Operation, Scope
from imagejobs.domain.jobs import Claim, Job
from imagejobs.errors import LostClaim, NotFound
from imagejobs.ports import Transaction

_ANOTHERS = "Another worker owns the job now."


async def visible_job(connection: Connection, caller: Caller, job_id: UUID) -> Job:
    """The job, if the caller may read it; `NotFound` where it is not theirs."""
    caller.require(Scope.READ)
    job = await job_reads.by_id(connection, job_id)
    if job is None or not caller.sees(job.project_id):
        raise NotFound("There is no such job.")
    return job


async def lock_visible(tx: Transaction, caller: Caller, job_id: UUID, operation: Operation = Operation.CHANGE_JOB) -> Job:
    """The row, locked until the transaction ends; `NotFound` where it is not the caller's, then what is not allowed."""
    job = await jobs.lock_among(tx, job_id, caller.project_ids)
    if job is None:
        raise NotFound("There is no such job.")
    caller.require_allowed(job.project_id, operation)
    return job


async def lock_claimed(tx: Transaction, claim: Claim) -> Job:
    """The row, locked until the transaction ends; `LostClaim` where another worker owns the job now."""
    return held(await jobs.lock(tx, claim.job_id, claim.fence), _ANOTHERS)


async def move_claimed(tx: Transaction, claim: Claim, change: jobs.Change) -> Job:
    """The job, moved; `LostClaim` where another worker owns it now, and then nothing is written."""
    return held(await jobs.move(tx, claim.job_id, change), _ANOTHERS)


def held(job: Job | None, why: str = "The job changed under its lock.") -> Job:
    """The job as it was moved; `LostClaim` where it was not."""
    if job is None:
        raise LostClaim(why)
    return job
