"""The rows of input pictures, and which jobs hold on to them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from imagejobs.db.pool import Connection
from imagejobs.db.rows import parameters, value_from
from imagejobs.domain.inputs import KeptInput
from imagejobs.domain.jobs import PictureFacts
from imagejobs.ports import Transaction

_FACTS = "id, project_id, sha256, media_type, size_bytes, width, height, expires_at"
_IN_A_CAPSULE = "EXISTS (SELECT FROM imagejobs.style_capsules AS capsule WHERE inputs.id = ANY(capsule.inputs))"
_HOLD_SECONDS = 3600.0
_LEAST_BYTES = 65_536  # that a picture counts for: its row is read and written like that of a large one


@dataclass(frozen=True, kw_only=True)
class NewInput:
    """A picture to keep; `keep_seconds` counts from now, and a job that holds it keeps it longer."""

    id: UUID
    project_id: str
    facts: PictureFacts
    data: bytes = field(repr=False)
    created_by: str | None = None
    keep_seconds: float = _HOLD_SECONDS


async def keep(tx: Transaction, new: NewInput) -> KeptInput:
    """Keep the picture; where the project has equal bytes already, that one is kept longer instead."""
    row = await tx.fetchrow(
        "INSERT INTO imagejobs.inputs "  # noqa: S608 - fixed words
        "(id, project_id, sha256, media_type, size_bytes, width, height, data, created_by, expires_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + make_interval(secs => $10)) "
        "ON CONFLICT (project_id, sha256) DO UPDATE SET expires_at = greatest(inputs.expires_at, excluded.expires_at) "
        f"RETURNING {_FACTS}",
        new.id,
        new.project_id,
        *parameters(new.facts),
        new.data,
        new.created_by,
        new.keep_seconds,
    )
    return _kept(row)


async def bytes_with(tx: Transaction, new: NewInput) -> int:
    """The bytes that the project keeps once it keeps this picture; each counts for 64 KiB at least."""
    total: int = await tx.fetchval(
        "SELECT greatest($3::bigint, $4) + coalesce(sum(greatest(size_bytes, $4)), 0)::bigint "
        "FROM imagejobs.inputs WHERE project_id = $1 AND sha256 <> $2",
        new.project_id,
        new.facts.sha256,
        new.facts.size_bytes,
        _LEAST_BYTES,
    )
    return total


async def take(tx: Transaction, project_id: str, input_ids: Sequence[UUID]) -> dict[UUID, KeptInput]:
    """Those of the inputs that the project has and that have not expired, safe from the sweep until the transaction ends."""
    rows = await tx.fetch(
        f"WITH found AS (SELECT {_FACTS} FROM imagejobs.inputs "  # noqa: S608 - fixed words
        f"WHERE id = ANY($2) AND project_id = $1 AND (expires_at > now() OR {_IN_A_CAPSULE}) "
        "FOR KEY SHARE), aging AS MATERIALIZED (SELECT id FROM imagejobs.inputs WHERE id IN (SELECT id FROM found) "
        "AND expires_at < now() + make_interval(secs => $3) ORDER BY id FOR NO KEY UPDATE), touched AS ("
        "UPDATE imagejobs.inputs SET expires_at = now() + make_interval(secs => $3) WHERE id IN (SELECT id FROM aging)) "
        "SELECT * FROM found",
        project_id,
        list(input_ids),
        _HOLD_SECONDS,
    )
    return {row["id"]: _kept(row) for row in rows}


async def hold(tx: Transaction, job_ids: Sequence[UUID], held: Sequence[tuple[str, UUID]]) -> None:
    """Give every job these pictures, by slot; a slot that is filled already stays as it is."""
    await tx.execute(
        "INSERT INTO imagejobs.job_inputs (job_id, slot, input_id) SELECT job_id, slot, input_id "
        "FROM unnest($1::uuid[]) AS job_id, unnest($2::text[], $3::uuid[]) AS held (slot, input_id) ON CONFLICT DO NOTHING",
        list(job_ids),
        [slot for slot, _ in held],
        [input_id for _, input_id in held],
    )


async def held_by(connection: Connection, job_id: UUID) -> dict[str, KeptInput]:
    """The pictures that the job holds, by slot."""
    rows = await connection.fetch(
        f"SELECT slot, {_FACTS} FROM imagejobs.job_inputs "  # noqa: S608 - fixed words
        "JOIN imagejobs.inputs ON inputs.id = input_id WHERE job_id = $1",
        job_id,
    )
    return {row["slot"]: _kept(row) for row in rows}


async def data_of(connection: Connection, input_id: UUID) -> bytes | None:
    """The picture's bytes."""
    data: bytes | None = await connection.fetchval("SELECT data FROM imagejobs.inputs WHERE id = $1", input_id)
    return data


async def release(tx: Transaction, keep_days: int, limit: int) -> None:
    """Let go the pictures of jobs that ended well or were canceled, and of those that failed so long ago."""
    await tx.execute(
        "DELETE FROM imagejobs.job_inputs WHERE (job_id, slot) IN ("
        "SELECT job_id, slot FROM imagejobs.job_inputs JOIN public.image_generation_jobs AS job ON job.id = job_id "
        "WHERE status IN ('completed', 'canceled') "
        "OR (status = 'failed' AND completed_at < now() - make_interval(days => $1)) "
        "LIMIT $2 FOR UPDATE OF job_inputs SKIP LOCKED)",
        keep_days,
        limit,
    )


async def prune(tx: Transaction, limit: int) -> None:
    """Forget expired pictures that no job and no style capsule holds."""
    await tx.execute(
        "DELETE FROM imagejobs.inputs "  # noqa: S608 - fixed words
        "WHERE id IN (SELECT id FROM imagejobs.inputs WHERE expires_at < now() "
        "AND NOT EXISTS (SELECT FROM imagejobs.job_inputs WHERE input_id = inputs.id) "
        f"AND NOT {_IN_A_CAPSULE} ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
        limit,
    )


def _kept(row: asyncpg.Record | None) -> KeptInput:
    return value_from(KeptInput, row, facts=value_from(PictureFacts, row))
