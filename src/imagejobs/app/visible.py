"""A job as its caller may change it: locked, or exactly as absent as another tenant's."""

from uuid import UUID

from imagejobs.db import jobs
from imagejobs.domain.access import Caller, Operation
from imagejobs.domain.jobs import Job
from imagejobs.errors import NotFound
from imagejobs.ports import Transaction


async def lock_visible(tx: Transaction, caller: Caller, job_id: UUID, operation: Operation = Operation.CHANGE_JOB) -> Job:
    """The row, locked until the transaction ends; `NotFound` where it is not the caller's, then what is not allowed."""
    job = await jobs.lock_any(tx, job_id)
    if job is None or not caller.sees(job.project_id):
        raise NotFound("There is no such job.")
    caller.require_allowed(job.project_id, operation)
    return job
