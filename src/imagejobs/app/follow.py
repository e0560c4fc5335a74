"""Follow: wait for news of a job, holding neither a database connection nor a lock meanwhile."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import nullcontext
from typing import TypeAlias
from uuid import UUID

from imagejobs.app.deps import Deps
from imagejobs.app.query import JobView, get_job
from imagejobs.app.visible import visible_job
from imagejobs.app.waiters import wait_for
from imagejobs.db import events
from imagejobs.domain.access import Caller, Operation
from imagejobs.domain.events import Event
from imagejobs.domain.jobs import Job
from imagejobs.domain.lifecycle import FINAL
from imagejobs.errors import DatabaseUnavailable, RequestError, SignInUnavailable

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 4.0  # at the most 4.8, and 5 for which a revoked key may be remembered: within 10 a stream is ended
_DEAF_LOOK_SECONDS = 2.0
_READ_SECONDS = 15.0

AskAgain: TypeAlias = Callable[[], Awaitable[Caller]]
"""Who sent the request, by the credential's standing at this moment; raises where it is not good any more."""


async def await_job(
    deps: Deps, caller: Caller, ask_again: AskAgain, job_id: UUID, seconds: float, is_enough: Callable[[JobView], bool]
) -> JobView:
    """The job as soon as it is enough, at the latest after so many seconds, or when the process drains.

    Who loses the right to see the job while waiting is refused.
    """
    end = deps.clock.monotonic() + seconds
    place = deps.waiters.place(caller, deps.policy.streams_per_caller) if seconds else nullcontext()
    with place, deps.waiters.waiting(job_id) as news:
        while True:
            news.clear()
            view = await get_job(deps, caller, job_id)
            left = end - deps.clock.monotonic()
            if is_enough(view) or left <= 0 or deps.waiters.is_closing:
                return view
            await wait_for(news, min(left, _patience(deps)))
            caller = await ask_again()


async def begin_following(deps: Deps, caller: Caller, job_id: UUID, after_seq: int) -> Job | None:
    """The job to follow, if it is the caller's; None where it is finished and nothing comes after `after_seq`."""
    async with deps.database.connection() as connection:
        job = await visible_job(connection, caller, job_id)
    return None if job.status in FINAL and after_seq >= job.event_seq else job


async def follow_job(deps: Deps, ask_again: AskAgain, job: Job, after_seq: int) -> AsyncGenerator[list[Event]]:
    """Yield the job's events after `after_seq`, in order and without a gap, as they come; an empty list is a sign of life.

    Ends behind a final event, after `stream_seconds`, when the process drains, and within seconds of the caller losing the
    right to see the job. While the database is away it lives on.
    """
    end = deps.clock.monotonic() + deps.policy.stream_seconds
    seen, read_at = min(after_seq, job.event_seq), 0.0
    with deps.waiters.waiting(job.id) as news:
        while not deps.waiters.is_closing and deps.clock.monotonic() < end:
            now = deps.clock.monotonic()
            is_due = news.is_set() or now >= read_at or not deps.waiters.is_listening
            news.clear()
            try:
                (await ask_again()).require_project(job.project_id, Operation.READ_JOB)
                found = await _read(deps, job, seen) if is_due else []
            except DatabaseUnavailable:
                found, is_due = [], False
            except (RequestError, SignInUnavailable) as refusal:
                logger.info("stream.refused", extra={"job_id": str(job.id), "reason": refusal.reason})
                return
            yield found
            read_at = now + _READ_SECONDS if is_due else read_at
            if found:
                seen = found[-1].seq
            if found and found[-1].data.get("status") in FINAL:
                return
            if len(found) == events.MOST:
                news.set()
            await wait_for(news, _patience(deps))


async def _read(deps: Deps, job: Job, seen: int) -> list[Event]:
    async with deps.database.connection() as connection:
        return await events.of_job(connection, job.id, seen)


def _patience(deps: Deps) -> float:
    """How long to trust that news would have come; shorter while nobody listens, spread so that not all look at once."""
    seconds = _LOOK_SECONDS if deps.waiters.is_listening else _DEAF_LOOK_SECONDS
    return min(seconds, deps.policy.ping_seconds) * (0.8 + 0.4 * deps.clock.chance())
