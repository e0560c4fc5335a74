"""Every request that the fake provider saw, for a test to read."""

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from imagejobs.providers.fake_server.bill import now
from imagejobs.providers.fake_server.wire import Head

KEPT = 100_000


@dataclass
class Seen:
    """One request. `arrived` stays `partial` until its last byte came; `outcome` tells how the answer went out."""

    number: int
    method: str
    path: str
    api_key: str | None
    idempotency_key: str | None
    at: str = field(default_factory=now)
    arrived: str = "partial"
    body_bytes: int = 0
    body_sha256: str | None = None
    prompt: str | None = None
    purchase: str | None = None
    outcome: str | None = None

    def arrive(self, body: bytes) -> None:
        """Note that it is whole."""
        self.arrived, self.body_bytes = "whole", len(body)
        self.body_sha256 = hashlib.sha256(body).hexdigest()


@dataclass
class Journal:
    """The last 100,000 requests, and how many are open at once."""

    requests: deque[Seen] = field(default_factory=lambda: deque(maxlen=KEPT))
    count: int = 0
    in_flight: int = 0
    peak: int = 0

    def begin(self, head: Head | None) -> Seen:
        """A request has come, with its head at least, unless that broke off too."""
        self.count += 1
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        seen = Seen(
            number=self.count,
            method=head.method if head else "",
            path=head.path if head else "",
            api_key=head.api_key if head else None,
            idempotency_key=head.headers.get("idempotency-key") if head else None,
        )
        self.requests.append(seen)
        return seen

    def end(self, seen: Seen, outcome: str) -> None:
        """The exchange is over."""
        self.in_flight -= 1
        seen.outcome = outcome

    def reset(self) -> None:
        """Forget the past; what is open stays open."""
        self.requests.clear()
        self.count, self.peak = 0, self.in_flight

    def since(self, number: int) -> list[Mapping[str, Any]]:
        """The requests after that number."""
        return [asdict(seen) for seen in self.requests if seen.number > number]
