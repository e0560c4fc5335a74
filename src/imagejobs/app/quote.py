"""Quote: what a request would cost and whether it would be let through; nothing is written or reserved."""

from dataclasses import dataclass, replace

from imagejobs.app.choose import NO_DEFAULT
from imagejobs.app.compose import composed
from imagejobs.app.deps import Deps
from imagejobs.app.submit import Target, target_of
from imagejobs.app.users import permitted
from imagejobs.db import access, budgets
from imagejobs.domain.access import Caller, Operation
from imagejobs.domain.requests import ImageRequest
from imagejobs.errors import BudgetExhausted, ImageJobsError, NoProviderConfigured


@dataclass(frozen=True, kw_only=True)
class Quoted:
    """The request as it would be made, where it would go, and what would stop it just now."""

    request: ImageRequest
    target: Target
    obstacle: ImageJobsError | None


async def quote(deps: Deps, caller: Caller, request: ImageRequest) -> Quoted:
    """Price the request. It raises what `submit` raises, but for the lack of money, which is the answer's to tell.

    Prices and budgets are those of this moment; nothing holds them until the job is made.
    """
    caller = await permitted(deps, caller, request.project_id, Operation.CREATE_JOB)
    request = await composed(deps, request)
    try:
        target, obstacle = target_of(deps, request), None
    except BudgetExhausted as over_max_cost:
        target, obstacle = target_of(deps, replace(request, max_cost_micros=None)), over_max_cost
    full = None
    async with deps.database.connection() as connection:
        if not caller.creates_projects and await access.project(connection, request.project_id) is None:
            raise caller.no_project()
        if target.quote is not None:
            micros = target.quote.micros * request.n
            full = await budgets.without_room(connection, request.project_id, caller.key_id, micros)
    return Quoted(request=request, target=target, obstacle=obstacle or _obstacle(target, full))


def _obstacle(target: Target, full: str | None) -> ImageJobsError | None:
    if target.provider is None:
        return NoProviderConfigured(NO_DEFAULT)
    return None if full is None else BudgetExhausted(f"The budget of the {full} leaves no room for this.")
