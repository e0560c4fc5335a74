"""Where a picture ends in the bytes that begin with it: what follows is another file, which a decoder never sees."""

import re

from imagejobs.imaging.wire import Format

_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")  # neither a stuffed byte nor a restart: ends a run of coded data
_JPEG_END = b"\xd9"


def picture_end(data: bytes, picture_format: Format) -> int:
    """How many of the bytes the picture takes; it has been decoded already, so that its structure holds."""
    match picture_format:
        case Format.PNG:
            return _png_end(data)
        case Format.JPEG:
            return _jpeg_end(data)
        case Format.WEBP:
            length = 8 + int.from_bytes(data[4:8], "little")
            return length + length % 2


def _png_end(data: bytes) -> int:
    at = 8
    while at < len(data):
        kind = data[at + 4 : at + 8]
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        if kind == b"IEND":
            break
    return at


def _jpeg_end(data: bytes) -> int:
    """Steps over the segments by their lengths, so that a thumbnail inside of one is not taken for the end."""
    at = 2
    while (marker := _JPEG_MARKER.search(data, at)) is not None:
        at = marker.end()
        if marker[1] == _JPEG_END:
            return at
        at += int.from_bytes(data[at : at + 2], "big")
    return len(data)
