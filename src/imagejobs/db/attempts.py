"""The attempt rows: one purchase each, moved stage by stage; and the raw bytes that a purchase brought."""

from dataclasses import dataclass
from uuid import UUID

from imagejobs.db.pool import Connection
from imagejobs.db.rows import parameters, value_from
from imagejobs.domain.jobs import Attempt, Outcome, ResumeClass
from imagejobs.errors import Billed, InternalError
from imagejobs.ports import Answer, Transaction

_STAGED = """
FROM imagejobs.staged_bytes JOIN imagejobs.attempts AS attempt ON attempt.id = attempt_id
JOIN public.image_generation_jobs AS job ON job.id = attempt.job_id
WHERE"""
_STORABLE = "(stage = 'answered' AND (outcome IS NULL OR outcome = 'unknown') AND status <> 'completed')"
UNSTORED = f"{_STAGED} {_STORABLE}"


@dataclass(frozen=True, kw_only=True)
class NewAttempt:
    """What opening an attempt writes; its number is the next of its job."""

    id: UUID
    job_id: UUID
    provider: str
    model: str
    resume_class: ResumeClass
    call_deadline_seconds: float
    object_nonce: str
    worker: str


async def open_attempt(tx: Transaction, attempt: NewAttempt, reservation_no: int) -> Attempt:
    """Commit to a purchase, before its first byte is sent; the index allows one open attempt per job."""
    row = await tx.fetchrow(
        "INSERT INTO imagejobs.attempts (id, job_id, number, provider, model, resume_class, idempotency_key, "
        "call_deadline_seconds, reservation_no, object_nonce, worker) "
        "SELECT $1::uuid, $2, 1 + count(*), $3, $4, $5, $1::text, $6, $9, $7, $8 FROM imagejobs.attempts WHERE job_id = $2 "
        "RETURNING *",
        *parameters(attempt),
        reservation_no,
    )
    return value_from(Attempt, row)


async def open_attempt_of(connection: Connection, job_id: UUID) -> Attempt | None:
    """The job's open attempt."""
    row = await connection.fetchrow("SELECT * FROM imagejobs.attempts WHERE job_id = $1 AND outcome IS NULL", job_id)
    return None if row is None else value_from(Attempt, row)


async def require(tx: Transaction, attempt_id: UUID) -> None:
    """Raise `InternalError` where no such purchase is in this database."""
    if not await tx.fetchval("SELECT true FROM imagejobs.attempts WHERE id = $1", attempt_id):
        raise InternalError("The database knows nothing of this purchase: it is another one, or an older state of it.")


async def reopen(tx: Transaction, job_id: UUID, refused: UUID | None = None) -> Attempt | None:
    """The job's attempt whose bytes wait to be stored, open from now on: on time, late, or else those that were refused."""
    row = await tx.fetchrow(
        "UPDATE imagejobs.attempts SET outcome = NULL, closed_at = NULL WHERE id = ("  # noqa: S608
        f"SELECT attempt_id {_STAGED} job.id = $1 AND ({_STORABLE} OR attempt.id = $2) "
        "ORDER BY outcome IS NOT NULL, attempt.id = $2, number DESC LIMIT 1) RETURNING *",
        job_id,
        refused,
    )
    return None if row is None else value_from(Attempt, row)


async def refused_picture(connection: Connection, job_id: UUID) -> UUID | None:
    """The newest purchase of the failed job that brought bytes which were no picture to us."""
    failed = f"{_STAGED} job.id = $1 AND status = 'failed' AND outcome = 'failed'"
    found: UUID | None = await connection.fetchval(f"SELECT attempt.id {failed} ORDER BY number DESC LIMIT 1", job_id)
    return found


async def count_unknown(tx: Transaction, job_id: UUID) -> int:
    """How many of the job's purchases ended unknown."""
    statement = "SELECT count(*) FROM imagejobs.attempts WHERE job_id = $1 AND outcome = 'unknown'"
    return int(await tx.fetchval(statement, job_id))


async def send_again(tx: Transaction, attempt_id: UUID) -> None:
    """Count one more send under the attempt's own idempotency key."""
    await tx.execute(
        "UPDATE imagejobs.attempts SET sends = sends + 1 WHERE id = $1 AND outcome IS NULL AND stage = 'dispatching'",
        attempt_id,
    )


async def submitted(connection: Connection, attempt_id: UUID, remote_id: str) -> None:
    """Record the provider's id before anybody waits on it; good without the fence, for it is a fact about this purchase."""
    await connection.execute(
        "UPDATE imagejobs.attempts SET stage = 'submitted', remote_id = $2, submitted_at = now() "
        "WHERE id = $1 AND stage = 'dispatching' AND remote_id IS NULL",
        attempt_id,
        remote_id,
    )


