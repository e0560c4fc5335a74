"""The two requests that make a picture, in Google's words."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from imagejobs.domain.requests import GenerationRequest, Picture, ReferenceRole
from imagejobs.errors import ProviderRejected
from imagejobs.providers.gemini.catalogue import Frame, Model

MAX_REQUEST_BYTES = 20_000_000
"""Google takes inline pictures in requests up to this; larger ones would need its Files API."""

_TAKEN = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
_MARKUP_BYTES = 4096
_SEEDS = 2**31  # Google's seed is an int32


def pictures_of(request: GenerationRequest) -> list[Picture]:
    """The input pictures in the order in which they are sent: identity, style, source."""
    roles = (ReferenceRole.IDENTITY, ReferenceRole.STYLE, None)
    ordered = [picture for role in roles for picture in request.references if picture.role is role]
    return ordered if request.source_image is None else [*ordered, request.source_image]


def words_of(request: GenerationRequest) -> str:
    """The prompt as it is. Google has no field for what to avoid, so that follows in words."""
    return f"{request.prompt}\n\nAvoid: {request.negative_prompt}" if request.negative_prompt else request.prompt


def require_sendable(model: Model, request: GenerationRequest) -> None:
    """Refuse, before anything is reserved or sent, what Google would not take."""
    pictures = pictures_of(request)
    if request.mask is not None:
        raise ProviderRejected(f"{model.name} takes no mask; describe the region in the prompt.")
    if len(pictures) > model.references:
        raise ProviderRejected(f"{model.name} takes {model.references} input pictures at most, not {len(pictures)}.")
    for picture in pictures:
        if picture.media_type not in _TAKEN:
            raise ProviderRejected(f"{model.name} takes no {picture.media_type[:100]}; send one of {', '.join(_TAKEN)}.")
    size = sum((len(picture.data) + 2) // 3 * 4 + 100 for picture in pictures)
    size += len(json.dumps(words_of(request))) + _MARKUP_BYTES
    if size > MAX_REQUEST_BYTES:
        raise ProviderRejected(
            f"The request would have {size / 1e6:.1f} MB with its input pictures, and Google takes "
            f"{MAX_REQUEST_BYTES / 1e6:.0f} MB; send fewer or smaller pictures."
        )


def generation_body(request: GenerationRequest, frame: Frame) -> bytes:
    """For `models/{model}:generateContent`."""
    image = {"aspectRatio": frame.ratio} | ({"imageSize": frame.size} if frame.size else {})
    config: dict[str, Any] = {"responseModalities": ["IMAGE"], "candidateCount": 1, "imageConfig": image}
    if request.seed is not None:
        config["seed"] = request.seed % _SEEDS
    pictures = [{"inlineData": {"mimeType": p.media_type, "data": _base64(p)}} for p in pictures_of(request)]
    parts = [*pictures, {"text": words_of(request)}]
    return _json({"contents": [{"role": "user", "parts": parts}], "generationConfig": config})


def interaction_body(request: GenerationRequest, frame: Frame, model: Model) -> bytes:
    """For `interactions`: made in the background and kept, so that it can be asked for by its id."""
    size = {"image_size": frame.size} if frame.size else {}
    content = [{"type": "image", "mime_type": p.media_type, "data": _base64(p)} for p in pictures_of(request)]
    seed = {} if request.seed is None else {"generation_config": {"seed": request.seed % _SEEDS}}
    return _json(
        {
            "model": model.name,
            "background": True,
            "store": True,
            "input": [{"type": "user_input", "content": [*content, {"type": "text", "text": words_of(request)}]}],
            "response_format": {"type": "image", "aspect_ratio": frame.ratio, "delivery": "inline", **size},
            **seed,
        }
    )


def mappings(value: object) -> Iterator[Mapping[str, Any]]:
    """The objects in what should be a list of objects."""
    return (item for item in (value if isinstance(value, list) else []) if isinstance(item, dict))


def mapping(value: object) -> Mapping[str, Any]:
    """What should be an object; empty where it is none."""
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """What should be text; empty where it is none."""
    return value if isinstance(value, str) else ""


def _base64(picture: Picture) -> str:
    return base64.b64encode(picture.data).decode()


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()
