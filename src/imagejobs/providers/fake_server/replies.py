"""The documents that the fake provider answers with."""

import itertools
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from imagejobs.providers.fake_server.pictures import File, endless_base64
from imagejobs.providers.fake_server.script import Action
from imagejobs.providers.fake_server.wire import Reply

ENDLESS_BYTES = 10_000_000_000

_HTML = (
    b"<!doctype html>\n<html lang=en><head><title>Welcome</title></head>"
    b"<body><h1>It works!</h1><p>Please log in to go on.</p></body></html>\n"
)
_ERROR_TYPES = {
    400: "invalid_request",
    401: "key_rejected",
    402: "credit_exhausted",
    403: "key_rejected",
    404: "not_found",
    409: "idempotency_conflict",
    413: "too_large",
    422: "invalid_request",
    429: "throttled",
    503: "overloaded",
    529: "overloaded",
}


def json_reply(status: int, document: object, headers: Mapping[str, str] | None = None) -> Reply:
    """A document as an answer."""
    body = json.dumps(document).encode()
    return Reply(status=status, pieces=(body,), length=len(body), headers=headers or {})


def error_reply(
    status: int,
    message: str,
    *,
    kind: str | None = None,
    billed: bool | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """The error document. Without `billed` it says of a refusal and of an overload that it was free, else nothing."""
    kind = kind or _ERROR_TYPES.get(status, "server_error")
    is_free = 400 <= status < 500 or kind == "overloaded"
    said = False if billed is None and is_free else billed
    return json_reply(status, {"error": failure(kind, message, billed=said)}, headers)


def failure(kind: str, message: str, *, billed: bool | None) -> Mapping[str, Any]:
    """What went wrong, and whether it costs; None says nothing about that."""
    return {"type": kind, "message": message, **({} if billed is None else {"billed": billed})}


def is_scripted(action: Action) -> bool:
    """Whether the script dictates the answer itself."""
    return action.is_an_error or action.html or action.body is not None


def scripted_reply(action: Action) -> Reply:
    """The answer that the script dictates, whatever was bought."""
    status, headers = action.status or 200, _headers(action)
    if action.html:
        return Reply(status=status, pieces=(_HTML,), length=len(_HTML), headers={"content-type": "text/html", **headers})
    if isinstance(action.body, str):
        text = action.body.encode("utf-8", "surrogatepass")
        return Reply(status=status, pieces=(text,), length=len(text), headers=headers)
    if action.body is not None:
        return json_reply(status, action.body, headers)
    message = action.message or "The script wants this error."
    return error_reply(status, message, kind=action.error_type, billed=action.says_billed, headers=headers)


def _headers(action: Action) -> Mapping[str, str]:
    headers = dict(action.headers)
    if action.retry_after is not None:
        headers["retry-after"] = action.retry_after
    if action.retry_after_date_seconds is not None:
        until = datetime.now(UTC) + timedelta(seconds=action.retry_after_date_seconds)
        headers["retry-after"] = format_datetime(until, usegmt=True)
    return headers


def picture_reply(document: Mapping[str, Any], media_type: str, file: File) -> Reply:
    """The document with the picture in it, as base64, written piece by piece."""
    begin = _up_to_the_data(document, media_type)
    return Reply(
        status=200, pieces=(begin, *file.base64_pieces(), b'"}}'), length=len(begin) + file.base64_size + len(b'"}}')
    )


def endless_reply(document: Mapping[str, Any], media_type: str) -> Reply:
    """The same with ten gigabytes of base64."""
    pieces: Iterable[bytes] = itertools.chain((_up_to_the_data(document, media_type),), endless_base64())
    return Reply(status=200, pieces=pieces, length=ENDLESS_BYTES)


def file_reply(media_type: str, file: File) -> Reply:
    """The bytes of the picture themselves."""
    return Reply(status=200, pieces=file.pieces(), length=file.size, headers={"content-type": media_type})


def _up_to_the_data(document: Mapping[str, Any], media_type: str) -> bytes:
    return json.dumps({**document, "image": {"media_type": media_type, "data": ""}}).encode()[: -len('"}}')]
