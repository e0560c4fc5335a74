"""The job rows, read: by id, by key, by batch, by page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from imagejobs.db.pool import Connection
from imagejobs.db.rows import value_from
from imagejobs.domain.jobs import Failure, FailureStage, Job, JobStatus, JobType
from imagejobs.errors import Billed, Code


async def by_id(connection: Connection, job_id: UUID) -> Job | None:
    """The job as it stands."""
    row = await connection.fetchrow("SELECT * FROM public.image_generation_jobs WHERE id = $1", job_id)
    return None if row is None else job_from(row)


async def by_key(connection: Connection, project_id: str, idempotency_key: str) -> Job | None:
    """The job that was made under this key in this project."""
    row = await connection.fetchrow(
        "SELECT * FROM public.image_generation_jobs WHERE project_id = $1 AND idempotency_key = $2",
        project_id,
        idempotency_key,
    )
    return None if row is None else job_from(row)


async def by_batch(connection: Connection, batch_id: UUID) -> list[Job]:
    """The batch's jobs in the order of their making."""
    rows = await connection.fetch(
        "SELECT * FROM public.image_generation_jobs WHERE batch_id = $1 ORDER BY created_at, id", batch_id
    )
    return [job_from(row) for row in rows]


async def open_deliveries(
    connection: Connection, after: UUID | None, idle_seconds: float, limit: int
) -> list[tuple[UUID, int]]:
    """A page of open jobs untouched for `idle_seconds`, by id, with their delivery numbers."""
    rows = await connection.fetch(
        "SELECT id, delivery_no FROM public.image_generation_jobs "
        "WHERE status IN ('queued', 'processing', 'generating', 'uploading') "
        "AND ($1::uuid IS NULL OR id > $1) AND updated_at < now() - make_interval(secs => $2) ORDER BY id LIMIT $3",
        after,
        idle_seconds,
        limit,
    )
    return [(row["id"], row["delivery_no"]) for row in rows]


async def cancel_requested(connection: Connection, job_ids: list[UUID]) -> list[UUID]:
    """Those among the jobs that somebody wants to stop."""
    rows = await connection.fetch(
        "SELECT id FROM public.image_generation_jobs WHERE id = ANY($1) AND cancel_requested_at IS NOT NULL", job_ids
    )
    return [row["id"] for row in rows]


async def count_queued(connection: Connection, project_id: str, most: int, most_in_project: int) -> tuple[int, int]:
    """The jobs that are queued, in all and in the project, each counted up to so many only; from the index alone."""
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM (SELECT FROM public.image_generation_jobs WHERE status = 'queued' LIMIT $2) AS one), "
        "(SELECT count(*) FROM (SELECT FROM public.image_generation_jobs "
        "WHERE status = 'queued' AND project_id = $1 LIMIT $3) AS other)",
        project_id,
        most,
        most_in_project,
    )
    assert row is not None
    return row[0], row[1]


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a list may be narrowed by; `project_ids` None means every project."""

    project_ids: tuple[str, ...] | None = None
    branch_id: str | None = None
    statuses: tuple[JobStatus, ...] = ()
    job_type: JobType | None = None
    scene_id: str | None = None
    shot_id: str | None = None
    asset_id: str | None = None
    batch_id: UUID | None = None
    tag: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


async def page(connection: Connection, filters: Filters, before: tuple[datetime, UUID] | None, limit: int) -> list[Job]:
    """Jobs newest first, those after the cursor `before` in that order."""
    where, values = _conditions(filters)
    if before is not None:
        values += before
        where.append(f"(created_at, id) < (${len(values) - 1}::timestamptz, ${len(values)}::uuid)")
    values.append(limit)
    rows = await connection.fetch(
        f"SELECT * FROM public.image_generation_jobs WHERE {' AND '.join(where)} "  # noqa: S608 - fixed words and $n only
        f"ORDER BY created_at DESC, id DESC LIMIT ${len(values)}",
        *values,
    )
    return [job_from(row) for row in rows]


def _conditions(filters: Filters) -> tuple[list[str], list[Any]]:
    equal = ("branch_id", "job_type", "scene_id", "shot_id", "asset_id", "batch_id")
    wanted: list[tuple[str, Any]] = [
        *((f"{column} = {{}}", getattr(filters, column)) for column in equal),
        ("tags @> ARRAY[{}::text]", filters.tag),
        ("created_at >= {}", filters.created_after),
        ("created_at < {}", filters.created_before),
        ("status = ANY({}::text[])", [status.value for status in filters.statuses] or None),
    ]
    match filters.project_ids:
        case None:
            pass
        case (only,):
            wanted.append(("project_id = {}", only))
        case several:
            wanted.append(("project_id = ANY({}::text[])", list(several)))
    where, values = ["deleted_at IS NULL"], []
    for condition, value in wanted:
        if value is not None:
            values.append(value)
            where.append(condition.format(f"${len(values)}"))
    return where, values


def job_from(row: asyncpg.Record | None) -> Job:
    """The row, which must be there, as the domain's value."""
    assert row is not None
    return value_from(Job, row, estimated_credits=row["estimated_cost"], failure=_failure(row))


def _failure(row: asyncpg.Record) -> Failure | None:
    if row["error_code"] is None:
        return None
    return Failure(
        code=Code(row["error_code"]),
        reason=row["error_reason"],
        message=row["error_message"],
        stage=FailureStage(row["failure_stage"]) if row["failure_stage"] else None,
        billed=Billed(row["error_billed"]),
        retryable=row["error_retryable"],
    )
