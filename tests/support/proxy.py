"""A TCP proxy before PostgreSQL that cuts connections where a test wants: with a reset as from a dead host, or silently."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit, urlunsplit

_RESET = struct.pack("ii", 1, 0)


class Cut(Enum):
    """What happens to a connection at the message that is hit.

    It is reset before the server hears the message, or after it answered and nobody hears that; or it falls silent for good;
    or it is reset and the client's process is gone with it (`on_exit`).
    """

    BEFORE = "before"
    AFTER = "after"
    HANG = "hang"
    EXIT = "exit"


@dataclass
class Proxy:
    """Counts what clients send that contains `word`, and cuts at the nth such message."""

    server: tuple[str, int]
    word: bytes = b""
    nth: int = 0
    cut: Cut = Cut.AFTER
    seen: int = 0
    on_exit: Callable[[], object] = int
    delay_seconds: float = 0.0
    hides_ends: bool = False
    refusal: str = ""  # the SQLSTATE with which whoever wants to enter is turned away
    ends: asyncio.Event = field(default_factory=asyncio.Event)
    open: list[asyncio.Event] = field(default_factory=list)

    def swallow(self) -> int:
        """Make a black hole of every connection that is open now: nothing comes through, nothing is closed; how many."""
        swallowed = [connection for connection in self.open if not connection.is_set()]
        for connection in swallowed:
            connection.set()
        return len(swallowed)

    def arm(self, word: bytes, nth: int, cut: Cut) -> None:
        self.word, self.nth, self.cut, self.seen = word, nth, cut, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusal:
            await self._refuse(reader, writer)
            return
        upstream_reader, upstream_writer = await asyncio.open_connection(*self.server)
        ending, silent = asyncio.Event(), asyncio.Event()
        self.open.append(silent)
        down = asyncio.create_task(self._down(upstream_reader, writer, ending, silent))
        with suppress(OSError):
            while data := await reader.read(65_536):
                await asyncio.sleep(self.delay_seconds)
                if silent.is_set():
                    continue
                cut = self.cut if self._is_hit(data) else None
                if cut in (Cut.BEFORE, Cut.EXIT):
                    break
                if cut is Cut.HANG:
                    silent.set()
                    continue
                if cut is Cut.AFTER:
                    ending.set()
                upstream_writer.write(data)
                await upstream_writer.drain()
                if cut is Cut.AFTER:
                    await down
                    break
        down.cancel()
        _reset(writer)
        upstream_writer.close()
        self.open.remove(silent)

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """No TLS, and no entry either."""
        await reader.read(65_536)
        writer.write(b"N")
        await reader.read(65_536)
        said = f"SFATAL\0C{self.refusal}\0Mnot now\0\0".encode()
        writer.write(b"E" + struct.pack("!i", 4 + len(said)) + said)
        writer.close()

    def _is_hit(self, data: bytes) -> bool:
        if self.nth == 0 or self.word not in data:
            return False
        self.seen += 1
        if self.seen == self.nth and self.cut is Cut.EXIT:
            self.on_exit()
        return self.seen == self.nth

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ending: asyncio.Event, silent: asyncio.Event
    ) -> None:
        """Hand on what the server says, and its end unless hidden; once `ending`, take its next words and keep them."""
        with suppress(OSError):
            while data := await reader.read(65_536):
                if ending.is_set():
                    return
                if not silent.is_set():
                    writer.write(data)
                    await writer.drain()
        self.ends.set()
        if not silent.is_set() and not self.hides_ends:
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
