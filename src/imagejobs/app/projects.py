"""Projects and their members: by admin keys, and by the admins of a project."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagejobs.app.deps import Deps
from imagejobs.app.users import permitted
from imagejobs.db import access
from imagejobs.db.access import Membership, Project
from imagejobs.db.pool import Connection, Database
from imagejobs.domain.access import Caller, Operation, Role
from imagejobs.errors import NotFound, PermissionDenied


@dataclass(frozen=True, kw_only=True)
class ProjectWords:
    """What a project is called and how it decides; what is not given is the default."""

    name: str | None = None
    on_unknown_outcome: str = "fail"


async def get_project(deps: Deps, caller: Caller, project_id: str) -> Project:
    """The project, if it is the caller's."""
    caller = await permitted(deps, caller, project_id, Operation.READ_PROJECT)
    async with deps.database.connection() as connection:
        return await _existing(connection, project_id)


async def put_project(deps: Deps, caller: Caller, project_id: str, words: ProjectWords) -> tuple[Project, bool]:
    """Make the project or replace its words; the project, and whether it is new. A repeat changes nothing."""
    caller = await permitted(deps, caller, project_id, Operation.WRITE_PROJECT)
    return await write_project(deps.database, project_id, words, caller.key_id or caller.name)


async def list_members(deps: Deps, caller: Caller, project_id: str) -> list[Membership]:
    """The project's members, oldest first; those of the ownership query from their first request on."""
    caller = await permitted(deps, caller, project_id, Operation.MEMBERS)
    return await members_of(deps.database, project_id)


async def put_member(deps: Deps, caller: Caller, project_id: str, user_id: str, role: Role) -> None:
    """Give a user a role. A repeat changes nothing.

    Nobody gives themselves one: who is admin by the ownership query would stay so when it names them no more.
    """
    caller = await permitted(deps, caller, project_id, Operation.MEMBERS)
    if user_id == caller.user_id:
        raise PermissionDenied("Nobody changes their own role; ask another admin of the project.")
    await write_member(deps.database, project_id, user_id, role)


async def remove_member(deps: Deps, caller: Caller, project_id: str, user_id: str) -> None:
    """End a membership; `NotFound` where there was none. Whom the ownership query names comes back by their next request."""
    caller = await permitted(deps, caller, project_id, Operation.MEMBERS)
    await end_member(deps.database, project_id, user_id)


# The same for the operator, who asks nobody.


async def all_projects(database: Database) -> Sequence[Project]:
    """Every project, oldest first."""
    async with database.connection() as connection:
        return await access.all_projects(connection)


async def write_project(database: Database, project_id: str, words: ProjectWords, by: str) -> tuple[Project, bool]:
    """As `put_project`."""
    async with database.transaction() as tx:
        is_new = await access.put_project(tx, project_id, words.name, words.on_unknown_outcome, by)
        return await _existing(tx, project_id), is_new


async def members_of(database: Database, project_id: str) -> list[Membership]:
    """As `list_members`."""
    async with database.connection() as connection:
        await _existing(connection, project_id)
        return await access.members(connection, project_id)


async def write_member(database: Database, project_id: str, user_id: str, role: Role) -> None:
    """As `put_member`."""
    async with database.transaction() as tx:
        await _existing(tx, project_id)
        await access.put_member(tx, project_id, user_id, role)


async def end_member(database: Database, project_id: str, user_id: str) -> None:
    """As `remove_member`."""
    async with database.transaction() as tx:
        if not await access.remove_member(tx, project_id, user_id):
            raise NotFound("There is no such member.")


async def _existing(connection: Connection, project_id: str) -> Project:
    project = await access.project(connection, project_id)
    if project is None:
        raise NotFound("There is no such project.")
    return project
