"""The published keys of a Supabase project, fetched when they are needed and kept for ten minutes."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import jwt

from imagejobs.errors import SignInUnavailable, TokenRefused
from imagejobs.net.http import AnswerLost, AnswerTooLarge, NotSent, Outbound, OutboundRequest

logger = logging.getLogger(__name__)

ALGORITHMS = frozenset({"ES256", "RS256"})
KEPT_SECONDS = 600.0  # Supabase's own edge caches the document as long
STALE_SECONDS = 86_400.0  # while it cannot be fetched, the last one serves so long
UNKNOWN_KEY_SECONDS = 30.0  # between two fetches for key ids that are not in it
FAILED_SECONDS = 5.0  # after a fetch that failed
_DEADLINE_SECONDS = 3.0
_MOST_BYTES = 65_536
_MOST_KEYS = 32
_LEAST_RSA_BITS = 2_048


class SigningKeys:
    """Public keys by their id. Any number of requests at once cause one fetch; unknown ids cause one in thirty seconds."""

    def __init__(self, url: str, outbound: Outbound, now: Callable[[], float]) -> None:
        self._url = url
        self._outbound = outbound
        self._now = now
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._failed_at = self._unknown_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def get(self, key_id: str) -> jwt.PyJWK:
        """The key of that id; `TokenRefused` where the project has none, `SignInUnavailable` where that cannot be known."""
        if self._age() <= KEPT_SECONDS and key_id in self._keys:
            return self._keys[key_id]
        async with self._fetching:
            if self._is_fetch_due(key_id):
                await self._fetch()
        found = self._keys.get(key_id) if self._age() <= STALE_SECONDS else None
        if found is not None:
            return found
        if self._failed_at > self._fetched_at:
            raise SignInUnavailable("Your sign-in cannot be checked just now; keep the session and try again in a moment.")
        raise TokenRefused("token_key", "it is signed with a key that the project does not publish")

    def _age(self) -> float:
        return self._now() - self._fetched_at

    def _is_fetch_due(self, key_id: str) -> bool:
        if self._now() - self._failed_at < FAILED_SECONDS:
            return False
        if self._age() > KEPT_SECONDS:
            return True
        if key_id in self._keys or self._now() - self._unknown_at < UNKNOWN_KEY_SECONDS:
            return False
        self._unknown_at = self._now()
        return True

    async def _fetch(self) -> None:
        """Replace the keys; where that fails, the old ones stay."""
        try:
            self._keys = await self.published()
            self._fetched_at = self._now()
        except SignInUnavailable as error:
            self._failed_at = self._now()
            logger.warning("sign_in.keys_unavailable", extra={"problem": error.detail})

    async def published(self) -> dict[str, jwt.PyJWK]:
        """The usable keys of the document as it is now; `SignInUnavailable` says why it cannot be had."""
        request = OutboundRequest(
            method="GET", url=self._url, deadline_seconds=_DEADLINE_SECONDS, max_body_bytes=_MOST_BYTES
        )
        try:
            answer = await self._outbound.send(request)
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            return _parsed(answer.body)
        except (NotSent, AnswerLost, AnswerTooLarge, ValueError, RecursionError) as error:
            raise SignInUnavailable(f"The document {self._url} cannot be had: {error}") from error


def _parsed(body: bytes) -> dict[str, jwt.PyJWK]:
    """The document's keys that we take: public, of a pinned kind, strong enough. `ValueError` where it is no key set."""
    document = json.loads(body)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no key set")  # noqa: TRY004 - another's document, not a type of ours
    found = (_key(entry) for entry in listed[:_MOST_KEYS])
    return {key.key_id: key for key in found if key is not None and key.key_id is not None}


def _key(entry: Any) -> jwt.PyJWK | None:  # noqa: ANN401 - whatever the document holds
    if not isinstance(entry, dict) or entry.get("kty") not in ("EC", "RSA") or "d" in entry:
        return None
    if entry["kty"] == "EC" and entry.get("crv") != "P-256":
        return None
    if entry.get("use", "sig") != "sig" or not isinstance(entry.get("kid"), str):
        return None
    try:
        key = jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    is_weak = entry["kty"] == "RSA" and key.key.key_size < _LEAST_RSA_BITS
    return None if is_weak or key.algorithm_name not in ALGORITHMS else key
