"""Style capsules: write, read, list, delete. Whoever may make a project's jobs may write its styles."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagejobs.app.deps import Deps
from imagejobs.app.submit import require_project
from imagejobs.app.users import permitted
from imagejobs.db import styles
from imagejobs.db.styles import NewStyle
from imagejobs.domain.access import Caller, Operation
from imagejobs.domain.styles import Style
from imagejobs.errors import InvalidField, NotFound


@dataclass(frozen=True, kw_only=True)
class StylePage:
    """Styles in the order of their ids, and the id behind which the next page begins."""

    styles: Sequence[Style]
    next_after: str | None


async def put_style(deps: Deps, caller: Caller, project_id: str, style_id: str, new: NewStyle) -> tuple[Style, bool]:
    """Write the style, in place of an earlier one of its id; True where there was none.

    Jobs that exist keep the words and pictures that they took. Its pictures do not expire while they are in a style;
    one that the project does not have is an `InvalidField`, and nothing is written. A repeat changes nothing but the time.
    """
    caller = await permitted(deps, caller, project_id, Operation.WRITE_STYLES)
    async with deps.database.transaction() as tx:
        await require_project(deps, tx, caller, project_id)
        usable = await styles.usable_inputs(tx, project_id, new.inputs) if new.inputs else set()
        for place, input_id in enumerate(new.inputs):
            if input_id not in usable:
                problem = "is no input of this project, or has expired; upload it first."
                raise InvalidField(f"referenceImages.{place}", problem)
        style, is_new = await styles.put(tx, project_id, style_id, new)
    deps.known_projects.put(project_id, fact=True)
    return style, is_new


async def get_style(deps: Deps, caller: Caller, project_id: str, style_id: str) -> Style:
    """The style, if its project is the caller's."""
    caller = await permitted(deps, caller, project_id, Operation.READ_STYLES)
    async with deps.database.connection() as connection:
        style = await styles.by_id(connection, project_id, style_id)
    if style is None:
        raise NotFound("There is no such style.")
    return style


async def list_styles(deps: Deps, caller: Caller, project_id: str, after_id: str | None, limit: int) -> StylePage:
    """A page of the project's styles."""
    caller = await permitted(deps, caller, project_id, Operation.READ_STYLES)
    async with deps.database.connection() as connection:
        found = await styles.page(connection, project_id, after_id, limit + 1)
    page = found[:limit]
    return StylePage(styles=page, next_after=page[-1].id if len(found) > limit else None)


async def delete_style(deps: Deps, caller: Caller, project_id: str, style_id: str) -> None:
    """Remove the style; jobs that took it are not touched. `NotFound` where there is none, as on a repeat."""
    caller = await permitted(deps, caller, project_id, Operation.WRITE_STYLES)
    async with deps.database.transaction() as tx:
        if not await styles.delete(tx, project_id, style_id):
            raise NotFound("There is no such style.")
