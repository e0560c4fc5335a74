"""The one outgoing HTTP client, for addresses that the operator configured; `net/guard.py` goes before it for all others.

It tells apart what was surely not sent (`NotSent`) from what went out and whose answer is lost (`AnswerLost`): only the
first may be bought again. Nothing is retried, redirected or remembered; no proxy is taken from the environment.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import httpcore2
import httpx2

from imagejobs import __version__

MEBIBYTE = 1024 * 1024

_CONNECT_SECONDS = 10.0
_ERROR_BODY_BYTES = 64 * 1024
_ERROR_BODY_SECONDS = 1.5
_KEPT_CONNECTIONS = 64
_KEPT_SECONDS = 2.0
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?")
_PLAIN = re.compile(
    r"(https?)://((?!xn--)[a-z][a-z0-9]*(?:[.-](?!xn--)[a-z0-9]+)*|127\.0\.0\.1)(?::([1-9][0-9]{3}|[1-5][0-9]{4}))?"
    r"((?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+)"
)

# Raised before the first byte of a request. WriteError and WriteTimeout are not among them: a part was sent then.
_BEFORE_SENDING = (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.PoolTimeout, httpcore2.UnsupportedProtocol)
_BROKEN_OFF = (httpcore2.NetworkError, httpcore2.ProtocolError, httpx2.DecodingError, OSError, TimeoutError)


class NotSent(Exception):
    """Not one byte of the request left: no name, no route, refused, TLS failed, or the request cannot be written."""


class AnswerLost(Exception):
    """The request went out, in part at least, and no whole answer came: the other side may have acted on it."""


class AnswerTooLarge(Exception):
    """A success with more bytes than the request allows; the rest was not read."""


@dataclass(frozen=True, kw_only=True)
class OutboundRequest:
    """One HTTP request. `deadline_seconds` covers everything, from the connection to the last byte of a success.

    `is_repeatable` says that sending it twice does no harm. Only then it may go over a kept connection, which the other side
    may be closing at this very moment; anything else gets a connection of its own.
    `server_name` is the name that TLS must prove where `url` holds an address. `is_raw` leaves a compressed body as it is.
    """

    method: str
    url: str
    deadline_seconds: float
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    max_body_bytes: int = 32 * MEBIBYTE
    is_repeatable: bool = False
    server_name: str | None = None
    is_raw: bool = False
    before_body: Callable[[], Awaitable[None]] | None = None  # awaited once a success has begun; the deadline stands still


@dataclass(frozen=True, kw_only=True)
class OutboundAnswer:
    """What came back. Header names are in lower case.

    With a status of 300 and above `body` is only what came of it within 64 KiB and 1.5 s: the status alone decides there.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Outbound:
    """Sends requests, thousands at once; receives at most `bodies_at_once` successful bodies at a time, which bounds memory.

    Connections are made on first use, so making one costs nothing. `tls` replaces the machine's certificates.
    """

    def __init__(self, *, kept_connections: int = 1024, bodies_at_once: int = 32, tls: ssl.SSLContext | None = None) -> None:
        self._kept_connections = kept_connections
        self._given_tls = tls
        self._receiving = asyncio.Semaphore(bodies_at_once)

    async def send(self, request: OutboundRequest) -> OutboundAnswer:
        """One exchange; any status is an answer.

        Raises `NotSent`, `AnswerLost` or `AnswerTooLarge`. Their texts carry no header and no body.
        """
        prepared = _prepared(request)
        try:
            async with asyncio.timeout(request.deadline_seconds) as limit:
                if request.is_repeatable:
                    return await self._exchange(self._kept, prepared, request, limit)
                # A pool of its own for each call: a shared one looks at all its connections for each that comes or goes.
                async with aclosing(_pool(self._tls, 1, kept=0)) as fresh:
                    return await self._exchange(fresh, prepared, request, limit)
        except _BEFORE_SENDING as error:
            raise NotSent(_said(error)) from error
        except AnswerTooLarge:
            raise
        except TimeoutError as error:
            raise AnswerLost(f"no whole answer within {request.deadline_seconds:g} s") from error
        except Exception as error:
            raise AnswerLost(_said(error)) from error

    async def close(self) -> None:
        """Close the kept connections; calls in flight on them lose their answer. The next call opens new ones."""
        kept: httpcore2.AsyncConnectionPool | None = self.__dict__.pop("_kept", None)
        if kept is not None:
            await kept.aclose()

    async def _exchange(
        self,
        pool: httpcore2.AsyncConnectionPool,
        prepared: httpcore2.Request,
        asked: OutboundRequest,
        limit: asyncio.Timeout,
    ) -> OutboundAnswer:
        async with aclosing(await pool.handle_async_request(prepared)) as response:
            headers = dict(httpx2.Headers(response.headers))
            if response.status >= 300:
                limit.reschedule(None)
                body = await _beginning(_chunks(response, headers, replace(asked, max_body_bytes=_ERROR_BODY_BYTES)))
            else:
                await _wait_for_room(asked, limit)
                async with self._receiving:
                    body = await _whole(response, headers, asked)
        return OutboundAnswer(status=response.status, headers=headers, body=body)

    @cached_property
    def _kept(self) -> httpcore2.AsyncConnectionPool:
        return _pool(self._tls, self._kept_connections, kept=_KEPT_CONNECTIONS)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or httpx2.create_ssl_context(trust_env=False)


