"""Answers that are no good, made cheaply."""

import struct
import zlib

WEB_PAGE = b"""<!doctype html>
<html lang="en"><head><title>502 Bad Gateway</title></head>
<body><h1>502 Bad Gateway</h1><p>The upstream server did not answer.</p></body></html>
"""

_BOMB_EDGE = 20_000
_BLOCK_BYTES = 1 << 20
_ADLER_MODULUS = 65_521


def cut_off(picture: bytes) -> bytes:
    """The first three fifths of a file."""
    return picture[: len(picture) * 3 // 5]


def bomb() -> bytes:
    """A valid black PNG of 20,000 by 20,000 pixels in some 50 kB."""
    header = struct.pack(">IIBBBBB", _BOMB_EDGE, _BOMB_EDGE, 1, 0, 0, 0, 0)
    rows = _BOMB_EDGE * (1 + (_BOMB_EDGE + 7) // 8)  # one bit for a pixel, and a filter byte before each row
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", _packed_zeros(rows)) + _chunk(b"IEND", b"")


def _packed_zeros(count: int) -> bytes:
    """A zlib stream of so many zeros. One block is compressed once and repeated: after a full flush it stands alone."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    blocks, rest = divmod(count, _BLOCK_BYTES)
    block = packer.compress(bytes(_BLOCK_BYTES)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(bytes(rest)) + packer.flush()
    checksum = (count % _ADLER_MODULUS) << 16 | 1
    return b"\x78\xda" + block * blocks + end + struct.pack(">I", checksum)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
