"""Answers that are no good, made cheaply."""

import struct
import zlib

WEB_PAGE = b"""<!doctype html>
<html lang="en"><head><title>502 Bad Gateway</title></head>
<body><h1>502 Bad Gateway</h1><p>The upstream server did not answer.</p></body></html>
"""

_BOMB_EDGE = 20_000
_BLOCK = bytes(1 << 20)


def cut_off(picture: bytes) -> bytes:
    """The first three fifths of a file."""
    return picture[: len(picture) * 3 // 5]


def bomb() -> bytes:
    """A valid black PNG of 20,000 by 20,000 pixels in some 50 kB."""
    header = struct.pack(">IIBBBBB", _BOMB_EDGE, _BOMB_EDGE, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", _zeros(_BOMB_EDGE)) + _chunk(b"IEND", b"")


def _zeros(edge: int) -> bytes:
    """The compressed rows of a one-bit picture, each with its filter byte, made block by block."""
    left = edge * (1 + (edge + 7) // 8)
    packer = zlib.compressobj(9)
    packed = []
    while left > 0:
        packed.append(packer.compress(_BLOCK[:left]))
        left -= len(_BLOCK)
    return b"".join((*packed, packer.flush()))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
