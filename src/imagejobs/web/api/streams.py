"""Server-sent events: one job, from any event on (WHATWG HTML, section 9.2)."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from imagejobs.app.deps import Deps
from imagejobs.app.follow import follow_job
from imagejobs.domain.events import Event
from imagejobs.domain.jobs import Job
from imagejobs.errors import MalformedRequest
from imagejobs.web.api.answers import iso
from imagejobs.web.auth import asking_again

MEDIA_TYPE = "text/event-stream"
_HEADERS = {"x-accel-buffering": "no"}
_STALLED_SECONDS = 30.0
_RETRY_MILLISECONDS = 1_000  # and up to twice as many more: those whom one process sends away do not come back at once
_PING = ": ping\n\n"


class EventStream(StreamingResponse):
    """A stream whose reader must take something every half minute; one that does not is left."""

    media_type = MEDIA_TYPE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def bounded(message: Message) -> None:
            async with asyncio.timeout(_STALLED_SECONDS):
                await send(message)

        try:
            await super().__call__(scope, receive, bounded)
        except TimeoutError:
            return


def wants_stream(request: Request) -> bool:
    """Whether the caller asks for events as they come."""
    return MEDIA_TYPE in request.headers.get("accept", "").lower()


def last_seen(request: Request) -> int:
    """The event behind which the stream begins: from the header, else from the query, else the beginning."""
    word = request.headers.get("last-event-id") or request.query_params.get("last_event_id") or "0"
    if not word.isascii() or not word.isdigit() or len(word) > 18:
        raise MalformedRequest("Last-Event-ID must be the id of an event of this job, a whole number.")
    return int(word)


def stream_of(request: Request, deps: Deps, job: Job | None, after_seq: int) -> Response:
    """The job's events after `after_seq` as they come; 204 where none can come any more, so that clients stop asking."""
    if job is None:
        return Response(status_code=204)
    return EventStream(_written(deps, follow_job(deps, asking_again(request), job, after_seq)), headers=_HEADERS)


async def _written(deps: Deps, batches: AsyncGenerator[list[Event]]) -> AsyncIterator[str]:
    written_at = deps.clock.monotonic()
    yield f"retry: {round(_RETRY_MILLISECONDS * (1 + 2 * deps.clock.chance()))}\n\n"
    async with aclosing(batches):
        async for batch in batches:
            now = deps.clock.monotonic()
            if batch:
                yield "".join(map(_text, batch))
            elif now - written_at >= deps.policy.ping_seconds:
                yield _PING
            else:
                continue
            written_at = now


def event_json(event: Event) -> dict[str, Any]:
    """The event as `EventBody` describes it."""
    return {"seq": event.seq, "kind": event.kind.value, "at": iso(event.created_at), "data": dict(event.data)}


def _text(event: Event) -> str:
    data = json.dumps(event_json(event), ensure_ascii=False, separators=(",", ":"))
    return f"id: {event.seq}\nevent: {event.kind.value}\ndata: {data}\n\n"
