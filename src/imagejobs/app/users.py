"""Users: their roles in our projects, and the projects that the application's own tables say are theirs."""

import asyncio

import asyncpg

from imagejobs.app.deps import Deps
from imagejobs.db import access, ownership
from imagejobs.db.access import Membership
from imagejobs.db.pool import Database
from imagejobs.domain.access import Caller, Operation, Role, user_caller
from imagejobs.errors import DatabaseUnavailable

CONFIRMED_SECONDS = 60.0
_ANSWER_SECONDS = 5.0


async def caller_of_user(deps: Deps, user_id: str) -> Caller:
    """The user with the role in each of their projects.

    A membership by the ownership query is asked for again once it is `CONFIRMED_SECONDS` old, and ends where it is denied.
    """
    async with deps.database.connection() as connection:
        found = await access.memberships(connection, user_id)
    if any(one.confirmed_seconds_ago is not None for one in found):
        found = await _confirmed(deps, user_id, found)
    return user_caller(user_id, {one.project_id: one.role for one in found})


async def admitted(deps: Deps, caller: Caller, project_id: str) -> Caller:
    """The caller, with the project among theirs where the ownership query confirms it: it is provisioned then.

    Whether somebody made the project before plays no part, so that a stranger cannot tell.
    """
    user_id, now = caller.user_id, deps.clock.monotonic()
    if user_id is None or caller.sees(project_id) or deps.policy.ownership_query is None:
        return caller
    if deps.refusals.get((user_id, project_id), now):
        return caller
    if not await _owns(deps, user_id, project_id):
        deps.refusals.put((user_id, project_id), True, now)
        return caller
    async with deps.database.transaction() as tx:
        await access.ensure_projects(tx, [project_id], caller.name)
        await access.confirm_member(tx, [project_id], user_id)
    return caller.with_role(project_id, Role.ADMIN)


async def require_usable(database: Database, query: str, *, is_asked: bool = False) -> None:
    """Refuse an ownership query that cannot work, as `db.ownership.require_usable`."""
    async with database.transaction() as tx:
        await ownership.require_usable(tx, query, is_asked=is_asked)


async def permitted(deps: Deps, caller: Caller, project_id: str, operation: Operation) -> Caller:
    """The caller as `admitted`, if they may do this in the project; refused as by `Caller.require_project`."""
    caller = await admitted(deps, caller, project_id)
    caller.require_project(project_id, operation)
    return caller


async def _confirmed(deps: Deps, user_id: str, found: list[Membership]) -> list[Membership]:
    """Those that still hold; where the ownership query was taken away, only what people gave."""
    if deps.policy.ownership_query is None:
        return [one for one in found if one.confirmed_seconds_ago is None]
    stale = [one.project_id for one in found if (one.confirmed_seconds_ago or 0) > CONFIRMED_SECONDS]
    theirs = [project_id for project_id in stale if await _owns(deps, user_id, project_id)]
    ended = sorted({*stale} - {*theirs})
    if stale:
        async with deps.database.transaction() as tx:
            await access.confirm_member(tx, theirs, user_id)
            await access.end_confirmed(tx, ended, user_id)
    return [one for one in found if one.project_id not in ended]


async def _owns(deps: Deps, user_id: str, project_id: str) -> bool:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS), deps.owner_places, deps.database.transaction() as tx:
            return await ownership.is_owner(tx, deps.policy.ownership_query or "", project_id, user_id)
    except asyncpg.DataError:  # an id that the query itself could not cast is nobody's
        return False
    except TimeoutError as error:
        raise DatabaseUnavailable("Whose this project is could not be told in time; try again in a moment.") from error
