"""Limits that hold before anything is parsed: of bodies, and of heads and trailers, which uvicorn collects without one."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from imagejobs.errors import BodyTooLarge
from imagejobs.web.problems import problem


class BodyLimit:
    """Refuses bodies above `most_bytes` with 413, from their announced length or as soon as they pass it.

    At `input_path`, which takes pictures, the limit is `input_max_bytes`.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, input_path: str, input_max_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._input_path = input_path
        self._input_max_bytes = input_max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_input = scope["path"] == self._input_path
        most_bytes = self._input_max_bytes if is_input else self._most_bytes
        advice = "send a smaller picture" if is_input else "send pictures as inputs"
        error = BodyTooLarge(f"The body may have at most {most_bytes} bytes; {advice}.")
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or len(announced) > 18 or int(announced) > most_bytes:
            await problem(error)(scope, receive, send)
            return
        await self._app(scope, _counting(receive, most_bytes, error), send)


def _counting(receive: Receive, most_bytes: int, error: BodyTooLarge) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most_bytes:
            raise HTTPException(413, error.detail)  # the one error that FastAPI's reading of bodies lets through
        return message

    return counted


MAX_HEAD_BYTES = 65_536


class BoundedProtocol(HttpToolsProtocol):
    """Hangs up where `MAX_HEAD_BYTES` came, beside what the first reading brought, and nothing was whole."""

    _idle_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._idle_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        self._idle_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._idle_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._idle_bytes = 0
        super().on_body(body)
