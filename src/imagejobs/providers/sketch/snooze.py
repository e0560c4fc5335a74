"""Which throttled requests have waited long enough."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeAlias

Asked: TypeAlias = tuple[str, int | None, int, int]
"""Prompt, seed, width and height: what stays equal when a throttled job comes back under a new idempotency key."""

_MOST = 1024
_FORGET_AFTER_SECONDS = 600.0


@dataclass
class _Wait:
    opens_at: float
    sent_away: int


class Snoozes:
    """Sends each request away until its wait is over, and lets as many back in as it sent away.

    A job that is throttled closes its attempt and comes back with another one, so the idempotency key cannot tell who
    comes back; what is asked for can. Lives in one process and forgets the oldest of more than a thousand waits.
    """

    def __init__(self) -> None:
        self._waits: OrderedDict[Asked, _Wait] = OrderedDict()

    def remaining(self, asked: Asked, seconds: float, now: float) -> float:
        """How long this request still has to wait; 0 lets it in."""
        wait = self._waits.get(asked)
        if wait is None or now > wait.opens_at + _FORGET_AFTER_SECONDS:
            wait = self._waits[asked] = _Wait(opens_at=now + seconds, sent_away=0)
            self._waits.move_to_end(asked)
        if len(self._waits) > _MOST:
            self._waits.popitem(last=False)
        if now < wait.opens_at:
            wait.sent_away += 1
            return wait.opens_at - now
        wait.sent_away -= 1
        if wait.sent_away <= 0:
            del self._waits[asked]
        return 0.0
