"""Corrections: a person's word on what nobody could find out, and another priority for a job that waits."""

from uuid import UUID

from imagejobs.app.conclude import message_for
from imagejobs.app.deps import Deps
from imagejobs.app.news import tell
from imagejobs.app.query import JobView
from imagejobs.app.visible import lock_visible
from imagejobs.db import jobs, ledger
from imagejobs.domain.access import Caller, Operation, Scope
from imagejobs.domain.jobs import JobStatus
from imagejobs.errors import InvalidTransition


async def resolve_outcome(deps: Deps, caller: Caller, job_id: UUID, *, billed: bool) -> int:
    """Settle the job's unknown spend by new entries: posted as it was reserved, or released. The job itself stays as it is.

    The answer is what was posted, in micro-dollars. Raises `InvalidTransition` where nothing is unknown, as on a repeat.
    """
    caller.require(Scope.WRITE)
    async with deps.database.transaction() as tx:
        await lock_visible(tx, caller, job_id, Operation.RESOLVE_JOB)
        purchases = await ledger.unknown_purchases(tx, job_id)
        if not purchases:
            raise InvalidTransition("Nothing about this job's cost is unknown.")
        posted = sum([await ledger.resolve(tx, one, billed=billed, by=caller.name) or 0 for one in purchases])
        if billed:
            await jobs.add_cost(tx, job_id, posted)
        await jobs.note_resolved(tx, job_id, "yes" if billed else "no")
    tell(deps, job_id)
    return posted


async def set_priority(deps: Deps, caller: Caller, job_id: UUID, priority: int) -> JobView:
    """Move a queued job within the queue, keeping its wait where it has one; the same priority again changes nothing.

    Raises `InvalidTransition` once a worker has the job, and for finished ones.
    """
    caller.require(Scope.WRITE)
    async with deps.database.transaction() as tx:
        job = await lock_visible(tx, caller, job_id)
        if job.status is not JobStatus.QUEUED:
            raise InvalidTransition(f"Only a queued job has a place in the queue; this one is {job.status.value}.")
        if job.priority == priority:
            return JobView(job=job, artifact=None, thumbnail_url=None)
        await deps.engine.withdraw(tx, job_id, job.delivery_no)
        moved, delay_seconds = await jobs.set_priority(tx, job_id, priority, caller.name)
        await deps.engine.enqueue(tx, [message_for(moved, delay_seconds)])
    tell(deps, job_id)
    return JobView(job=moved, artifact=None, thumbnail_url=None)
