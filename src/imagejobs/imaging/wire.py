"""What the decoder and its child processes say to each other: a fixed header, then as many bytes as it announces."""

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

REQUEST = struct.Struct("!BBHI")
REPLY = struct.Struct("!BIII")
EXTENT = struct.Struct("!I")
"""How many of the bytes the picture took up; in the payload of a cleaning its own bytes follow, where they are others."""
BLURHASH_LENGTH = 28
"""Of the 4 by 3 components made here; a thumbnail's payload is its BlurHash, then its WebP bytes."""
MAX_REPLY_BYTES = 65 * 1024 * 1024


class Format(IntEnum):
    """The formats that are decoded, by Pillow's names."""

    PNG = 1
    JPEG = 2
    WEBP = 3

    @property
    def media_type(self) -> str:
        return f"image/{self.name.lower()}"


class Operation(IntEnum):
    """What the child shall do with the bytes."""

    INSPECT = 1
    THUMBNAIL = 2
    CLEAN = 3


class Status(IntEnum):
    """How it went; after `OUT_OF_MEMORY` the child ends."""

    READY = 1
    DONE = 2
    CORRUPT = 3
    TOO_LARGE = 4
    OUT_OF_MEMORY = 5


@dataclass(frozen=True, kw_only=True)
class Request:
    """One picture to work on; `max_edge` is in pixels and counts for thumbnails only."""

    operation: Operation
    format: Format
    max_edge: int = 0
    data: bytes = field(repr=False)

    def header(self) -> bytes:
        return REQUEST.pack(self.operation, self.format, self.max_edge, len(self.data))


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The child's answer; a size of 0 by 0 where there is none."""

    status: Status
    width: int = 0
    height: int = 0
    payload: bytes = field(default=b"", repr=False)

    def header(self) -> bytes:
        return REPLY.pack(self.status, self.width, self.height, len(self.payload))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a child may use: pixels per picture, address space in all, CPU time per request."""

    max_pixels: int
    memory_bytes: int
    cpu_seconds: int

    def arguments(self) -> list[str]:
        return [str(self.max_pixels), str(self.memory_bytes), str(self.cpu_seconds)]

    @classmethod
    def parse(cls, arguments: list[str]) -> Self:
        max_pixels, memory_bytes, cpu_seconds = map(int, arguments)
        return cls(max_pixels=max_pixels, memory_bytes=memory_bytes, cpu_seconds=cpu_seconds)