def _pool(tls: ssl.SSLContext, connections: int, *, kept: int) -> httpcore2.AsyncConnectionPool:
    """Connections without a client above them, which would follow cookies, proxies and redirects, and cost as much again."""
    return httpcore2.AsyncConnectionPool(
        ssl_context=tls,
        max_connections=connections,
        max_keepalive_connections=kept,
        keepalive_expiry=_KEPT_SECONDS,
    )


def _prepared(request: OutboundRequest) -> httpcore2.Request:
    """The request in the library's form; what HTTP cannot carry is refused here, without its text, which may be a key."""
    for name, value in request.headers.items():
        if not _HEADER.fullmatch(f"{name}:{value}"):
            raise NotSent(f"the header {name!r} has characters that HTTP does not allow; is a key copied with a line end?")
    # The waits for a slot, the connection and TLS stay below the deadline together, so that what the deadline ends was sent.
    seconds = min(_CONNECT_SECONDS, request.deadline_seconds / 4)
    extensions: dict[str, Any] = {"timeout": {"connect": seconds, "pool": seconds}}
    if request.server_name is not None:
        extensions["sni_hostname"] = request.server_name
    try:
        place, host = place_of(request.url)
    except (httpx2.InvalidURL, ValueError, TypeError) as error:
        raise NotSent(f"the address cannot be used: {error}") from error
    headers = {"host": host, "user-agent": f"imagejobs/{__version__}", "accept-encoding": "identity"}
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = str(len(request.body))
    if not request.is_repeatable:
        headers["connection"] = "close"
    headers.update((name.lower(), value) for name, value in request.headers.items())
    return httpcore2.Request(
        request.method, place, headers=list(headers.items()), content=request.body, extensions=extensions
    )


def place_of(address: str) -> tuple[httpcore2.URL, str]:
    """Where a request to `address` goes, and its `Host`. What needs no escaping is only taken apart, which is cheap."""
    if plain := _PLAIN.fullmatch(address):
        scheme, host, port, target = plain.groups()
        place = httpcore2.URL(scheme=scheme, host=host, port=int(port) if port else None, target=target)
        return place, f"{host}:{port}" if port else host
    url = httpx2.URL(address)
    if not 1 <= (url.port or 1) <= 65_535:
        raise httpx2.InvalidURL(f"there is no port {url.port}")
    place = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    return place, url.netloc.decode("ascii")


async def _wait_for_room(asked: OutboundRequest, limit: asyncio.Timeout) -> None:
    """Let the caller make room for the body, without that counting against the deadline."""
    ends = limit.when()
    if asked.before_body is None or ends is None:
        return
    left = ends - asyncio.get_running_loop().time()
    limit.reschedule(None)
    await asked.before_body()
    limit.reschedule(asyncio.get_running_loop().time() + left)


async def _whole(response: httpcore2.Response, headers: Mapping[str, str], asked: OutboundRequest) -> bytes:
    """The body, decoded where it came compressed; neither form may pass the request's limit."""
    if int(headers.get("content-length", 0)) > asked.max_body_bytes:
        raise _too_large(asked)
    body = bytearray()  # not a list of chunks: thousands of small pieces leave holes that the process never gives back
    async for chunk in _chunks(response, headers, asked):
        body += chunk
    return bytes(body)


def _chunks(response: httpcore2.Response, headers: Mapping[str, str], asked: OutboundRequest) -> AsyncIterator[bytes]:
    assert isinstance(response.stream, AsyncIterable)
    came = _bounded(response.stream, asked)
    if asked.is_raw or "content-encoding" not in headers:
        return came
    return _bounded(httpx2.Response(response.status, headers=headers, content=came).aiter_bytes(), asked)


async def _bounded(chunks: AsyncIterable[bytes], asked: OutboundRequest) -> AsyncIterator[bytes]:
    """Each of them; raises `AnswerTooLarge` after the one that passes the request's limit."""
    size = 0
    async for chunk in chunks:
        yield chunk
        size += len(chunk)
        if size > asked.max_body_bytes:
            raise _too_large(asked)


def _too_large(asked: OutboundRequest) -> AnswerTooLarge:
    return AnswerTooLarge(f"the answer is larger than {asked.max_body_bytes} bytes")


async def _beginning(chunks: AsyncIterator[bytes]) -> bytes:
    """What comes of an error's body without harm; that it breaks off changes nothing."""
    body = bytearray()
    with suppress(*_BROKEN_OFF, AnswerTooLarge):
        async with asyncio.timeout(_ERROR_BODY_SECONDS):
            async for chunk in chunks:
                body += chunk
    return bytes(body[:_ERROR_BODY_BYTES])


def _said(error: Exception) -> str:
    """The library's sentence, or the name of its exception."""
    return str(error) or type(error).__name__
