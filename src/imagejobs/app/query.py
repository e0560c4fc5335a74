"""Reading jobs: one, or a page of them. Another tenant's look exactly like none."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from imagejobs.app.deps import Deps
from imagejobs.app.users import admitted
from imagejobs.app.visible import visible_job
from imagejobs.db import artifacts, events, job_reads
from imagejobs.db.job_reads import Filters
from imagejobs.domain.access import Caller, Scope
from imagejobs.domain.events import Event
from imagejobs.domain.jobs import Artifact, Job, JobStatus


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A job with its stored picture, where it has one."""

    job: Job
    artifact: Artifact | None
    thumbnail_url: str | None


@dataclass(frozen=True, kw_only=True)
class Page:
    """Jobs newest first, and where the next page begins."""

    views: tuple[JobView, ...]
    next_before: tuple[datetime, UUID] | None


async def get_job(deps: Deps, caller: Caller, job_id: UUID) -> JobView:
    """The job, if it is the caller's."""
    async with deps.database.connection() as connection:
        job = await visible_job(connection, caller, job_id)
        found = await artifacts.of_jobs(connection, [job_id]) if job.status is JobStatus.COMPLETED else {}
    return _view(job, found.get(job_id))


async def list_jobs(deps: Deps, caller: Caller, filters: Filters, before: tuple[datetime, UUID] | None, limit: int) -> Page:
    """A page of the caller's jobs; a filter for another tenant's project finds nothing."""
    caller.require(Scope.READ)
    for project_id in filters.project_ids or ():
        caller = await admitted(deps, caller, project_id)
    async with deps.database.connection() as connection:
        found = await job_reads.page(connection, _visible(caller, filters), before, limit + 1)
        page = found[:limit]
        pictures = await artifacts.of_jobs(connection, [job.id for job in page if job.status is JobStatus.COMPLETED])
    views = tuple(_view(job, pictures.get(job.id)) for job in page)
    more = len(found) > limit
    return Page(views=views, next_before=(page[-1].created_at, page[-1].id) if more else None)


def _visible(caller: Caller, filters: Filters) -> Filters:
    if caller.project_ids is None:
        return filters
    wanted = caller.project_ids if filters.project_ids is None else caller.project_ids.intersection(filters.project_ids)
    return replace(filters, project_ids=tuple(sorted(wanted)))


def _view(job: Job, artifact: Artifact | None) -> JobView:
    """The small picture stands beside the picture, wherever that was stored at its time."""
    thumbnail = None
    if artifact and artifact.thumbnail_key and job.public_url:
        thumbnail = job.public_url + artifact.thumbnail_key.removeprefix(artifact.object_key)
    return JobView(job=job, artifact=artifact, thumbnail_url=thumbnail)


async def job_events(deps: Deps, caller: Caller, job_id: UUID, after_seq: int) -> list[Event]:
    """The events of the caller's job after `after_seq`, in order."""
    async with deps.database.connection() as connection:
        await visible_job(connection, caller, job_id)
        return await events.of_job(connection, job_id, after_seq)
