"""What bytes are by their first few: cheap enough for the parent, so that rubbish and plain bombs never reach a child."""

from imagejobs.errors import NotAnImage
from imagejobs.imaging.wire import Format

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_LOOK_BYTES = 512
_BINARY_SIGNS = (
    (b"GIF87a", "a GIF"),
    (b"GIF89a", "a GIF"),
    (b"%PDF-", "a PDF"),
    (b"BM", "a BMP picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip-compressed data"),
)
_TEXT_SIGNS = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
    (b"{", "JSON"),
    (b"[", "JSON"),
)


def sniff(data: bytes) -> Format:
    """The format `data` claims by its signature; raises NotAnImage, naming what it looks like instead."""
    if data.startswith(_PNG):
        return Format.PNG
    if data.startswith(_JPEG):
        return Format.JPEG
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return Format.WEBP
    raise NotAnImage(
        f"A PNG, JPEG or WebP picture was expected, but this is {_likeness(data)}; send one of the three formats."
    )


def announced_size(data: bytes, picture_format: Format) -> tuple[int, int] | None:
    """Width and height where the header holds them at a fixed place, else None: JPEG's are found by the child."""
    match picture_format:
        case Format.PNG:
            return _png_size(data)
        case Format.WEBP:
            return _webp_size(data)
        case Format.JPEG:
            return None


def _png_size(data: bytes) -> tuple[int, int] | None:
    if len(data) < 24 or data[12:16] != b"IHDR":
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _webp_size(data: bytes) -> tuple[int, int] | None:
    if len(data) < 30:
        return None
    match data[12:16]:
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8L" if data[20] == 0x2F:
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 " if data[23:26] == b"\x9d\x01\x2a":
            return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
        case _:
            return None


def _likeness(data: bytes) -> str:
    if not data:
        return "empty"
    if data[4:8] == b"ftyp":
        return "an AVIF, HEIC or video file"
    start = data[:_LOOK_BYTES]
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    named = next((name for sign, name in _BINARY_SIGNS if start.startswith(sign)), None)
    if named is None and b"<svg" in text:
        named = "an SVG drawing"
    return named or next((name for sign, name in _TEXT_SIGNS if text.startswith(sign)), "of an unknown format")
