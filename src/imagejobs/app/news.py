"""News: whoever waits for a job in this process is woken, and the other processes are told.

Both are hints. They are sent after the commit, many jobs in one NOTIFY, and may be lost with the process; so whoever waits
reads the rows again when woken, and now and then without.
"""

import asyncio
import logging
from contextlib import suppress
from uuid import UUID

from imagejobs.app.deps import Deps
from imagejobs.app.waiters import Waiters
from imagejobs.db import news
from imagejobs.errors import DatabaseUnavailable

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.02
_RECONNECT_SECONDS = 1.0


def tell(deps: Deps, job_id: UUID) -> None:
    """Say that something about the job was committed. Returns at once; the others hear of it some milliseconds later."""
    deps.waiters.wake([job_id])
    deps.waiters.untold[job_id] = None
    if deps.waiters.telling is None or deps.waiters.telling.done():
        deps.waiters.telling = asyncio.create_task(_tell_others(deps))


async def told(deps: Deps) -> None:
    """Return when what was said so far is sent."""
    if deps.waiters.telling is not None:
        await deps.waiters.telling


async def _tell_others(deps: Deps) -> None:
    """Send what there is, then what came meanwhile: a NOTIFY takes a lock that all senders share, so there are few."""
    untold = deps.waiters.untold
    while untold:
        batch = [untold.popitem()[0] for _ in range(min(len(untold), news.MOST_JOBS))]
        with suppress(DatabaseUnavailable):
            async with deps.database.connection() as connection:
                await news.notify(connection, batch)
        await asyncio.sleep(_PAUSE_SECONDS)


async def hear(dsn: str, waiters: Waiters) -> None:
    """Wake this process's waiters by what other processes tell, over one session of its own, until canceled.

    After every new connection all are woken: what was told in between went unheard.
    """
    while True:
        try:
            await news.listen(dsn, waiters.wake, waiters.begin_listening)
        except DatabaseUnavailable as error:
            logger.warning("news.deaf", extra={"detail": error.detail})
        finally:
            waiters.is_listening = False
        await asyncio.sleep(_RECONNECT_SECONDS)
