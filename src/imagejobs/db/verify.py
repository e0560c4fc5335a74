"""What must hold at every moment, whatever happened, and what the guide has its readers ask (B2, B3)."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from asyncpg import Record

from imagejobs.db.pool import Connection
from imagejobs.domain.lifecycle import TRANSITIONS

_EDGES = ", ".join(f"('{a.value}', '{b.value}')" for a, targets in TRANSITIONS.items() for b in targets)

BROKEN = {
    "only listed transitions": f"""
        SELECT * FROM (
            SELECT job_id, seq, data ->> 'status' AS status, lag(data ->> 'status') OVER (PARTITION BY job_id ORDER BY seq)
                   AS before FROM imagejobs.events
            WHERE kind NOT IN ('job.resolved', 'job.cancel_requested', 'job.priority_changed', 'job.worker_lost')) AS step
        WHERE before IS NOT NULL AND (before, status) NOT IN ({_EDGES})""",  # noqa: S608
    "events without a gap, up to the row's own count": """
        SELECT job.id FROM public.image_generation_jobs AS job LEFT JOIN imagejobs.events ON job_id = job.id
        GROUP BY job.id HAVING count(seq) <> job.event_seq OR max(seq) <> job.event_seq OR min(seq) <> 1""",
    "the last event tells the state": """
        SELECT job.id FROM public.image_generation_jobs AS job
        JOIN imagejobs.events ON job_id = job.id AND seq = event_seq WHERE data ->> 'status' <> status""",
    "one open attempt a job at most": """
        SELECT job_id FROM imagejobs.attempts WHERE outcome IS NULL GROUP BY job_id HAVING count(*) > 1""",
    "no open attempt of a completed job": """
        SELECT job.id FROM public.image_generation_jobs AS job JOIN imagejobs.attempts ON job_id = job.id
        WHERE status = 'completed' AND outcome IS NULL""",
    "every completed job has one picture, and no other has one": """
        SELECT job.id FROM public.image_generation_jobs AS job LEFT JOIN imagejobs.artifacts ON job_id = job.id
        GROUP BY job.id HAVING count(attempt_id) <> CASE WHEN status = 'completed' THEN 1 ELSE 0 END""",
    "no reservation of a finished job is still held": """
        SELECT job.id FROM public.image_generation_jobs AS job JOIN imagejobs.reservations ON job_id = job.id
        WHERE status IN ('completed', 'failed', 'canceled') AND state = 'reserved'""",
    "every reservation has the entries of its state": """
        SELECT reservation.* FROM imagejobs.reservations AS reservation WHERE NOT EXISTS (
            SELECT FROM imagejobs.ledger_entries AS entry
            WHERE entry.job_id = reservation.job_id AND entry.reservation_no = reservation.reservation_no
            AND entry.kind = CASE reservation.state WHEN 'reserved' THEN 'reserve' WHEN 'posted' THEN 'post'
                WHEN 'released' THEN 'release' ELSE 'unknown' END)""",
    "no budget is over its cap but by overruns": """
        SELECT budget.id FROM imagejobs.budgets AS budget JOIN imagejobs.budget_periods AS counted ON budget_id = budget.id
        WHERE reserved_micros > 0 AND reserved_micros + posted_micros + unknown_micros > cap_micros
            + (SELECT coalesce(sum(amount_micros), 0) FROM imagejobs.ledger_entries WHERE kind = 'overrun')
            AND NOT EXISTS (SELECT FROM imagejobs.reservations WHERE created_at < budget.created_at)""",
    "a budget counts what the ledger says": """
        SELECT budget.id FROM imagejobs.budgets AS budget
        WHERE scope = 'instance' AND (
            SELECT coalesce(sum(reserved_micros + posted_micros + unknown_micros), 0)
            FROM imagejobs.budget_periods WHERE budget_id = budget.id
        ) <> (
            SELECT coalesce(sum(CASE state WHEN 'posted' THEN posted.amount_micros WHEN 'released' THEN 0
                ELSE reservation.amount_micros END), 0)
            FROM imagejobs.reservations AS reservation LEFT JOIN imagejobs.ledger_entries AS posted
                ON posted.job_id = reservation.job_id AND posted.reservation_no = reservation.reservation_no
                AND posted.kind = 'post')""",
    "the job's cost is what was posted": """
        SELECT job.id FROM public.image_generation_jobs AS job LEFT JOIN imagejobs.ledger_entries AS entry
            ON entry.job_id = job.id AND kind = 'post'
        GROUP BY job.id HAVING coalesce(sum(amount_micros), 0) <> coalesce(cost_micros, 0)""",
    "every paid answer is stored, staged for its time, or found unusable": """
        SELECT attempt.id FROM imagejobs.attempts AS attempt
        LEFT JOIN imagejobs.staged_bytes AS staged ON staged.attempt_id = attempt.id
        LEFT JOIN imagejobs.artifacts AS artifact ON artifact.attempt_id = attempt.id
        WHERE attempt.stage IN ('answered', 'settled') AND staged.attempt_id IS NULL AND artifact.attempt_id IS NULL
            AND outcome IS DISTINCT FROM 'failed'""",
}


async def broken(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """The invariants that do not hold, with at most a hundred rows each that show it."""
    found = {name: [dict(row) for row in await connection.fetch(f"{query} LIMIT 100")] for name, query in BROKEN.items()}
    return {name: rows for name, rows in found.items() if rows}


async def stored_pictures(connection: Connection, after: UUID | None, limit: int) -> list[tuple[UUID, str, bytes]]:
    """A page of recorded pictures by attempt: id, object key, SHA-256."""
    rows = await connection.fetch(
        "SELECT attempt_id, object_key, sha256 FROM imagejobs.artifacts "
        "WHERE $1::uuid IS NULL OR attempt_id > $1 ORDER BY attempt_id LIMIT $2",
        after,
        limit,
    )
    return [(row["attempt_id"], row["object_key"], row["sha256"]) for row in rows]


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
