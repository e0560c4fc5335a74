"""Limits that hold before anything is parsed, and for which uvicorn has none: of sizes, and of what a client may dawdle."""

import asyncio
import math
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from imagejobs.errors import BodyTooLarge
from imagejobs.web.problems import problem

BODY_SECONDS = 30.0
INPUT_SECONDS = 300.0


class BodyLimit:
    """Refuses bodies above `most_bytes` with 413, from their length or as soon as they pass it; with 408 slow ones.

    At `input_path`, which takes pictures, the limits are `input_max_bytes` and `INPUT_SECONDS`.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, input_path: str, input_max_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._input_path = input_path
        self._input_max_bytes = input_max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_input = scope["path"] == self._input_path
        most_bytes, seconds = (self._input_max_bytes, INPUT_SECONDS) if is_input else (self._most_bytes, BODY_SECONDS)
        advice = "send a smaller picture" if is_input else "send pictures as inputs"
        error = BodyTooLarge(f"The body may have at most {most_bytes} bytes; {advice}.")
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or len(announced) > 18 or int(announced) > most_bytes:
            await problem(error)(scope, receive, send)
            return
        await self._app(scope, _bounded(receive, seconds, most_bytes, error), send)


def _bounded(receive: Receive, seconds: float, most_bytes: int, error: BodyTooLarge) -> Receive:
    """Raises `HTTPException`, the one error that FastAPI's reading of bodies lets through."""
    seen = 0
    until: float | None = asyncio.get_running_loop().time() + seconds

    async def bounded() -> Message:
        nonlocal seen, until
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"The body did not arrive within {seconds:g} seconds; send it again.") from None
        seen += len(message.get("body", b""))
        if seen > most_bytes:
            raise HTTPException(413, error.detail)
        if not message.get("more_body", False):
            until = None  # whoever asks on waits for the client to go
        return message

    return bounded


MAX_HEAD_BYTES = 65_536
HEAD_SECONDS = 15.0
STALLED_SECONDS = 60.0
_MOST_DECLINES = 8  # within one reading, for each copies what is behind it


def _patience(latest: RequestResponseCycle | None) -> float:
    """How many seconds the client may take for what it has to send now, by the latest request on its connection."""
    if latest is not None and latest.more_body:  # also where it ended behind its answer
        return BODY_SECONDS if latest.response_complete else INPUT_SECONDS + BODY_SECONDS
    return HEAD_SECONDS if latest is None or latest.response_complete else math.inf


class BoundedProtocol(HttpToolsProtocol):
    """Hangs up where `MAX_HEAD_BYTES` came, beside what the first reading brought, and nothing was whole.

    And on clients that let it wait, see `hang_up_if_late`. An offer of another protocol is declined as if it were not made.
    """

    _idle_bytes = _declines = 0
    _unsent_bytes = math.inf
    _taken_at = _since = 0.0
    _awaited: tuple[RequestResponseCycle | None, float] | None = None
    _running: RequestResponseCycle | None = None

    def hang_up_if_late(self) -> None:
        """Where a head takes too long, a body does not end soon after its answer, or nothing is taken of an answer.

        To be called about every second.
        """
        now, unsent = self.loop.time(), self.transport.get_write_buffer_size()
        if not unsent or unsent < self._unsent_bytes:
            self._taken_at = now
        self._unsent_bytes = unsent
        awaited = (self.cycle, _patience(self.cycle))
        if awaited != self._awaited or self.flow.read_paused:
            self._awaited, self._since = awaited, now
        if now - self._taken_at > STALLED_SECONDS:
            self.transport.abort()
        elif now - self._since > awaited[1]:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._idle_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        except HttpParserUpgrade as upgrade:
            self._decline(data[upgrade.args[0] :])
        if self._idle_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def _decline(self, rest: bytes) -> None:
        """Read the request again without its offer; the parser took what follows for another protocol's."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT" or self._declines == _MOST_DECLINES:
            self.send_400_response("This is no proxy." if method == b"CONNECT" else "Too many offers of another protocol.")
            return
        lines = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self._declines += 1
        self.data_received(b"\r\n".join([b"%b %b HTTP/%b" % (method, self.url, version), *lines, b"", rest]))
        self._declines -= 1

    def on_message_begin(self) -> None:
        self._idle_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._idle_bytes = 0
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._idle_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - uvicorn exports no type
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._running is not None:  # uvicorn tells only the last of pipelined requests
            self._running.disconnected = True
            self._running.message_event.set()
