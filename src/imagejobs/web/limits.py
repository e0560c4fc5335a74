"""Limits that hold before anything is parsed."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imagejobs.errors import BodyTooLarge
from imagejobs.web.problems import problem


class BodyLimit:
    """Refuses bodies above `most_bytes` with 413, from their announced length or as soon as they pass it."""

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or len(announced) > 18 or int(announced) > self._most_bytes:
            await self._refuse(scope, receive, send)
            return
        await self._app(scope, self._counting(receive), send)

    def _counting(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._most_bytes:
                raise HTTPException(413, self._error().detail)  # the one error that FastAPI's reading of bodies lets through
            return message

        return counted

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        await problem(self._error())(scope, receive, send)

    def _error(self) -> BodyTooLarge:
        return BodyTooLarge(f"The body may have at most {self._most_bytes} bytes; send pictures as inputs.")
