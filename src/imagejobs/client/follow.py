"""Waiting for jobs, event by event, so that no state is missed, however short it was."""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from imagejobs.client.errors import Unreachable, WaitTimedOut
from imagejobs.client.http import Client
from imagejobs.client.models import FINAL_STATUSES, Event


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often is asked: soon after news, ever less without; and how long a silent service is put up with."""

    shortest_seconds: float = 0.15
    longest_seconds: float = 1.0
    silence_seconds: float = 30.0


def follow(
    client: Client, job_ids: Collection[str], *, timeout_seconds: float | None = None, patience: Patience | None = None
) -> Iterator[tuple[str, Event]]:
    """Yield each job's events from its first to its last, ending when all jobs have ended.

    Raises `WaitTimedOut` after `timeout_seconds`, `Unreachable` once the service was silent for too long; the jobs go on.
    """
    manner = patience or Patience()
    open_jobs = dict.fromkeys(job_ids, 0)
    started = time.monotonic()
    pause = manner.shortest_seconds
    while True:
        news = list(_news(client, open_jobs, manner))
        yield from news
        for job_id, event in news:
            open_jobs[job_id] = event.seq
        for job_id in [job_id for job_id, event in news if event.status in FINAL_STATUSES]:
            open_jobs.pop(job_id, None)
        if not open_jobs:
            return
        pause = manner.shortest_seconds if news else min(pause * 1.3, manner.longest_seconds)
        left = pause if timeout_seconds is None else started + timeout_seconds - time.monotonic()
        if left <= 0:
            raise WaitTimedOut(list(open_jobs), timeout_seconds or 0)
        time.sleep(min(pause, left))


def _news(client: Client, open_jobs: dict[str, int], manner: Patience) -> Iterator[tuple[str, Event]]:
    """What happened since the last look; a final state ends a job's news, even if a person retried it meanwhile."""
    for job_id, seen in open_jobs.items():
        unseen = [event for event in _events(client, job_id, manner) if event.seq > seen]
        end = next((number for number, event in enumerate(unseen, 1) if event.status in FINAL_STATUSES), None)
        yield from ((job_id, event) for event in unseen[:end])


def _events(client: Client, job_id: str, manner: Patience) -> list[Event]:
    """The job's events, asked for again while the service is away."""
    silent_since = time.monotonic()
    while True:
        try:
            return client.events(job_id)
        except Unreachable:
            if time.monotonic() - silent_since > manner.silence_seconds:
                raise
            time.sleep(manner.longest_seconds)
