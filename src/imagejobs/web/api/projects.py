"""The routes of projects and their members."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse

from imagejobs.app.projects import ProjectWords, get_project, list_members, put_member, put_project, remove_member
from imagejobs.domain.access import Role
from imagejobs.web.api.answers import document
from imagejobs.web.api.requests import ById, Id, Wire
from imagejobs.web.auth import Asker, WiredDeps

router = APIRouter(prefix="/api/projects", tags=["projects"], route_class=ById)

ProjectId = Annotated[Id, Path(description="The project, by the application's own id; a slash in it is `%2F`.")]
UserId = Annotated[Id, Path(description="The user, by the `sub` of their token.")]


class ProjectWrite(Wire):
    """What a project is called and how it decides; a member left out is its default again."""

    name: Id | None = None
    on_unknown_outcome: Literal["fail", "retry_once"] = "fail"


class ProjectBody(ProjectWrite):
    """A project."""

    project_id: str
    created_at: str


class MemberWrite(Wire):
    """What a user is to be in the project."""

    role: Role


class MemberBody(MemberWrite):
    """A member; `source` says whether a person or the ownership query made them one."""

    user_id: str
    source: Literal["members", "ownership_query"]
    created_at: str


class MemberList(Wire):
    """A project's members, oldest first."""

    members: list[MemberBody]


@router.get("/{project_id}", response_model=ProjectBody, summary="Read a project")
async def read_project(project_id: ProjectId, deps: WiredDeps, caller: Asker) -> Response:
    """The project, for everybody who may read its jobs."""
    project = await get_project(deps, caller, project_id)
    return JSONResponse(document(ProjectBody, project, project_id=project.id, name=project.name))


@router.put(
    "/{project_id}",
    response_model=ProjectBody,
    responses={201: {"model": ProjectBody, "description": "It is new."}},
    summary="Make a project, or name it and set its policy",
)
async def write_project(project_id: ProjectId, body: ProjectWrite, deps: WiredDeps, caller: Asker) -> Response:
    """Make the project, or replace its name and policy. A repeat changes nothing."""
    words = ProjectWords(name=body.name, on_unknown_outcome=body.on_unknown_outcome)
    project, is_new = await put_project(deps, caller, project_id, words)
    answer = document(ProjectBody, project, project_id=project.id, name=project.name)
    return JSONResponse(answer, 201 if is_new else 200)


@router.get("/{project_id}/members", response_model=MemberList, summary="List a project's members")
async def read_members(project_id: ProjectId, deps: WiredDeps, caller: Asker) -> Response:
    """The users who have a role in the project."""
    members = await list_members(deps, caller, project_id)
    return JSONResponse({"members": [document(MemberBody, member) for member in members]})


@router.put("/{project_id}/members/{user_id}", status_code=204, summary="Give a user a role in a project")
async def write_member(
    project_id: ProjectId, user_id: UserId, body: MemberWrite, deps: WiredDeps, caller: Asker
) -> Response:
    """Make the user a member, or change their role, but not one's own. A repeat changes nothing."""
    await put_member(deps, caller, project_id, user_id, body.role)
    return Response(status_code=204)


@router.delete("/{project_id}/members/{user_id}", status_code=204, summary="End a user's membership")
async def delete_member(project_id: ProjectId, user_id: UserId, deps: WiredDeps, caller: Asker) -> Response:
    """End the membership, at once. Whom the ownership query names is back with their next request."""
    await remove_member(deps, caller, project_id, user_id)
    return Response(status_code=204)
