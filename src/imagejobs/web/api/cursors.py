"""Cursors: where the next page begins, opaque to callers."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from uuid import UUID

from imagejobs.errors import MalformedRequest

_NOT_OURS = "The cursor is not one of ours: take nextCursor from the previous page."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode(position: tuple[datetime, UUID]) -> str:
    """The position as a word for a URL."""
    micros = (position[0] - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(micros.to_bytes(8, signed=True) + position[1].bytes).decode()


def decode(word: str) -> tuple[datetime, UUID]:
    """The position behind the word; `MalformedRequest` for what no answer ever held."""
    try:
        raw = base64.b64decode(word.encode("ascii"), altchars=b"-_", validate=True)
        if len(raw) != 24:
            raise ValueError("length")
        return _EPOCH + timedelta(microseconds=int.from_bytes(raw[:8], signed=True)), UUID(bytes=raw[8:])
    except (ValueError, OverflowError, binascii.Error) as error:
        raise MalformedRequest(_NOT_OURS) from error


def encode_id(last: str) -> str:
    """The last id of a page as a word for a URL."""
    return base64.urlsafe_b64encode(last.encode()).decode()


def decode_id(word: str) -> str:
    """The id behind the word; `MalformedRequest` for what no answer ever held."""
    try:
        found = base64.b64decode(word.encode("ascii"), altchars=b"-_", validate=True).decode()
        if not found or "\x00" in found:
            raise ValueError("not an id")
    except ValueError as error:
        raise MalformedRequest(_NOT_OURS) from error
    return found
