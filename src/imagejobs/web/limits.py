"""Limits that hold before anything is parsed."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
