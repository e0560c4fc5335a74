"""Just enough HTTP/1.1 to read requests from a stream and to write answers by hand."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

HEAD_LIMIT = 64 * 1024
PIECE_BYTES = 64 * 1024

_BODY_LIMIT = 64 * 1024 * 1024
_REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (\S{1,8000}) HTTP/1\.[01]")
_LOOKS_LIKE_HTTP = re.compile(rb"[A-Z]{1,16}(?: |$)")


class Unreadable(Exception):
    """Not a request that can be answered by what it asks."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class CutOff(Exception):
    """The connection ended inside a request."""

    def __init__(self, received_bytes: int) -> None:
        super().__init__(f"cut off after {received_bytes} bytes")
        self.received_bytes = received_bytes


@dataclass(frozen=True, kw_only=True)
class Head:
    """A request up to its body. Header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def api_key(self) -> str | None:
        scheme, _, key = self.headers.get("authorization", "").partition(" ")
        return key.strip() or None if scheme.lower() == "bearer" else None

    @property
    def keeps_alive(self) -> bool:
        return self.headers.get("connection", "").lower() != "close"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer before anything goes wrong with it; `length` None leaves the end to the end of the connection."""

    status: int
    pieces: Iterable[bytes]
    length: int | None
    headers: Mapping[str, str] = field(default_factory=dict)

    def head(self, *, keeps_alive: bool) -> bytes:
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Unknown"
        headers = {"content-type": "application/json", **self.headers}
        if self.length is not None:
            headers.setdefault("content-length", str(self.length))
        headers["connection"] = "keep-alive" if keeps_alive and self.length is not None else "close"
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def sliced(pieces: Iterable[bytes], most_bytes: int | None = None, size: int = PIECE_BYTES) -> Iterator[bytes]:
    """The bytes of `pieces` in slices of at most `size`, at most `most_bytes` in all."""
    left = most_bytes
    for piece in pieces:
        for start in range(0, len(piece), size):
            if left is not None and left <= 0:
                return
            end = min(start + size, len(piece), start + size if left is None else start + left)
            left = None if left is None else left - (end - start)
            yield piece[start:end]


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next request's head; None where the connection ended before one, or speaks something else (TLS, say).

    Raises `CutOff` and `Unreadable`.
    """
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if _LOOKS_LIKE_HTTP.match(error.partial):
            raise CutOff(len(error.partial)) from error
        return None
    except asyncio.LimitOverrunError as error:
        raise Unreadable(431, "The head of the request is too large.") from error
    request_line, *lines = raw[:-4].decode("latin-1").split("\r\n")
    found = _REQUEST_LINE.fullmatch(request_line)
    if found is None:
        raise Unreadable(400, "That is no request line of HTTP/1.1.")
    target = urlsplit(found[2])
    pairs = (line.partition(":") for line in lines)
    return Head(
        method=found[1],
        path=unquote(target.path),
        query=dict(parse_qsl(target.query)),
        headers={name.strip().lower(): value.strip() for name, _, value in pairs},
    )


async def read_body(reader: asyncio.StreamReader, head: Head) -> bytes:
    """The body that the head announces. Raises `CutOff` and `Unreadable`."""
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        return await _read_chunks(reader)
    announced = head.headers.get("content-length", "0")
    if not announced.isdecimal():
        raise Unreadable(400, "The content-length is no number.")
    return await _read_exactly(reader, int(announced), 0)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        try:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        except asyncio.IncompleteReadError as error:
            raise CutOff(len(body)) from error
        except (ValueError, asyncio.LimitOverrunError) as error:
            raise Unreadable(400, "The chunked body is broken.") from error
        body += (await _read_exactly(reader, size + 2, len(body)))[:-2]
        if size == 0:
            return bytes(body)


async def _read_exactly(reader: asyncio.StreamReader, size: int, before: int) -> bytes:
    if before + size > _BODY_LIMIT:
        raise Unreadable(413, f"A body may have {_BODY_LIMIT} bytes.")
    try:
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        raise CutOff(before + len(error.partial)) from error
