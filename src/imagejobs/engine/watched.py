"""PgQueuer's parts, watched: what it says late, or never, of a database that went away is said at once here."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import FailingListenerError
from pgqueuer.domain.models import HealthCheckEvent, Job as PgqJob
from pgqueuer.domain.types import QueueEntrypoint

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

    async def queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        return await self.pulse.of(super().queued_work(entrypoints))

    async def eligible_queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        return await self.pulse.of(super().eligible_queued_work(entrypoints))

    async def next_deferred_eta(self, entrypoints: list[QueueEntrypoint]) -> timedelta | None:
        return await self.pulse.of(super().next_deferred_eta(entrypoints))


class PatientReader(QueueManager):
    """Asks twice before it takes its listener for dead: the first question may be sent before anybody listens."""

    async def listener_healthy(self, timeout: timedelta = timedelta(seconds=10)) -> HealthCheckEvent:  # noqa: ASYNC109
        try:
            return await super().listener_healthy(timeout)
        except FailingListenerError:
            return await self._asked_again(timeout)

    async def _asked_again(self, timeout: timedelta) -> HealthCheckEvent:  # noqa: ASYNC109
        try:
            return await super().listener_healthy(timeout)
        except Exception:
            if isinstance(self.queries, WatchedQueries):
                self.queries.pulse.failed.set()
            raise
