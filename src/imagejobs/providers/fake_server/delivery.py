"""How an answer goes out: well, or as badly as the script wants, down to the bytes on the wire."""

import asyncio
import gzip
import itertools
import socket
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache

from imagejobs.providers.fake_server.script import Action
from imagejobs.providers.fake_server.wire import PIECE_BYTES, Reply, sliced

_DRIPS_PER_SECOND = 10
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Hand the bytes to the kernel; the buffer limit of 0 makes `drain` wait for that."""
        if self.writer.is_closing():
            raise ConnectionResetError("the customer hung up")
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with RST, so that the other side gets an error and no end of file."""
        made: socket.socket | None = self.writer.get_extra_info("socket")
        if made is not None:
            with suppress(OSError):
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def wait_for_the_end(self) -> None:
        """Wait until the other side hangs up."""
        while await self.reader.read(PIECE_BYTES):
            pass


async def deliver(line: Line, reply: Reply, action: Action, *, keeps_alive: bool) -> str:
    """Send the answer as the action wants; says how that went. After anything but `answered …` the connection is over.

    Raises `ConnectionError` where the other side is gone.
    """
    if action.never:
        await line.wait_for_the_end()
        return "never answered"
    if action.gzip:
        reply = _compressed(reply)
    if action.content_length is not None:
        reply = replace(reply, headers={**reply.headers, "content-length": str(action.content_length)})
    head = reply.head(keeps_alive=keeps_alive)
    reset_at = _reset_position(action.reset, len(head))
    if reset_at is not None:
        for piece in sliced(itertools.chain((head,), reply.pieces), reset_at):
            await line.send(piece)
        line.reset()
        return f"reset after {reset_at} bytes"
    await line.send(head)
    await _send_body(line, reply, action)
    if action.cut_after_bytes is not None:
        return f"cut after {action.cut_after_bytes} bytes of the body"
    if action.twice:
        await line.send(head + b"".join(reply.pieces))
    return f"answered {reply.status}"


async def _send_body(line: Line, reply: Reply, action: Action) -> None:
    rate = action.drip_bytes_per_second
    size = PIECE_BYTES if rate is None else max(1, int(rate / _DRIPS_PER_SECOND))
    for piece in sliced(reply.pieces, action.cut_after_bytes, size):
        await line.send(piece)
        if rate is not None:
            await asyncio.sleep(len(piece) / rate)


def _reset_position(reset: str | None, head_bytes: int) -> int | None:
    """After how many bytes of the answer, its head included, the connection is reset."""
    match (reset or "").split(":"):
        case ["before_headers"]:
            return 0
        case ["after_headers"]:
            return head_bytes
        case ["after_bytes", count]:
            return int(count)
        case _:
            return None


def _compressed(reply: Reply) -> Reply:
    """The answer as gzip. One that never ends becomes a bomb: a few kilobytes on the wire for each 16 MiB."""
    headers = {**reply.headers, "content-encoding": "gzip"}
    if isinstance(reply.pieces, tuple | list):
        packed = gzip.compress(b"".join(reply.pieces))
        return replace(reply, pieces=(packed,), length=len(packed), headers=headers)
    pieces = itertools.chain((_GZIP_HEADER,), itertools.repeat(_bomb_block()))
    return replace(reply, pieces=pieces, headers=headers)


@lru_cache(maxsize=1)
def _bomb_block() -> bytes:
    """16 MiB of one letter as a piece of a deflate stream that can be repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    letters = b"A" * (1024 * 1024)
    return b"".join(packer.compress(letters) for _ in range(16)) + packer.flush(zlib.Z_FULL_FLUSH)
