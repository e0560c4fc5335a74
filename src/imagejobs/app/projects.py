"""Projects as a caller may write to them."""

from imagejobs.app.deps import Deps
from imagejobs.db import access
from imagejobs.domain.access import Caller
from imagejobs.errors import NotFound
from imagejobs.ports import Transaction


async def require_project(deps: Deps, tx: Transaction, caller: Caller, project_id: str) -> None:
    """Make the project on its first use where the caller's key creates projects, else refuse one that is not there."""
    if project_id in deps.known_projects:
        return
    if caller.creates_projects:
        await access.ensure_projects(tx, [project_id], caller.key_id)
    elif not await access.project_exists(tx, project_id):
        raise NotFound("There is no such project.")
