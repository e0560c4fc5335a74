"""Patience: what must not be forgotten because the database is away is tried until it is back."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from imagejobs.app.deps import Deps
from imagejobs.errors import DatabaseUnavailable

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5
_Found = TypeVar("_Found")


async def until_back(deps: Deps, job_id: UUID, action: Callable[[], Awaitable[_Found]]) -> _Found:
    """What `action` says, made again for as long as the database is away; it must be safe to repeat."""
    while True:
        try:
            return await action()
        except DatabaseUnavailable as away:
            logger.warning("job.database_away", extra={"job_id": str(job_id), "detail": away.detail})
            await deps.clock.sleep(_PAUSE_SECONDS * (1 + deps.clock.chance()))
