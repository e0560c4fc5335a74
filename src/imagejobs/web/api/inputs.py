"""The route that takes input pictures."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from imagejobs.app.upload import upload
from imagejobs.errors import MalformedRequest, UnsupportedMediaType
from imagejobs.web.api.answers import document
from imagejobs.web.api.requests import Id, Wire
from imagejobs.web.auth import Asker, WiredDeps

PATH = "/api/images/inputs"

router = APIRouter(tags=["inputs"])

_BYTES = {"schema": {"type": "string", "format": "binary"}}


class InputAnswer(Wire):
    """A picture that jobs of the project can name by its `inputId` until `expiresAt`, as it was decoded."""

    input_id: str
    media_type: str
    width: int
    height: int
    bytes: int
    sha256: str
    expires_at: str


@router.post(
    PATH,
    status_code=201,
    response_model=InputAnswer,
    responses={409: {"description": "The project keeps as many bytes of inputs as it may."}},
    summary="Upload a reference, source or mask",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": dict.fromkeys(("image/png", "image/jpeg", "image/webp", "application/octet-stream"), _BYTES),
        }
    },
)
async def upload_input(
    request: Request, project_id: Annotated[Id, Query(alias="projectId")], deps: WiredDeps, caller: Asker
) -> Response:
    """Keep a PNG, JPEG or WebP privately for the project's jobs. The body is the picture itself, not a form.

    The same bytes again give the same `inputId` with its time renewed, so a repeat is safe. An input that an open job uses
    outlives its time. Refused with 422, and not kept: what is no picture, is cut off, has too many pixels, or has another
    file behind its end.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (media_type.startswith("image/") or media_type == "application/octet-stream"):
        raise UnsupportedMediaType("Send the picture itself as the body, as image/png, image/jpeg or image/webp; no form.")
    kept = await upload(deps, caller, project_id, _chunks(request))
    answer = document(InputAnswer, kept.facts, input_id=kept.id, bytes=kept.facts.size_bytes, expires_at=kept.expires_at)
    return JSONResponse(answer, 201)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise MalformedRequest("The upload broke off; send it again.") from error
