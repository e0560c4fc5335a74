"""What `doctor` asks the database."""

import time
from dataclasses import dataclass

from imagejobs.db.migrate import known_migrations, schema_version
from imagejobs.db.pool import Connection


@dataclass(frozen=True, kw_only=True)
class DatabaseState:
    """How the server is set up, and how far our schema and our work on it are.

    `queue_persistence` is that of PostgreSQL's catalogue: `p` for a table that survives a crash, None for no table.
    """

    version: str
    fsync: str
    clock_ahead_seconds: float
    schema: int
    schema_needed: int
    queue_persistence: str | None = None
    workers_seen: int = 0
    jobs_waiting_long: int = 0


async def database_state(connection: Connection) -> DatabaseState:
    """Read all of it; what needs our tables only where they are there."""
    before = time.time()
    server = await connection.fetchrow(
        "SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync, "
        "extract(epoch FROM clock_timestamp())::float8 AS clock"
    )
    assert server is not None
    schema = await schema_version(connection)
    work = {} if schema == 0 else dict(await connection.fetchrow(_WORK) or {})
    return DatabaseState(
        version=server["version"],
        fsync=server["fsync"],
        clock_ahead_seconds=server["clock"] - (before + time.time()) / 2,
        schema=schema,
        schema_needed=known_migrations()[-1].number,
        **work,
    )


_WORK = """
SELECT (SELECT relpersistence::text FROM pg_class WHERE oid = to_regclass('imagejobs.pgqueuer')) AS queue_persistence,
       (SELECT count(*) FROM imagejobs.workers WHERE seen_at > now() - interval '1 minute') AS workers_seen,
       (SELECT count(*) FROM public.image_generation_jobs
        WHERE status = 'queued' AND created_at < now() - interval '5 minutes'
          AND coalesce(scheduled_at, created_at) < now() - interval '5 minutes') AS jobs_waiting_long
"""
