"""Another priority for a job that waits: its message goes, and another comes, in one commit."""

from uuid import UUID

from imagejobs.app.conclude import message_for
from imagejobs.app.deps import Deps
from imagejobs.app.news import tell
from imagejobs.app.query import JobView
from imagejobs.app.visible import lock_visible
from imagejobs.db import jobs
from imagejobs.domain.access import Caller, Scope
from imagejobs.domain.jobs import JobStatus
from imagejobs.errors import InvalidTransition


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
