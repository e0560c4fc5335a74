"""What every answer there is says: which origins may read it (A15), and that it is not to be kept, framed or run."""

import logging
from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imagejobs.errors import InternalError
from imagejobs.web.problems import problem

logger = logging.getLogger(__name__)

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "Prefer")
EXPOSED_HEADERS = (
    *("Location", "Idempotent-Replayed", "ETag", "Retry-After", "Preference-Applied", "Allow", "WWW-Authenticate"),
    *("RateLimit", "RateLimit-Policy"),
)
_CAREFUL = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


def pages_of(origins: Sequence[str]) -> Middleware:
    """Lets pages of these origins read the answers."""
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=REQUEST_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        max_age=600,
    )


class LastResort:
    """Adds to each answer the careful headers that its route does not set otherwise, and answers where no route could.

    A fault of ours becomes a problem document that pages may read; the framework's own answer would stand outside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(header for header in _CAREFUL if header[0] not in there)]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if has_begun:
                raise
            logger.exception("http.internal_error", extra={"path": scope.get("path")})
            fault = InternalError("A fault inside imagejobs; its log says more. It is safe to try again.")
            await problem(fault)(scope, receive, watched)
