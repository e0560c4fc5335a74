"""Resumable uploads, TUS 1.0.0 as Supabase speaks it: every chunk but the last is exactly 6 MB."""

from base64 import b64encode
from collections.abc import Mapping

from imagejobs.errors import StorageError, StorageUnavailable
from imagejobs.net.http import OutboundAnswer
from imagejobs.storage.supabase.rest import Rest, complaint_in

CHUNK_BYTES = 6 * 1024 * 1024

_VERSION = {"tus-resumable": "1.0.0"}
_CHANCES = 3
_CREATED = 201
_NO_CONTENT = 204
_WRONG_OFFSET = 409


async def upload_resumable(rest: Rest, data: bytes, metadata: Mapping[str, str], *, replaces: bool) -> bool:
    """Upload in chunks, going on from the server's offset after a lost chunk; False where something stands there already.

    At most one chunk is copied at a time. Raises the leaves of `StorageError`, after three setbacks without progress too.
    """
    upload = await _begin(rest, len(data), metadata, replaces=replaces)
    if upload is None:
        return False
    offset, chances = 0, _CHANCES
    while offset < len(data):
        error: StorageError = StorageUnavailable("Supabase Storage takes chunks of an upload, and gets no further.")
        try:
            reached = await _send_chunk(rest, upload, data, offset)
        except StorageUnavailable as lost:
            error, reached = lost, await _offset(rest, upload)
        if reached is None:
            return False
        chances = _CHANCES if reached > offset else chances - 1
        if chances == 0:
            raise error
        offset = reached
    return True


async def _begin(rest: Rest, size: int, metadata: Mapping[str, str], *, replaces: bool) -> str | None:
    """The path of the new upload, None where something stands there already.

    Only the last part of `Location` is believed: behind a proxy its scheme and host are often wrong.
    """
    words = ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in metadata.items())
    headers = {**_VERSION, "upload-length": str(size), "upload-metadata": words, "x-upsert": str(replaces).lower()}
    answer = await rest.send("POST", "/upload/resumable", headers=headers)
    name = answer.headers.get("location", "").rstrip("/").rpartition("/")[2]
    if answer.status == _CREATED and name:
        return f"/upload/resumable/{name}"
    if complaint_in(answer).is_duplicate:
        return None
    raise rest.error_of(answer)


async def _send_chunk(rest: Rest, upload: str, data: bytes, offset: int) -> int | None:
    """The offset after it, None where something stands there already; a wrong offset raises `StorageUnavailable`."""
    headers = {**_VERSION, "upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
    answer = await rest.send("PATCH", upload, headers=headers, body=data[offset : offset + CHUNK_BYTES])
    if answer.status == _NO_CONTENT:
        return _stated_offset(answer)
    complaint = complaint_in(answer)
    if complaint.is_duplicate and (complaint.code or "exists" in complaint.text.lower()):
        return None
    if answer.status == _WRONG_OFFSET:
        raise StorageUnavailable("Supabase Storage is at another offset of the upload than we are.")
    raise rest.error_of(answer)


async def _offset(rest: Rest, upload: str) -> int:
    """How far the server is."""
    answer = await rest.send("HEAD", upload, headers=_VERSION)
    if answer.status not in (200, _NO_CONTENT):
        raise StorageUnavailable("Supabase Storage forgot an upload half-way; it begins anew.")
    return _stated_offset(answer)


def _stated_offset(answer: OutboundAnswer) -> int:
    stated = answer.headers.get("upload-offset", "")
    if not stated.isdecimal():
        raise StorageUnavailable("Supabase Storage does not say how far an upload is.")
    return int(stated)
