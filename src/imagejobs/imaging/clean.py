"""A picture's own bytes: nothing of what it tells beside what it shows, and nothing of what follows its end.

Kept is what is known to change how it looks: pixels, frames, colour profile, orientation. Nothing is encoded anew.
"""

import re
import zlib

from PIL import Image

from imagejobs.imaging.wire import Format

_PNG_KEPT = {
    *(b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"),
    *(b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"bKGD", b"pHYs"),
}
_WEBP_KEPT = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"}
_JPEG_KEPT = {b"\xe0": b"JFIF\0", b"\xe2": b"ICC_PROFILE\0", b"\xee": b"Adobe"}
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")  # one with a length, or an end: it ends a run of coded data
_TOO_MANY_PARTS = "too many parts"
_JPEG_SCAN, _JPEG_END = b"\xda", b"\xd9"
_MOST_PARTS = 65_536  # chunks or segments of one picture: each takes time, however small it is
_ORIENTATION_TAG = 0x0112
_ORIENTATION = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0%c\0\0\0\0\0\0"


def cleaned(data: bytes, picture_format: Format) -> tuple[bytes, int]:
    """The picture without metadata, and how many of the bytes it took up with them; equal bytes where it has none.

    Raises `EOFError` where it is cut off or falls into too many parts. What it gives has still to be decoded.
    """
    match picture_format:
        case Format.PNG:
            return _png(data)
        case Format.JPEG:
            return _jpeg(data)
        case Format.WEBP:
            return _webp(data)


def orientation(exif: bytes) -> int:
    """Which way is up, 1 to 8; as the picture lies where that cannot be read."""
    try:
        found = Image.Exif()
        found.load(exif)
        turn = int(found.get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - a broken EXIF block only costs the turn
        turn = 1
    return turn if 1 <= turn <= 8 else 1


def _orientation_only(exif: bytes) -> bytes:
    """An EXIF block that says which way is up and nothing else; empty where that goes without saying."""
    turn = orientation(exif)
    return b"" if turn == 1 else _ORIENTATION % turn


def _png(data: bytes) -> tuple[bytes, int]:
    own, at = bytearray(data[:8]), 8
    for _ in range(_MOST_PARTS):
        kind, begin = data[at + 4 : at + 8], at
        at += 12 + int.from_bytes(data[begin : begin + 4], "big")
        if at > len(data):
            raise EOFError("a chunk is cut off")
        if kind in _PNG_KEPT:
            own += data[begin:at]
        elif kind == b"eXIf" and (exif := _orientation_only(data[begin + 8 : at - 4])):
            own += len(exif).to_bytes(4, "big") + kind + exif + zlib.crc32(kind + exif).to_bytes(4, "big")
        if kind == b"IEND":
            return bytes(own), at
    raise EOFError(_TOO_MANY_PARTS)


def _jpeg(data: bytes) -> tuple[bytes, int]:
    """Steps over the segments by their lengths, so that a thumbnail inside of one is not taken for the end."""
    own, at = bytearray(data[:2]), 2
    for _ in range(_MOST_PARTS):
        marker = _JPEG_MARKER.search(data, at)
        if marker is None:
            return bytes(own), len(data)
        begin = marker.end()
        if marker[1] == _JPEG_END:
            return bytes(own + b"\xff" + _JPEG_END), begin
        at = begin + int.from_bytes(data[begin : begin + 2], "big")
        if marker[1] == _JPEG_SCAN:
            after = _JPEG_MARKER.search(data, at)
            at = len(data) if after is None else after.start()
        own += _segment(marker[1], data[begin:at])
    raise EOFError(_TOO_MANY_PARTS)


def _segment(kind: bytes, body: bytes) -> bytes:
    """The segment as it is kept, or nothing; its body begins with two bytes of length."""
    told = body[2:]
    if kind == b"\xe1" and told.startswith(b"Exif\0\0") and (exif := _orientation_only(told)):
        body = (8 + len(exif)).to_bytes(2, "big") + b"Exif\0\0" + exif
    elif (b"\xe0" <= kind <= b"\xef" or kind == b"\xfe") and not told.startswith(_JPEG_KEPT.get(kind, told + b"-")):
        return b""
    elif kind == b"\xe0":
        body = b"\0\x10" + told[:12] + b"\0\0"  # without its thumbnail, which may show what was cut away
    return b"\xff" + kind + body


def _webp(data: bytes) -> tuple[bytes, int]:
    length = 8 + int.from_bytes(data[4:8], "little")
    end, at, flags = length + length % 2, 12, 0
    if length > len(data):
        raise EOFError("the file is cut off")
    own = bytearray(data[:12])
    for _ in range(_MOST_PARTS):
        kind, begin, size = data[at : at + 4], at, int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
        if kind in _WEBP_KEPT:
            own += data[begin : min(at, end)]
        elif kind == b"EXIF" and (exif := _orientation_only(data[begin + 8 : begin + 8 + size])):
            own += kind + len(exif).to_bytes(4, "little") + exif
            flags = 0x08
        if at >= length:
            break
    else:
        raise EOFError(_TOO_MANY_PARTS)
    own[4:8] = (len(own) - 8).to_bytes(4, "little")
    if own[12:16] == b"VP8X" and len(own) > 20:
        own[20] = own[20] & ~0x0C | flags
    return bytes(own), end
