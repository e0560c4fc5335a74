"""The statements on the table of jobs that the guide gives its readers, as they stand (B2, B3)."""

from enum import StrEnum

from asyncpg import Record

from imagejobs.db.pool import Connection


class Statement(StrEnum):
    """Each answers truly in the database of the service."""

    INDEXES = "SELECT indexname FROM pg_indexes WHERE tablename = 'image_generation_jobs';"
    LAST_JOBS = (
        "SELECT id, status, failure_stage, attempt_count, created_at, completed_at "
        "FROM image_generation_jobs ORDER BY created_at DESC LIMIT 5;"
    )
    LAST_HOUR = (
        "SELECT job_type, status, cost_credits, estimated_cost "
        "FROM image_generation_jobs WHERE created_at > NOW() - INTERVAL '1 hour';"
    )
    WAITING = (
        "SELECT id, status, created_at FROM image_generation_jobs "
        "WHERE status = 'queued' AND created_at < NOW() - INTERVAL '5 minutes';"
    )
    FAILED_UPLOADS = "SELECT id, error_message, failure_stage FROM image_generation_jobs WHERE failure_stage = 'uploading';"


async def answer(connection: Connection, statement: Statement) -> list[Record]:
    """Its rows."""
    return await connection.fetch(statement.value)
