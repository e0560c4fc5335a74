"""Server-sent events: one job, from any event on (WHATWG HTML, section 9.2)."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, aclosing, suppress
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from imagejobs.app.deps import Deps
from imagejobs.app.follow import follow_job
from imagejobs.domain.access import Caller
from imagejobs.domain.events import Event
from imagejobs.domain.jobs import Job
from imagejobs.errors import MalformedRequest
from imagejobs.web.api.answers import iso
from imagejobs.web.auth import asking_again

MEDIA_TYPE = "text/event-stream"
_RETRY_MILLISECONDS = 1_000  # and up to twice as many more: those whom one process sends away do not come back at once
_PING = ": ping\n\n"


class EventStream(StreamingResponse):
    """A stream that has a place of its caller's while it lasts."""

    media_type = MEDIA_TYPE

    def __init__(self, content: AsyncIterator[str], place: AbstractContextManager[None]) -> None:
        super().__init__(content, headers={"x-accel-buffering": "no"})
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(HTTPException), self._place:  # a request whose body does not end in time ends its stream
            await super().__call__(scope, receive, send)


def wants_stream(request: Request) -> bool:
    """Whether the caller asks for events as they come."""
    return MEDIA_TYPE in request.headers.get("accept", "").lower()


def last_seen(request: Request) -> int:
    """The event behind which the stream begins: from the header, else from the query, else the beginning."""
    word = request.headers.get("last-event-id") or request.query_params.get("last_event_id") or "0"
    if not word.isascii() or not word.isdigit() or len(word) > 18:
        raise MalformedRequest("Last-Event-ID must be the id of an event of this job, a whole number.")
    return int(word)


def stream_of(request: Request, deps: Deps, caller: Caller, job: Job | None, after_seq: int) -> Response:
    """The job's events after `after_seq` as they come; 204 where none can come any more, so that clients stop asking."""
    if job is None:
        return Response(status_code=204)
    batches = follow_job(deps, asking_again(request), job, after_seq)
    return EventStream(_written(deps, batches), deps.waiters.place(caller, deps.policy.streams_per_caller))


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
