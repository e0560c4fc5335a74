"""Rate limits: token buckets in this process, told by the headers of the IETF's draft on RateLimit."""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imagejobs.errors import TooManyRequests
from imagejobs.web.problems import problem

_WINDOW_SECONDS = 60.0
_MOST_BUCKETS = 20_000


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Requests a minute, each may come in one go; 0 for any number."""

    per_key: int = 0
    per_address: int = 0


@dataclass
class _Buckets:
    """One policy: a bucket of `quota` tokens for each sender, full again after a window. The least recent are forgotten."""

    name: str
    quota: int
    _left: "OrderedDict[bytes | str, tuple[float, float]]" = field(default_factory=OrderedDict)

    def take(self, sender: bytes | str, now: float) -> float:
        """The tokens left after taking one; below zero nothing was taken."""
        left, at = self._left.pop(sender, (float(self.quota), now))
        left = min(float(self.quota), left + (now - at) * self.quota / _WINDOW_SECONDS) - 1
        self._left[sender] = (left if left >= 0 else left + 1, now)
        if len(self._left) > _MOST_BUCKETS:
            self._left.popitem(last=False)
        return left

    @property
    def policy(self) -> str:
        return f'"{self.name}";q={self.quota};w={_WINDOW_SECONDS:.0f}'

    def state(self, left: float) -> str:
        """What is left, and in how many seconds the whole quota is there again."""
        seconds = (self.quota - max(left, 0.0)) * _WINDOW_SECONDS / self.quota
        return f'"{self.name}";r={max(0, math.floor(left))};t={math.ceil(seconds)}'


class RateLimit:
    """Refuses requests to the API above the rates, before anything else looks at them.

    A key counts by its whole text, proven or not, so that nobody can use up another's share by guessing its id.
    """

    def __init__(self, app: ASGIApp, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._by_key = _Buckets("key", rates.per_key) if rates.per_key else None
        self._by_address = _Buckets("address", rates.per_address) if rates.per_address else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        taken = self._take(scope)

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start" and taken:
                headers = MutableHeaders(scope=message)
                headers["ratelimit-policy"] = ", ".join(buckets.policy for buckets, _ in taken)
                headers["ratelimit"] = ", ".join(buckets.state(left) for buckets, left in taken)
            await send(message)

        over = [(buckets, left) for buckets, left in taken if left < 0]
        if not over:
            await self._app(scope, receive, telling)
            return
        wait = max(-left * _WINDOW_SECONDS / buckets.quota for buckets, left in over)
        whose = " and ".join(buckets.name for buckets, _ in over)
        refusal = TooManyRequests(f"Too many requests for this {whose}; wait, and send the same again.", math.ceil(wait))
        await problem(refusal)(scope, receive, telling)

    def _take(self, scope: Scope) -> list[tuple[_Buckets, float]]:
        now = self._clock()
        taken = []
        if self._by_address is not None:
            taken.append((self._by_address, self._by_address.take((scope.get("client") or ("",))[0], now)))
        token = Headers(scope=scope).get("authorization")
        if self._by_key is not None and token:
            sender = hashlib.blake2b(token.encode(), digest_size=16).digest()
            taken.append((self._by_key, self._by_key.take(sender, now)))
        return taken
