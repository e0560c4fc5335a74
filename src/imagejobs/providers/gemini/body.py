"""A large JSON body, read without holding its pictures three times.

A 4K picture is 8 MB of base64 in one JSON string. `json.loads` would make a second copy of it, decoding a third. Here such
strings are cut out of the raw bytes first: the small rest is parsed, and a picture is decoded straight from the body.
"""

import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

_DATA = re.compile(rb'"data"\s*:\s*"')
_WORTH_CUTTING = 4096
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, kw_only=True)
class CutBody:
    """The JSON document; where a long `data` string stood there is its number, and `views` hold the strings."""

    document: Any
    views: tuple[memoryview, ...]

    def picture(self, data: object) -> bytes:
        """The bytes behind a `data` field. What is no base64 is handed on as it is, for the decoder to refuse."""
        if type(data) is int and 0 <= data < len(self.views):
            return _decoded(self.views[data])
        return _decoded(memoryview(data.encode("utf-8", "surrogatepass"))) if isinstance(data, str) else b""


def read_body(body: bytes) -> CutBody | None:
    """The document in `body`, its long `data` strings cut out; None where it is no JSON."""
    whole = memoryview(body)
    rest: list[bytes | memoryview] = []
    views: list[memoryview] = []
    end = 0
    for begin in _DATA.finditer(body):
        start, stop = begin.end(), body.find(b'"', begin.end())
        is_plain = stop - start >= _WORTH_CUTTING and body.find(b"\\", start, stop) < 0
        if begin.start() < end or not is_plain:
            continue
        rest += [whole[end : start - 1], str(len(views)).encode()]
        views.append(whole[start:stop])
        end = stop + 1
    rest.append(whole[end:])
    try:
        return CutBody(document=json.loads(b"".join(rest)), views=tuple(views))
    except (ValueError, RecursionError):
        return None


def _decoded(text: memoryview) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass
    cleaned = bytes(text).translate(_TO_STANDARD, b" \t\r\n").rstrip(b"=")  # the other alphabet, line ends, no padding
    try:
        return binascii.a2b_base64(cleaned + b"=" * (-len(cleaned) % 4), strict_mode=True)
    except ValueError:
        return bytes(text)
