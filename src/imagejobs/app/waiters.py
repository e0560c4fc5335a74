"""Who in this process waits for news of which job."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from imagejobs.domain.access import Caller
from imagejobs.errors import TooManyStreams

_AGAIN_SECONDS = 10.0


@dataclass
class Waiters:
    """Events to set, by job; and what `app.news` has still to tell the other processes."""

    is_listening: bool = False
    is_closing: bool = False
    untold: dict[UUID, None] = field(default_factory=dict)
    telling: asyncio.Task[None] | None = None
    _of: dict[UUID, set[asyncio.Event]] = field(default_factory=dict)
    _taken: Counter[str] = field(default_factory=Counter)

    @property
    def job_ids(self) -> list[UUID]:
        return list(self._of)

    @contextmanager
    def waiting(self, job_id: UUID) -> Iterator[asyncio.Event]:
        """An event that news of the job sets, while the block lasts."""
        event = asyncio.Event()
        self._of.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            waiting = self._of[job_id]
            waiting.discard(event)
            if not waiting:
                del self._of[job_id]

    @contextmanager
    def place(self, caller: Caller, most: int) -> Iterator[None]:
        """A place of the caller's, while the block lasts; `TooManyStreams` where they have `most`, 0 for any number."""
        name = caller.key_id or caller.name
        if 0 < most <= self._taken[name]:
            detail = f"You stream or wait for {most} jobs at once, as many as you may; end one, or come back later."
            raise TooManyStreams(detail, _AGAIN_SECONDS)
        self._taken[name] += 1
        try:
            yield
        finally:
            self._taken[name] -= 1
            self._taken += Counter()  # forgets who has none

    def wake(self, job_ids: Iterable[UUID]) -> None:
        """Set the events of those who wait for one of the jobs."""
        for job_id in job_ids:
            for event in self._of.get(job_id, ()):
                event.set()

    def begin_listening(self) -> None:
        """From now on others' news is heard; what was missed is read from the rows."""
        self.is_listening = True
        self.wake(self.job_ids)

    def close(self) -> None:
        """Send everybody away: the process ends."""
        self.is_closing = True
        self.wake(self.job_ids)


async def wait_for(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