async def answered(tx: Transaction, job_id: UUID, attempt_id: UUID, answer: Answer) -> Attempt | None:
    """Record the answer's cost, under the lock of its job; None where the attempt has had an answer before.

    Without the fence: bytes that were paid for are kept even by a worker that lost the job meanwhile, also where another was
    told of a charge without a picture.
    """
    row = await tx.fetchrow(
        "WITH job AS (SELECT id FROM public.image_generation_jobs WHERE id = $2 FOR NO KEY UPDATE) "
        "UPDATE imagejobs.attempts AS attempt SET stage = 'answered', answered_at = now(), billed = 'yes', "
        "cost_micros = $3, outcome = CASE WHEN outcome IS NOT NULL THEN 'unknown' END, "
        "cost_estimated = $4, price_version = $5, remote_id = coalesce(remote_id, $6) "
        "FROM job WHERE attempt.id = $1 AND stage IN ('dispatching', 'submitted') "
        "AND (outcome IS NULL OR outcome = 'unknown' OR (outcome = 'failed' AND billed = 'yes')) RETURNING attempt.*",
        attempt_id,
        job_id,
        answer.cost.micros,
        answer.cost.estimated,
        answer.cost.price_version,
        answer.remote_id,
    )
    return None if row is None else value_from(Attempt, row)


async def stage_bytes(tx: Transaction, attempt: Attempt, answer: Answer, sha256: bytes) -> None:
    """Keep the raw bytes, undecoded; a repeat changes nothing."""
    await tx.execute(
        "INSERT INTO imagejobs.staged_bytes (attempt_id, job_id, data, media_type, size_bytes, sha256) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (attempt_id) DO NOTHING",
        attempt.id,
        attempt.job_id,
        answer.data,
        answer.media_type,
        len(answer.data),
        sha256,
    )


async def staged_bytes(connection: Connection, attempt_id: UUID) -> bytes | None:
    """The raw bytes of a purchase, while they are kept."""
    data: bytes | None = await connection.fetchval(
        "SELECT data FROM imagejobs.staged_bytes WHERE attempt_id = $1", attempt_id
    )
    return data


@dataclass(frozen=True, kw_only=True)
class Close:
    """How an attempt ends."""

    outcome: Outcome
    billed: Billed
    object_key: str | None = None
    error_reason: str | None = None
    error_message: str | None = None


async def close(tx: Transaction, attempt_id: UUID, end: Close) -> None:
    """End the open attempt; one that is closed already stays as it is."""
    await tx.execute(
        "UPDATE imagejobs.attempts SET outcome = $2, billed = $3, object_key = $4, error_reason = $5, error_message = $6, "
        "closed_at = now(), stage = CASE WHEN $2 = 'succeeded' THEN 'settled' ELSE stage END "
        "WHERE id = $1 AND outcome IS NULL",
        attempt_id,
        *parameters(end),
    )


async def drop_staged_bytes(tx: Transaction, attempt_id: UUID) -> None:
    """Forget raw bytes whose object is stored and settled."""
    await tx.execute("DELETE FROM imagejobs.staged_bytes WHERE attempt_id = $1", attempt_id)


async def staged_total(connection: Connection, *, is_exact: bool) -> int:
    """How many bytes are staged in all, which reads no other table; `is_exact` leaves out what can never be stored."""
    staged = UNSTORED if is_exact else "FROM imagejobs.staged_bytes"
    return int(await connection.fetchval(f"SELECT coalesce(sum(staged_bytes.size_bytes), 0) {staged}"))


async def prune_staged_bytes(tx: Transaction, keep_days: int, limit: int) -> None:
    """Forget raw bytes that nobody came back for, closing their attempts."""
    await _forget(tx, "staged_at < now() - make_interval(days => $2)", limit, keep_days)


async def drop_useless_bytes(tx: Transaction, limit: int) -> None:
    """Forget raw bytes that can never be stored any more, the oldest first."""
    await _forget(tx, f"NOT {_STORABLE}", limit)


async def _forget(tx: Transaction, which: str, *values: int) -> None:
    """Only those of jobs that are at their end and that nobody has in hand."""
    await tx.execute(
        f"WITH gone AS (SELECT attempt_id {_STAGED} {which} AND status IN ('completed', 'failed', 'canceled') "  # noqa: S608
        "ORDER BY staged_at LIMIT $1 FOR NO KEY UPDATE OF job SKIP LOCKED), closed AS ("
        "UPDATE imagejobs.attempts SET outcome = 'failed', closed_at = coalesce(closed_at, now()) "
        "WHERE id IN (SELECT attempt_id FROM gone) AND (outcome IS NULL OR outcome = 'unknown')) "
        "DELETE FROM imagejobs.staged_bytes WHERE attempt_id IN (SELECT attempt_id FROM gone)",
        *values,
    )
