"""How the server, the schema and the work on it are: what an operator asks when something is wrong. Nothing is written."""

from dataclasses import dataclass
from uuid import UUID

from imagejobs.db.attempts import UNSTORED
from imagejobs.db.pool import Connection
from imagejobs.db.rows import value_from

_WAITING_SECONDS = 300
_ORPHANED_SECONDS = 300
_OVERDUE_SECONDS = 360  # the sweep leaves a running job five minutes beyond its deadline


@dataclass(frozen=True, kw_only=True)
class Server:
    """The server itself; `clock` is its Unix time at the moment of asking.

    `queue_persistence`: that of the engine's queue in PostgreSQL's catalogue: `p` survives a crash; None for no table.
    """

    version: str
    fsync: str
    clock: float
    queue_persistence: str | None


@dataclass(frozen=True, kw_only=True)
class Work:
    """Workers and jobs. Ages in seconds, 0 where there is none.

    `waiting`: due for more than five minutes, and nothing happened to them since; `overdue`: open though their deadline is
    long past; `orphaned`: running for a worker that has not been seen for five minutes. A job is counted once.
    """

    workers_seen: int
    waiting: int
    oldest_waiting_seconds: float
    overdue: int
    orphaned: int
    oldest_stuck_seconds: float


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long the pictures of the last hour took, in seconds: 95 of 100 no longer. A person's retry is not counted."""

    pictures: int
    generating_seconds: float
    uploading_seconds: float


@dataclass(frozen=True, kw_only=True)
class Staging:
    """Paid pictures that are still to be stored: those that wait for more than five minutes, and the bytes of all.

    `free_retries`: the jobs that ended without them, and whose retry buys nothing.
    """

    waiting: int
    oldest_waiting_seconds: float
    size_bytes: int
    free_retries: tuple[UUID, ...]


async def server(connection: Connection) -> Server:
    """Version, durability, clock and queue."""
    row = await connection.fetchrow(
        "SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync, "
        "extract(epoch FROM clock_timestamp())::float8 AS clock, "
        "(SELECT relpersistence::text FROM pg_class WHERE oid = to_regclass('imagejobs.pgqueuer')) AS queue_persistence"
    )
    return value_from(Server, row)


async def work(connection: Connection) -> Work:
    """Who works, and which jobs do not get on."""
    return value_from(Work, await connection.fetchrow(_WORK, _WAITING_SECONDS, _OVERDUE_SECONDS, _ORPHANED_SECONDS))


async def pace(connection: Connection) -> Pace:
    """What the providers and the storage took for each picture (F1)."""
    return value_from(Pace, await connection.fetchrow(_PACE))


async def staging(connection: Connection) -> Staging:
    """What the storage did not take yet (S5, S14)."""
    return value_from(Staging, await connection.fetchrow(_STAGING, _WAITING_SECONDS))


_STAGING = f"""
SELECT count(*) FILTER (WHERE staged_at < now() - make_interval(secs => $1)) AS waiting,
       coalesce(extract(epoch FROM now() - min(staged_at)), 0)::float8 AS oldest_waiting_seconds,
       coalesce(sum(staged_bytes.size_bytes), 0)::int8 AS size_bytes,
       coalesce(array_agg(DISTINCT job.id) FILTER (WHERE status IN ('failed', 'canceled')), '{{}}') AS free_retries
{UNSTORED}
"""  # noqa: S608

_PACE = """
SELECT count(*) AS pictures,
       coalesce(percentile_cont(0.95) WITHIN GROUP (
           ORDER BY extract(epoch FROM uploading_started_at - generating_started_at)), 0)::float8 AS generating_seconds,
       coalesce(percentile_cont(0.95) WITHIN GROUP (
           ORDER BY extract(epoch FROM completed_at - uploading_started_at)), 0)::float8 AS uploading_seconds
FROM public.image_generation_jobs
WHERE status = 'completed' AND completed_at > now() - interval '1 hour' AND retry_count = 0
  AND created_at > now() - interval '1 day'
"""

_WORK = """
WITH open AS (
    SELECT status, updated_at, greatest(updated_at, coalesce(scheduled_at, updated_at)) AS due_at,
           deadline_at < now() - make_interval(secs => $2) AS is_overdue,
           status <> 'queued' AND updated_at < now() - make_interval(secs => $3) AND NOT EXISTS (
               SELECT FROM imagejobs.workers WHERE id = job.claimed_by AND seen_at > now() - make_interval(secs => $3)
           ) AS is_orphaned
    FROM public.image_generation_jobs AS job WHERE status IN ('queued', 'processing', 'generating', 'uploading')
), judged AS (
    SELECT *, status = 'queued' AND NOT is_overdue AND due_at < now() - make_interval(secs => $1) AS is_waiting FROM open
)
SELECT (SELECT count(*) FROM imagejobs.workers WHERE seen_at > now() - interval '1 minute') AS workers_seen,
       count(*) FILTER (WHERE is_waiting) AS waiting,
       coalesce(extract(epoch FROM now() - min(due_at) FILTER (WHERE is_waiting)), 0)::float8 AS oldest_waiting_seconds,
       count(*) FILTER (WHERE is_overdue) AS overdue,
       count(*) FILTER (WHERE is_orphaned AND NOT is_overdue) AS orphaned,
       coalesce(extract(epoch FROM now() - min(updated_at) FILTER (WHERE is_overdue OR is_orphaned)), 0)::float8
           AS oldest_stuck_seconds
FROM judged
"""
