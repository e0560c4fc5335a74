"""NOTIFY and LISTEN: which jobs changed."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from uuid import UUID

import asyncpg

from imagejobs.db.pool import NOT_NOW, Connection
from imagejobs.errors import DatabaseUnavailable

MOST_JOBS = 200
"""So many ids fit into one payload, which PostgreSQL limits to 8,000 bytes."""

_CHANNEL = "imagejobs_news"
_SECONDS = 10.0
_CHECK_SECONDS = 15.0


async def notify(connection: Connection, job_ids: Sequence[UUID]) -> None:
    """Name up to `MOST_JOBS` jobs to all who listen; not durable, so that nobody waits for the disk under its lock."""
    await connection.execute(
        "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)",
        _CHANNEL,
        ",".join(job_id.hex for job_id in job_ids),
    )


async def listen(dsn: str, on_jobs: Callable[[Iterable[UUID]], None], on_ready: Callable[[], None]) -> None:
    """Hand on the jobs that others name, until the session ends; raises `DatabaseUnavailable` where it cannot begin.

    Needs a session of its own, not one of a pooler.
    """
    session: asyncpg.Connection[asyncpg.Record] | None = None
    settings = {"application_name": "imagejobs news"}
    try:
        session = await asyncpg.connect(dsn, timeout=_SECONDS, command_timeout=_SECONDS, server_settings=settings)
        ended = asyncio.Event()
        session.add_termination_listener(lambda _: ended.set())
        await session.add_listener(_CHANNEL, lambda *heard: on_jobs(_jobs_in(str(heard[3]))))
        on_ready()
        while not ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _CHECK_SECONDS)
            await session.execute("SELECT 1")
    except (*NOT_NOW, asyncpg.PostgresError) as error:
        raise DatabaseUnavailable(f"Nobody listens for news just now ({type(error).__name__}).") from error
    finally:
        if session is not None:
            session.terminate()


def _jobs_in(payload: str) -> list[UUID]:
    with suppress(ValueError):
        return [UUID(word) for word in payload.split(",")]
    return []
