"""Queue depth: a queue that is full refuses, before jobs wait past their deadlines and before the database suffers."""

from imagejobs.app.caches import Depth
from imagejobs.app.deps import Deps
from imagejobs.db import job_reads
from imagejobs.errors import TooManyRequests

_AGAIN_SECONDS = 10.0
_FULL = "The {whose} has room for {limit} jobs, and is full; nothing was accepted. Send the same again later."


async def require_room(deps: Deps, project_id: str, jobs: int) -> None:
    """Refuse jobs that would take the queue over a limit.

    Counted at most once a second for each project, so that a process may let in a second's worth too many.
    """
    policy = deps.policy
    if not (policy.max_queued or policy.max_queued_per_project):
        return
    now = deps.clock.monotonic()
    found = deps.depths.get(project_id, now)
    if found is None:
        async with deps.database.connection() as connection:
            limits = (policy.max_queued, policy.max_queued_per_project)
            found = Depth(*await job_reads.count_queued(connection, project_id, *limits))
        deps.depths.put(project_id, found, now)
    if policy.max_queued and found.in_all + jobs > policy.max_queued:
        raise TooManyRequests(_FULL.format(whose="queue", limit=policy.max_queued), _AGAIN_SECONDS)
    if policy.max_queued_per_project and found.in_project + jobs > policy.max_queued_per_project:
        raise TooManyRequests(_FULL.format(whose="project's queue", limit=policy.max_queued_per_project), _AGAIN_SECONDS)
    found.in_all += jobs
    found.in_project += jobs
