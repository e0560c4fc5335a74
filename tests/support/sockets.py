"""Servers with bad manners, and a proxy that cuts a connection at a chosen byte."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from imagejobs.net.http import Outbound, OutboundAnswer, OutboundRequest

SOON = 30.0
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST."""
    made: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request with its announced body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0")
    return head + await reader.readexactly(int(length))


def says(answer: bytes) -> Talk:
    """Reads a request, answers so, and hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()

    return talk


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads everything and never says a word."""
    del writer
    while await reader.read(65_536):
        pass


def a_request(url: str, **changes: Any) -> OutboundRequest:
    """A small purchase at that address, but for `changes`."""
    wanted = {"method": "POST", "url": url + "/buy", "body": b'{"prompt":"a fox"}', "deadline_seconds": SOON, **changes}
    return OutboundRequest(**wanted)


async def a_thousand(
    outbound: Outbound, request: OutboundRequest, begun: Callable[[], int]
) -> "list[asyncio.Task[OutboundAnswer]]":
    """A thousand calls at once, begun by the hundred: a connection that a busy loop comes to late counts as refused."""
    calls: list[asyncio.Task[OutboundAnswer]] = []
    while len(calls) < 1000:
        calls += [asyncio.create_task(outbound.send(request)) for _ in range(100)]
        while begun() < len(calls):
            await asyncio.sleep(0.02)
    return calls


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the condition, with a bounded patience."""
    async with asyncio.timeout(SOON):
        while True:
            if condition():
                return
            await asyncio.sleep(0.002)


@dataclass
class Listener:
    """A listening server: its port, and what every connection sent, in the order of connecting."""

    port: int
    received: list[bytearray] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def talking(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    """A server on this machine that talks as it is told; whatever goes wrong in it ends that connection only."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**20, backlog=2048, ssl=tls)
    try:
        yield Listener(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def recording(talk: Talk) -> AsyncIterator[Listener]:
    """The same, keeping what it was sent."""
    connections: list[bytearray] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept = bytearray()
        connections.append(kept)
        mirror = asyncio.StreamReader(limit=2**20)

        async def copy() -> None:
            with suppress(ConnectionError):
                while data := await reader.read(65_536):
                    kept.extend(data)
                    mirror.feed_data(data)
            mirror.feed_eof()

        copying = asyncio.create_task(copy())
        try:
            await talk(mirror, writer)
        finally:
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)

    async with talking(record) as listener:
        listener.received = connections
        yield listener


@dataclass
class Scissors:
    """Where a connection is cut: after so many bytes towards the server, or towards the client; by RST or by FIN."""

    to_server: int | None = None
    to_client: int | None = None
    by_reset: bool = True


@asynccontextmanager
async def cutting_proxy(target: str, scissors: Scissors) -> AsyncIterator[Listener]:
    """A proxy before `target` that forwards exactly as many bytes as the scissors allow, then cuts both sides."""
    host, port = target.removeprefix("http://").split(":")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(host, int(port))
        ways = [
            asyncio.create_task(_forward(reader, server_writer, scissors.to_server)),
            asyncio.create_task(_forward(server_reader, writer, scissors.to_client)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            if scissors.by_reset:
                reset(server_writer)
                reset(writer)
            else:
                server_writer.close()

    async with talking(talk) as listener:
        yield listener


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most_bytes: int | None) -> None:
    """Pass bytes on until the end of either side or of the allowance; returns once these are in the kernel."""
    writer.transport.set_write_buffer_limits(high=0)
    left = most_bytes
    while left is None or left > 0:
        data = await reader.read(65_536 if left is None else min(left, 65_536))
        if not data:
            return
        left = None if left is None else left - len(data)
        writer.write(data)
        await writer.drain()
