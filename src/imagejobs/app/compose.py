"""Compose: the request with its style's pictures beside its own, and the words that a provider gets."""

from dataclasses import replace

from imagejobs.app.deps import Deps
from imagejobs.db import styles
from imagejobs.domain.prompts import compose
from imagejobs.domain.requests import ImageRequest, PictureSource, Reference, ReferenceRole
from imagejobs.domain.styles import Style
from imagejobs.errors import InvalidField


async def composed(deps: Deps, request: ImageRequest) -> ImageRequest:
    """The request as its job is written: what is in it now is what every attempt sends, whatever becomes of the style.

    `InvalidField` where the style is not there.
    """
    style = None if request.style_capsule_id is None else await _style(deps, request.project_id, request.style_capsule_id)
    if style is not None:
        pictures = (PictureSource(input_id=str(input_id)) for input_id in style.inputs)
        worn = (Reference(source=picture, role=ReferenceRole.STYLE) for picture in pictures)
        request = replace(request, references=(*request.references, *worn))
    words = compose(request, style)
    return request if words == request.prompt else replace(request, composed_prompt=words)


async def _style(deps: Deps, project_id: str, style_id: str) -> Style:
    async with deps.database.connection() as connection:
        style = await styles.by_id(connection, project_id, style_id)
    if style is None:
        problem = "names no style of this project; make it with PUT /api/projects/{projectId}/styles/{styleId}."
        raise InvalidField("visualStyleCapsuleId", problem)
    return style
