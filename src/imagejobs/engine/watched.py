"""PgQueuer's parts, watched: what it says late, or never, of a database that went away is said at once here."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import FailingListenerError
from pgqueuer.domain.models import HealthCheckEvent, Job as PgqJob

_Answer = TypeVar("_Answer")


class Pulse:
    """Whether a reader of the queue lives: `failed` once a question was refused, silent while none is answered."""

    def __init__(self) -> None:
        self.failed = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()
        self._in_hand = 0
        self._answered_at = time.monotonic()

    @contextmanager
    def in_hand(self) -> Iterator[None]:
        """A message is being worked on; not `idle` meanwhile."""
        self._in_hand += 1
        self.idle.clear()
        try:
            yield
        finally:
            self._in_hand -= 1
            if self._in_hand == 0:
                self.idle.set()

    async def of(self, asking: Awaitable[_Answer]) -> _Answer:
        """The answer, noting that there was one, or that there was none."""
        try:
            answer = await asking
        except Exception:
            self.failed.set()
            raise
        self._answered_at = time.monotonic()
        return answer

    async def silent_for(self, seconds: float) -> None:
        """Return when nothing was answered for so long: a connection hangs, or the reader itself does."""
        left = seconds
        while left > 0:
            await asyncio.sleep(left)
            left = self._answered_at + seconds - time.monotonic()


class WatchedQueries(Queries):
    """Says at once when the queue cannot be read; the manager itself says it only when its messages in hand are done."""

    pulse: Pulse
    room: Callable[[], int]

    async def dequeue(self, *args: Any, **options: Any) -> list[PgqJob]:  # noqa: ANN401 - handed on as it came
        """Take as many as there is room for here: PgQueuer's own limit counts rows that nobody has in hand any more, too."""
        if (room := self.room()) <= 0:
            return []
        options["batch_size"] = min(options["batch_size"], room)
        return await self.pulse.of(super().dequeue(*args, **options))

    async def retry_job(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - handed on as it came
        """Give a message back; one that cannot be is left to its heartbeat, where whoever asks would delete it."""
        with suppress(Exception):
            await super().retry_job(*args, **options)


class PatientReader(QueueManager):
    """Asks twice before it takes its listener for dead: the first question may be sent before anybody listens."""

    queries: WatchedQueries

    async def verify_structure(self) -> None:
        """Leave it: the tables are ours, and where a database is slow these many questions would outlast our patience."""

    async def listener_healthy(self, timeout: timedelta = timedelta(seconds=10)) -> HealthCheckEvent:  # noqa: ASYNC109
        with suppress(FailingListenerError):
            return await super().listener_healthy(timeout)
        return await self.queries.pulse.of(super().listener_healthy(timeout))

    async def _effective_dequeue_timeout(self, dequeue_timeout: timedelta) -> timedelta:
        """How long to sleep until the next look; it asks for that, also where there is no room to take anything."""
        return await self.queries.pulse.of(super()._effective_dequeue_timeout(dequeue_timeout))
