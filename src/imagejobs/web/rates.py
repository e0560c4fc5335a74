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
    """Requests a minute, each may come in one go; 0 for any number. Failures are keys and tokens that were refused."""

    per_key: int = 0
    per_address: int = 0
    failures_per_address: int = 0


@dataclass
class _Buckets:
    """One policy: a bucket of `quota` tokens for each sender, full again after a window. The least recent are forgotten."""

    name: str
    quota: int
    counted: str
    _left: "OrderedDict[bytes | str, tuple[float, float]]" = field(default_factory=OrderedDict)

    def take(self, sender: bytes | str, now: float, tokens: int = 1) -> float:
        """The tokens left after taking so many; below zero nothing was taken."""
        left, at = self._left.pop(sender, (float(self.quota), now))
        left = min(float(self.quota), left + (now - at) * self.quota / _WINDOW_SECONDS) - tokens
        self._left[sender] = (left if left >= 0 else left + tokens, now)
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

    A key counts by its whole text, proven or not, so that nobody can use up another's share by guessing its id. An address
    with too many failures gets no further keys looked at, but those that were taken lately: its good callers go on.
    """

    def __init__(self, app: ASGIApp, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._by_key = _Buckets("key", rates.per_key, "requests for this key")
        self._by_address = _Buckets("address", rates.per_address, "requests for this address")
        self._failures = _Buckets("failures", rates.failures_per_address, "refused keys from this address")
        self._proven: OrderedDict[bytes, None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        address = (scope.get("client") or ("",))[0]
        token = Headers(scope=scope).get("authorization")
        key = hashlib.blake2b(token.encode(), digest_size=16).digest() if token else None
        was_proven = key in self._proven
        taken = self._take(address, key)
        over = [(buckets, left) for buckets, left in taken if left < 0]

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                if key and not over:
                    is_refused = message["status"] == 401
                    self._learn(key, is_proven=scope.get("state", {}).get("is_proven", False), is_refused=is_refused)
                    self._failures.take(address, self._clock(), is_refused - (not was_proven))
                headers = MutableHeaders(scope=message)
                if taken:
                    headers["ratelimit-policy"] = ", ".join(buckets.policy for buckets, _ in taken)
                    headers["ratelimit"] = ", ".join(buckets.state(left) for buckets, left in taken)
            await send(message)

        if not over:
            await self._app(scope, receive, telling)
            return
        wait = max(-left * _WINDOW_SECONDS / buckets.quota for buckets, left in over)
        counted = " and ".join(buckets.counted for buckets, left in over)
        refusal = TooManyRequests(f"Too many {counted}; wait, and send the same again.", math.ceil(wait))
        await problem(refusal)(scope, receive, telling)

    def _take(self, address: str, key: bytes | None) -> list[tuple[_Buckets, float]]:
        now = self._clock()
        taken = []
        if self._by_address.quota:
            taken.append((self._by_address, self._by_address.take(address, now)))
        if key and self._by_key.quota:
            taken.append((self._by_key, self._by_key.take(key, now)))
        if key and self._failures.quota and key not in self._proven:
            left = self._failures.take(address, now)  # given back where the key was not refused
            taken += [(self._failures, left)] if left < 0 else []
        return taken

    def _learn(self, key: bytes, *, is_proven: bool, is_refused: bool) -> None:
        """Remember who was let in; a request that failed before its key was looked at says nothing of it."""
        if is_refused:
            self._proven.pop(key, None)
        elif is_proven:
            self._proven[key] = None
            self._proven.move_to_end(key)
        if len(self._proven) > _MOST_BUCKETS:
            self._proven.popitem(last=False)
