"""Waiting for jobs, event by event: no state is missed, however short it was, and a service that goes away is waited for."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from imagejobs.client.errors import Refused, Unreachable, WaitTimedOut
from imagejobs.client.http import REPEATED_STATUSES, Client
from imagejobs.client.models import FINAL_STATUSES, Event, Job

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often is asked: soon after news, ever less without; and how long a silent service is put up with.

    `silence_seconds` counts only for a wait without a timeout; one with a timeout puts up with silence until then.
    """

    shortest_seconds: float = 0.15
    longest_seconds: float = 1.0
    silence_seconds: float = 300.0
    request_seconds: float = 20.0


class Wait:
    """One wait for jobs; `on_silence` is called with the reason once for each time that the service goes away."""

    def __init__(
        self,
        client: Client,
        *,
        timeout_seconds: float | None = None,
        patience: Patience | None = None,
        on_silence: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._timeout = timeout_seconds
        self._manner = patience or Patience()
        self._on_silence = on_silence
        self._deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds

    def follow(self, job_ids: Collection[str], *, after: Mapping[str, int] | None = None) -> Iterator[tuple[str, Event]]:
        """Yield each job's events from its first, or the one behind `after`, to its last, ending when all jobs have ended.

        A failed job that a person retried has not ended. Raises `WaitTimedOut` once the time is over, `Unreachable` where
        the service was silent to the end; the jobs go on, and the error names them.
        """
        open_jobs = {job_id: (after or {}).get(job_id, 0) for job_id in job_ids}
        pause = self._manner.shortest_seconds
        while open_jobs:
            news = False
            for job_id in list(open_jobs):
                unseen = [event for event in self._events(job_id, open_jobs) if event.seq > open_jobs[job_id]]
                news = news or bool(unseen)
                yield from ((job_id, event) for event in unseen)
                _advance(open_jobs, job_id, unseen)
            if open_jobs:
                pause = self._manner.shortest_seconds if news else min(pause * 1.3, self._manner.longest_seconds)
                self._sleep(pause, open_jobs)

    def job(self, job_id: str) -> Job:
        """The job as it stands, asked for again while the service is away."""
        return self._patiently(lambda seconds: self._client.job(job_id, within_seconds=seconds), [job_id])

    def _events(self, job_id: str, open_ids: Collection[str]) -> list[Event]:
        return self._patiently(lambda seconds: self._client.events(job_id, within_seconds=seconds), open_ids)

    def _patiently(self, ask: Callable[[float], _Answer], open_ids: Collection[str]) -> _Answer:
        """What `ask` answers, asked again while the service is away, whether it refuses connections or says so itself."""
        silent_since = time.monotonic()
        is_told = False
        while True:
            try:
                return ask(self._request_seconds())
            except (Unreachable, Refused) as error:
                if isinstance(error, Refused) and error.status not in REPEATED_STATUSES:
                    raise
                left = self._left(silent_since)
                if left <= 0:
                    raise Unreachable(str(error), open_ids) from error
                if not is_told:
                    self._on_silence(str(error))
                is_told = True
                time.sleep(min(self._manner.longest_seconds, left))

    def _left(self, silent_since: float) -> float:
        end = silent_since + self._manner.silence_seconds if self._deadline is None else self._deadline
        return end - time.monotonic()

    def _request_seconds(self) -> float:
        """No request outlasts the wait by more than a moment."""
        if self._deadline is None:
            return self._manner.request_seconds
        return max(1.0, min(self._manner.request_seconds, self._deadline - time.monotonic()))

    def _sleep(self, seconds: float, open_ids: Collection[str]) -> None:
        if self._deadline is None or self._timeout is None:
            time.sleep(seconds)
            return
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise WaitTimedOut(open_ids, self._timeout)
        time.sleep(min(seconds, left))


def _advance(open_jobs: dict[str, int], job_id: str, unseen: list[Event]) -> None:
    """Remember what was seen of the job; it is open no more where its last state is a final one."""
    if unseen:
        open_jobs[job_id] = unseen[-1].seq
    last = next((event.status for event in reversed(unseen) if event.status is not None), None)
    if last in FINAL_STATUSES:
        del open_jobs[job_id]
