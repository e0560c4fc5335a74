"""The routes of style capsules."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, Field, StringConstraints

from imagejobs.app.styles import delete_style, get_style, list_styles, put_style
from imagejobs.db.styles import NewStyle
from imagejobs.domain.styles import (
    MAX_DESCRIPTOR,
    MAX_DESCRIPTORS,
    MAX_NAME,
    MAX_PILLAR,
    MAX_PILLARS,
    MAX_STYLE_PICTURES,
    Style,
)
from imagejobs.web.api import cursors
from imagejobs.web.api.answers import document
from imagejobs.web.api.requests import ById, Id, Text, Wire, not_blank
from imagejobs.web.auth import Asker, WiredDeps

router = APIRouter(prefix="/api/projects/{projectId}/styles", tags=["styles"], route_class=ById)

_MAX_CURSOR = 1_100  # of an id of 200 characters of four bytes each

ProjectId = Annotated[Id, Path(alias="projectId")]
StyleId = Annotated[Id, Path(alias="styleId")]


def _different(inputs: tuple[UUID, ...]) -> tuple[UUID, ...]:
    if len(set(inputs)) != len(inputs):
        raise ValueError("must not name an input twice")
    return inputs


class StyleWords(Wire):
    """A look: its name, words that describe it, and pillars, the rules that every picture keeps."""

    name: Annotated[Text, StringConstraints(min_length=1, max_length=MAX_NAME), AfterValidator(not_blank)]
    descriptors: Annotated[
        tuple[Annotated[Text, StringConstraints(min_length=1, max_length=MAX_DESCRIPTOR), AfterValidator(not_blank)], ...],
        Field(max_length=MAX_DESCRIPTORS),
    ] = ()
    pillars: Annotated[
        tuple[Annotated[Text, StringConstraints(min_length=1, max_length=MAX_PILLAR), AfterValidator(not_blank)], ...],
        Field(max_length=MAX_PILLARS),
    ] = ()
    reference_images: Annotated[
        tuple[UUID, ...],
        Field(max_length=MAX_STYLE_PICTURES, description="The inputIds of pictures of which only the look counts."),
        AfterValidator(_different),
    ] = ()

    def style(self) -> NewStyle:
        """The domain's value."""
        return NewStyle(name=self.name, descriptors=self.descriptors, pillars=self.pillars, inputs=self.reference_images)


class StyleBody(StyleWords):
    """A style capsule as it stands."""

    style_id: str
    project_id: str
    created_at: str
    updated_at: str


class StyleList(Wire):
    """A page of styles in the order of their ids; `nextCursor` is null on the last page."""

    styles: list[StyleBody]
    next_cursor: str | None


@router.put(
    "/{styleId}",
    response_model=StyleBody,
    responses={201: {"model": StyleBody, "description": "There was no such style before."}},
    summary="Write a style",
)
async def write_style(
    project_id: ProjectId, style_id: StyleId, body: StyleWords, deps: WiredDeps, caller: Asker
) -> Response:
    """Make the style, or replace it whole. Jobs that exist keep what they took; later ones take this."""
    style, is_new = await put_style(deps, caller, project_id, style_id, body.style())
    return JSONResponse(_json(project_id, style), 201 if is_new else 200)


@router.get("/{styleId}", response_model=StyleBody, summary="Read a style")
async def read_style(project_id: ProjectId, style_id: StyleId, deps: WiredDeps, caller: Asker) -> Response:
    """The style as it stands."""
    return JSONResponse(_json(project_id, await get_style(deps, caller, project_id, style_id)))


@router.get("", response_model=StyleList, summary="List styles")
async def read_styles(
    project_id: ProjectId,
    deps: WiredDeps,
    caller: Asker,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=_MAX_CURSOR)] = None,
) -> Response:
    """The project's styles in the order of their ids."""
    after = None if cursor is None else cursors.decode_id(cursor)
    page = await list_styles(deps, caller, project_id, after, limit)
    next_cursor = None if page.next_after is None else cursors.encode_id(page.next_after)
    body = {"styles": [_json(project_id, style) for style in page.styles], "nextCursor": next_cursor}
    return JSONResponse(body)


@router.delete("/{styleId}", status_code=204, summary="Delete a style")
async def remove_style(project_id: ProjectId, style_id: StyleId, deps: WiredDeps, caller: Asker) -> Response:
    """Remove the style. Jobs that took it go on, and their retries too; new ones cannot name it."""
    await delete_style(deps, caller, project_id, style_id)
    return Response(status_code=204)


def _json(project_id: str, style: Style) -> dict[str, Any]:
    pictures = [str(input_id) for input_id in style.inputs]
    return document(StyleBody, style, style_id=style.id, project_id=project_id, reference_images=pictures)
