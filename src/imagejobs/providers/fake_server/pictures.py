"""Pictures that cost next to nothing to make, and answers that are no picture.

The colors of a picture follow from the purchase it belongs to, so that a test can tell two purchases apart by their bytes.
The pixels of one size are compressed once; a large file is a small one with a private chunk of noise in it.
"""

import base64
import hashlib
import random
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

HUGE_BYTES = 64 * 1024 * 1024

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NOISE = random.Random(7).randbytes(192 * 1024)  # noqa: S311 - bytes that do not compress; a multiple of 3, for base64
_NOISE_BASE64 = base64.b64encode(_NOISE)
_CHUNK_OVERHEAD = 12
_CELLS = 8
_BOMB_EDGE = 20_000
_GIF = base64.b64decode("R0lGODlhAQABAIAAAP8AAAAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==")


class Kind(StrEnum):
    """What stands where the picture should be."""

    NORMAL = "normal"
    CORRUPT = "corrupt"  # a PNG with a flipped bit in its pixels
    TRUNCATED = "truncated"  # a PNG that breaks off
    BOMB = "bomb"  # some 50 kB that decode to 20,000 by 20,000 pixels
    HUGE = "huge"  # a good PNG of 64 MiB
    TEXT = "text"  # an apology instead of a picture
    WRONG_TYPE = "wrong_type"  # a GIF that is announced as PNG
    WRONG_SIZE = "wrong_size"  # half as wide and half as high as asked for
    EMPTY = "empty"  # no bytes at all


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Which picture: the same wish gives the same bytes."""

    seed: str
    width: int
    height: int
    image_bytes: int = 0
    kind: Kind = Kind.NORMAL


@dataclass(frozen=True, kw_only=True)
class File:
    """Bytes whose noisy middle is shared by all files, so that thousands of large ones fit into memory."""

    head: bytes
    noise_blocks: int = 0
    tail: bytes = b""

    @property
    def size(self) -> int:
        return len(self.head) + self.noise_blocks * len(_NOISE) + len(self.tail)

    @property
    def base64_size(self) -> int:
        return (self.size + 2) // 3 * 4

    def pieces(self) -> Iterator[bytes]:
        yield self.head
        yield from (_NOISE for _ in range(self.noise_blocks))
        yield self.tail

    def base64_pieces(self) -> Iterator[bytes]:
        yield base64.b64encode(self.head)
        yield from (_NOISE_BASE64 for _ in range(self.noise_blocks))
        yield base64.b64encode(self.tail)


def picture(wish: Wish) -> File:
    """The file that the wish describes."""
    return _MADE[wish.kind](wish)


def endless_base64() -> Iterator[bytes]:
    """Base64 without an end."""
    while True:
        yield _NOISE_BASE64


def _good(wish: Wish) -> File:
    return _png(wish, wish.image_bytes)


def _huge(wish: Wish) -> File:
    return _png(wish, HUGE_BYTES)


def _half(wish: Wish) -> File:
    return _png(Wish(seed=wish.seed, width=wish.width // 2, height=wish.height // 2), wish.image_bytes)


def _corrupt(wish: Wish) -> File:
    good = b"".join(_good(wish).pieces())
    at = good.index(b"IDAT") + 8
    return File(head=good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :])


def _truncated(wish: Wish) -> File:
    good = b"".join(_good(wish).pieces())
    return File(head=good[: good.index(b"IDAT") + 12])


def _bomb(wish: Wish) -> File:
    del wish
    header = struct.pack(">IIBBBBB", _BOMB_EDGE, _BOMB_EDGE, 1, 0, 0, 0, 0)
    pixels = _deflated_zeros((_BOMB_EDGE // 8 + 1) * _BOMB_EDGE)
    return File(head=_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b""))


def _text(wish: Wish) -> File:
    del wish
    return File(head=b"I am sorry, but I cannot draw that. Shall I describe it instead?")


def _gif(wish: Wish) -> File:
    del wish
    return File(head=_GIF)


def _nothing(wish: Wish) -> File:
    del wish
    return File(head=b"")


_MADE: Mapping[Kind, Callable[[Wish], File]] = {
    Kind.NORMAL: _good,
    Kind.CORRUPT: _corrupt,
    Kind.TRUNCATED: _truncated,
    Kind.BOMB: _bomb,
    Kind.HUGE: _huge,
    Kind.TEXT: _text,
    Kind.WRONG_TYPE: _gif,
    Kind.WRONG_SIZE: _half,
    Kind.EMPTY: _nothing,
}


def _png(wish: Wish, least_bytes: int) -> File:
    """A PNG of eight by eight cells in sixteen colors, and of `least_bytes` if that is more than it needs."""
    header = struct.pack(">IIBBBBB", wish.width, wish.height, 4, 3, 0, 0, 0)
    colors = hashlib.shake_128(wish.seed.encode("utf-8", "surrogatepass")).digest(48)
    head = _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"PLTE", colors)
    blocks, ending = _ending(wish.width, wish.height, least_bytes - len(head))
    if not blocks:
        return File(head=head + ending)
    # The noise begins at a multiple of 3, so that head, noise and tail can be turned into base64 each for itself.
    noise_bytes = blocks * len(_NOISE)
    begin = struct.pack(">I", noise_bytes) + b"faKe"
    head += _chunk(b"faKe", bytes(-(len(head) + _CHUNK_OVERHEAD + len(begin)) % 3))
    return File(head=head + begin, noise_blocks=blocks, tail=struct.pack(">I", _noise_crc(blocks)) + ending)


@lru_cache(maxsize=64)
def _ending(width: int, height: int, least_bytes: int) -> tuple[int, bytes]:
    """How many blocks of noise the file needs, and what comes behind them: more noise, the pixels, the end."""
    pixels = _chunk(b"IDAT", _cells(width, height)) + _chunk(b"IEND", b"")
    missing = least_bytes - len(pixels)
    blocks = max(0, missing // len(_NOISE))
    rest = missing - blocks * len(_NOISE)
    return blocks, (_chunk(b"faKe", _NOISE[:rest]) if rest > 0 else b"") + pixels


@lru_cache(maxsize=64)
def _cells(width: int, height: int) -> bytes:
    """The compressed pixels: each cell has one of the sixteen colors."""
    packer = zlib.compressobj(6)
    rows = [_row(width, y) for y in range(min(_CELLS, height))]
    packed = [packer.compress(rows[y * len(rows) // height]) for y in range(height)]
    return b"".join(packed) + packer.flush()


def _row(width: int, y: int) -> bytes:
    colors = [(x * _CELLS // width * 5 + y * 3) % 16 for x in range(width + width % 2)]
    return b"\0" + bytes(left << 4 | right for left, right in zip(colors[::2], colors[1::2], strict=True))


@lru_cache(maxsize=16)
def _noise_crc(blocks: int) -> int:
    crc = zlib.crc32(b"faKe")
    for _ in range(blocks):
        crc = zlib.crc32(_NOISE, crc)
    return crc


@lru_cache(maxsize=1)
def _deflated_zeros(size: int) -> bytes:
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    packed = [packer.compress(block[: min(len(block), size - start)]) for start in range(0, size, len(block))]
    return b"".join(packed) + packer.flush()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
