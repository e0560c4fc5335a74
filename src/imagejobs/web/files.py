"""Pictures on the local disk, also after a move to a bucket; public by their unguessable address, and harmless."""

import hashlib
import re

from fastapi import APIRouter, Request, Response

from imagejobs.errors import NotFound, StorageRejected
from imagejobs.web.auth import WiredDeps

router = APIRouter(tags=["files"])

_HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "content-disposition": "inline",
    "cache-control": "public, max-age=31536000, immutable",
    "cross-origin-resource-policy": "cross-origin",
    "access-control-allow-origin": "*",
    "accept-ranges": "bytes",
}
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@router.get("/files/{key:path}", summary="A stored picture", response_class=Response, responses={206: {}, 304: {}, 416: {}})
@router.head("/files/{key:path}", include_in_schema=False)
async def read_file(key: str, request: Request, deps: WiredDeps) -> Response:
    """The bytes as they were stored; answers ranges and `If-None-Match`."""
    try:
        found = await deps.files.get(key)
    except StorageRejected:
        found = None
    if found is None:
        raise NotFound("There is no such picture.")
    # Under a key the bytes never change; hashing ten megabytes for each range would hold up everybody.
    headers = {**_HEADERS, "etag": f'"{hashlib.sha256(key.encode()).hexdigest()[:32]}"'}
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    status, body = _ranged(request, found.data, headers)
    return Response(body, status, headers, found.media_type)


def _ranged(request: Request, data: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """The part that one range asks for (RFC 9110 section 14), the whole for anything else."""
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or match[0] == "bytes=-" or request.headers.get("if-range", headers["etag"]) != headers["etag"]:
        return 200, data
    size = len(data)
    first = int(match[1]) if match[1] else max(0, size - int(match[2]))
    last = min(int(match[2]), size - 1) if match[1] and match[2] else size - 1
    if first > last:
        headers["content-range"] = f"bytes */{size}"
        return 416, b""
    headers["content-range"] = f"bytes {first}-{last}/{size}"
    return 206, data[first : last + 1]
