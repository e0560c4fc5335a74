"""A TCP proxy before PostgreSQL that cuts connections where a test wants it, with a reset as from a dead host."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit, urlunsplit

_RESET = struct.pack("ii", 1, 0)


class Cut(Enum):
    """When a connection is reset: before the server hears the message, or after it answered and nobody hears that."""

    BEFORE = "before"
    AFTER = "after"


@dataclass
class Proxy:
    """Counts what clients send that contains `word`, and cuts at the nth such message."""

    server: tuple[str, int]
    word: bytes = b""
    nth: int = 0
    cut: Cut = Cut.AFTER
    seen: int = 0

    def arm(self, word: bytes, nth: int, cut: Cut) -> None:
        self.word, self.nth, self.cut, self.seen = word, nth, cut, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self.server)
        ending = asyncio.Event()
        down = asyncio.create_task(self._down(upstream_reader, writer, ending))
        with suppress(OSError):
            while data := await reader.read(65_536):
                is_hit = self._is_hit(data)
                if is_hit and self.cut is Cut.BEFORE:
                    break
                if is_hit:
                    ending.set()
                upstream_writer.write(data)
                await upstream_writer.drain()
                if is_hit:
                    await down
                    break
        down.cancel()
        _reset(writer)
        upstream_writer.close()

    def _is_hit(self, data: bytes) -> bool:
        if self.nth == 0 or self.word not in data:
            return False
        self.seen += 1
        return self.seen == self.nth

    @staticmethod
    async def _down(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ending: asyncio.Event) -> None:
        """Hand on what the server says; once `ending`, take its next words and keep them."""
        with suppress(OSError):
            while data := await reader.read(65_536):
                if ending.is_set():
                    return
                writer.write(data)
                await writer.drain()
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@asynccontextmanager
async def proxied(dsn: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy before the database of `dsn`, and the address that leads through it."""
    parts = urlsplit(dsn)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy((parts.hostname, parts.port))
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    credentials = parts.netloc.rpartition("@")[0]
    yield proxy, urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{port}"))
    server.close()
