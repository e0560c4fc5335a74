"""The rows of stored pictures."""

from uuid import UUID

from imagejobs.db.pool import Connection
from imagejobs.db.rows import parameters, value_from
from imagejobs.domain.jobs import Artifact
from imagejobs.ports import Transaction


async def insert(tx: Transaction, artifact: Artifact, storage: str) -> None:
    """Record a stored picture; a repeat changes nothing."""
    await tx.execute(
        "INSERT INTO imagejobs.artifacts "
        "(sha256, media_type, size_bytes, width, height, job_id, attempt_id, object_key, blurhash, thumbnail_key, storage) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (attempt_id) DO NOTHING",
        *parameters(artifact),
        storage,
    )


async def set_thumbnail(tx: Transaction, attempt_id: UUID, thumbnail_key: str, blurhash: str) -> None:
    """Record the small picture."""
    await tx.execute(
        "UPDATE imagejobs.artifacts SET thumbnail_key = $2, blurhash = $3 WHERE attempt_id = $1",
        attempt_id,
        thumbnail_key,
        blurhash,
    )


async def of_jobs(connection: Connection, job_ids: list[UUID]) -> dict[UUID, Artifact]:
    """The newest stored picture of each job that has one."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (job_id) * FROM imagejobs.artifacts WHERE job_id = ANY($1) ORDER BY job_id, created_at DESC",
        job_ids,
    )
    return {row["job_id"]: value_from(Artifact, row) for row in rows}
