"""The job rows, written: one insert, one claim, one guarded setter."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from imagejobs.db.job_reads import job_from
from imagejobs.db.rows import parameters
from imagejobs.domain.events import EventKind
from imagejobs.domain.jobs import Failure, Job, JobStatus, JobType
from imagejobs.domain.lifecycle import sources
from imagejobs.errors import Billed
from imagejobs.ports import Transaction


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """What submit writes, in the order of the statement's parameters; everything else has a default."""

    id: UUID
    idempotency_key: str | None
    fingerprint: bytes
    project_id: str
    branch_id: str
    scene_id: str | None
    shot_id: str | None
    asset_id: str | None
    asset_type: str | None
    job_type: JobType
    prompt: str
    style_capsule_id: str | None
    width: int
    height: int
    provider: str | None
    model: str | None
    params: Mapping[str, Any]
    priority: int
    deadline_seconds: float
    max_retries: int
    max_cost_micros: int | None
    estimated_micros: int | None
    batch_id: UUID | None
    created_by: str | None
    tags: Sequence[str]
    key_id: str | None
    price_version: str | None


_INSERT = """
WITH job AS (
    INSERT INTO public.image_generation_jobs (
        id, idempotency_key, fingerprint, project_id, branch_id, scene_id, shot_id, asset_id, asset_type, job_type, prompt,
        visual_style_capsule_id, width, height, provider, model, params, priority, deadline_seconds, deadline_at,
        max_retries, max_cost_micros, estimated_micros, estimated_cost, batch_id, created_by, tags, event_seq)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17::jsonb, $18,
           $19, now() + make_interval(secs => $19), $20, $21, $22::bigint,
           round($22::bigint::numeric / instance.micros_per_credit, 6), $23, $24, $25, 1
    FROM imagejobs.instance
    ON CONFLICT (project_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING id, project_id
), event AS (
    INSERT INTO imagejobs.events (job_id, project_id, seq, kind, data)
    SELECT id, project_id, 1, 'job.queued', '{"status": "queued"}' FROM job
), reservation AS (
    INSERT INTO imagejobs.reservations (job_id, reservation_no, project_id, key_id, amount_micros, price_version)
    SELECT id, 1, project_id, $26, $22, $27 FROM job WHERE $22::bigint IS NOT NULL
), entry AS (
    INSERT INTO imagejobs.ledger_entries (job_id, reservation_no, project_id, key_id, kind, amount_micros, price_version)
    SELECT id, 1, project_id, $26, 'reserve', $22, $27 FROM job WHERE $22::bigint IS NOT NULL
)
SELECT id FROM job
"""


async def insert(tx: Transaction, job: NewJob) -> bool:
    """Write the job, its first event and its first reservation; False where its key is taken, and then nothing is written.

    Waits for a concurrent insert under the same key to commit or roll back.
    """
    return await tx.fetchval(_INSERT, *parameters(job)) is not None


_CLAIM = """
WITH before AS (
    SELECT id, status, status <> 'queued' AND claimed_by IS DISTINCT FROM $3 AS is_lost
    FROM public.image_generation_jobs WHERE id = $1 FOR UPDATE
), job AS (
    UPDATE public.image_generation_jobs AS target
    SET fence = target.fence + 1,
        status = CASE WHEN target.status = 'queued' THEN 'processing' ELSE target.status END,
        processing_started_at = CASE WHEN target.status = 'queued' THEN now() ELSE target.processing_started_at END,
        death_count = target.death_count + is_lost::int,
        claimed_by = $3,
        event_seq = target.event_seq + (target.status = 'queued' OR is_lost)::int,
        scheduled_at = NULL,
        updated_at = greatest(target.updated_at, now())
    FROM before
    WHERE target.id = before.id
      AND target.delivery_no = $2
      AND target.status IN ('queued', 'processing', 'generating', 'uploading')
      AND ($4::bigint IS NULL OR target.fence = $4)
    RETURNING target.*, before.status AS status_before, is_lost
), event AS (
    INSERT INTO imagejobs.events (job_id, project_id, seq, kind, data)
    SELECT id, project_id, event_seq, 'job.processing', '{"status": "processing"}' FROM job WHERE status_before = 'queued'
    UNION ALL SELECT id, project_id, event_seq, 'job.worker_lost', jsonb_build_object('status', status, 'message',
        'The worker that had the job is gone; another one took it over.') FROM job WHERE is_lost
)
SELECT *, extract(epoch FROM deadline_at - now())::float8 AS seconds_left FROM job
"""


async def claim(
    tx: Transaction, job_id: UUID, delivery_no: int, worker_id: UUID, held_fence: int | None = None
) -> tuple[Job, float] | None:
    """Take the job over, raising its fence; its row and the seconds left to its deadline, None for a stale message.

    With `held_fence` only if nobody claimed since the holder of that fence did. A running job that comes to another worker
    had its own die: that is counted and told, the status stays.
    """
    row = await tx.fetchrow(_CLAIM, job_id, delivery_no, worker_id, held_fence)
    return None if row is None else (job_from(row), row["seconds_left"])


async def lock(tx: Transaction, job_id: UUID, fence: int) -> Job | None:
    """The row of a running job, locked until the transaction ends, if the fence holds."""
    row = await tx.fetchrow(
        "SELECT * FROM public.image_generation_jobs WHERE id = $1 AND fence = $2 "
        "AND status IN ('processing', 'generating', 'uploading') FOR NO KEY UPDATE",
        job_id,
        fence,
    )
    return None if row is None else job_from(row)


async def lock_among(tx: Transaction, job_id: UUID, project_ids: Collection[str] | None) -> Job | None:
    """The row, locked until the transaction ends, whoever works on it; one of another project is not even waited for."""
    row = await tx.fetchrow(
        "SELECT * FROM public.image_generation_jobs "
        "WHERE id = $1 AND ($2::text[] IS NULL OR project_id = ANY($2)) FOR NO KEY UPDATE",
        job_id,
        project_ids,
    )
    return None if row is None else job_from(row)


async def assign(tx: Transaction, job_id: UUID, provider: str, model: str) -> Job:
    """Give the job its provider and model, or others."""
    row = await tx.fetchrow(
        "UPDATE public.image_generation_jobs SET provider = $2, model = $3 WHERE id = $1 RETURNING *",
        job_id,
        provider,
        model,
    )
    return job_from(row)


_RESOLVE = """
WITH job AS (
    UPDATE public.image_generation_jobs
    SET error_billed = CASE WHEN error_billed IS NULL THEN NULL ELSE $2 END,
        cost_micros = coalesce(cost_micros, 0), cost_credits = coalesce(cost_credits, 0),
        event_seq = event_seq + 1, updated_at = greatest(updated_at, now())
    WHERE id = $1 RETURNING *
)
INSERT INTO imagejobs.events (job_id, project_id, seq, kind, data)
SELECT id, project_id, event_seq, 'job.resolved', jsonb_build_object('status', status, 'billed', $2::text) FROM job
"""


async def note_resolved(tx: Transaction, job_id: UUID, billed: str) -> None:
    """Correct what the job says of its cost, and write the event."""
    await tx.execute(_RESOLVE, job_id, billed)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One move of a job; fields left alone keep what the row has."""

    to: JobStatus
    fence: int | None = None  # None: by a person, who outranks every worker
    failure: Failure | None = None
    billed: Billed | None = None  # for a canceled job; a failure says it itself
    delay_seconds: float = 0.0
    retries: int = 0
    purchases: int = 0
    is_person_retry: bool = False
    object_key: str | None = None
    public_url: str | None = None
    event: Mapping[str, Any] = field(default_factory=dict)


_MOVE = """
WITH job AS (
    UPDATE public.image_generation_jobs
    SET status = $2,
        fence = fence + CASE WHEN $4::bigint IS NULL THEN 1 ELSE 0 END,
        processing_started_at = CASE WHEN $2 = 'processing' THEN now() ELSE processing_started_at END,
        generating_started_at = CASE WHEN $2 = 'generating' THEN now() ELSE generating_started_at END,
        uploading_started_at = CASE WHEN $2 = 'uploading' THEN now() ELSE uploading_started_at END,
        completed_at = CASE WHEN $2 IN ('completed', 'failed', 'canceled') THEN now() END,
        scheduled_at = CASE WHEN $2 = 'queued' AND $5::float8 > 0 THEN now() + make_interval(secs => $5) END,
        delivery_no = delivery_no + CASE WHEN $2 = 'queued' THEN 1 ELSE 0 END,
        retries_used = CASE WHEN $8 THEN 0 ELSE retries_used + $6 END,
        death_count = CASE WHEN $8 THEN 0 ELSE death_count END,
        retry_count = retry_count + CASE WHEN $8 THEN 1 ELSE 0 END,
        deadline_at = CASE WHEN $8 THEN now() + make_interval(secs => deadline_seconds) ELSE deadline_at END,
        cancel_requested_at = CASE WHEN $8 THEN NULL ELSE cancel_requested_at END,
        attempt_count = attempt_count + $7,
        last_attempt_at = CASE WHEN $7 > 0 THEN now() ELSE last_attempt_at END,
        error_code = $9, error_reason = $10, error_message = $11, failure_stage = $12, error_billed = $13,
        error_retryable = $14,
        cost_micros = CASE WHEN $13 <> 'unknown' THEN coalesce(cost_micros, 0) ELSE cost_micros END,
        cost_credits = CASE WHEN $13 <> 'unknown' THEN coalesce(cost_credits, 0) ELSE cost_credits END,
        storage_path = coalesce($15, storage_path),
        public_url = coalesce($16, public_url),
        event_seq = event_seq + 1,
        updated_at = greatest(updated_at, now())
    WHERE id = $1 AND status = ANY($3) AND ($4::bigint IS NULL OR fence = $4)
    RETURNING *
), event AS (
    INSERT INTO imagejobs.events (job_id, project_id, seq, kind, data)
    SELECT id, project_id, event_seq, $17, $18::jsonb FROM job
)
SELECT * FROM job
"""


async def move(tx: Transaction, job_id: UUID, change: Change) -> Job | None:
    """Apply the change if the transition table and the fence allow it, and write its event; None where they do not.

    The only statement that changes a status, besides the claim.
    """
    failure = change.failure
    row = await tx.fetchrow(
        _MOVE,
        job_id,
        change.to.value,
        [status.value for status in sources(change.to, by_worker=change.fence is not None)],
        change.fence,
        change.delay_seconds,
        change.retries,
        change.purchases,
        change.is_person_retry,
        *(parameters(failure) if failure else [None, None, None, None, change.billed, None]),
        change.object_key,
        change.public_url,
        EventKind(f"job.{change.to.value}").value,
        json.dumps({"status": change.to.value, **change.event}),
    )
    return None if row is None else job_from(row)


_REQUEST_CANCEL = """
WITH job AS (
    UPDATE public.image_generation_jobs
    SET cancel_requested_at = now(), event_seq = event_seq + 1, updated_at = greatest(updated_at, now())
    WHERE id = $1 AND cancel_requested_at IS NULL RETURNING *
)
INSERT INTO imagejobs.events (job_id, project_id, seq, kind, data)
SELECT id, project_id, event_seq, 'job.cancel_requested', jsonb_build_object('status', status, 'canceledBy', $2::text)
FROM job
"""


async def request_cancel(tx: Transaction, job_id: UUID, by: str) -> None:
    """Ask whoever works on the job to stop, and write the event; a repeat changes nothing."""
    await tx.execute(_REQUEST_CANCEL, job_id, by)


_SET_PRIORITY = """
WITH job AS (
    UPDATE public.image_generation_jobs
    SET priority = $2, delivery_no = delivery_no + 1, event_seq = event_seq + 1, updated_at = greatest(updated_at, now())
    WHERE id = $1 RETURNING *
), event AS (
    INSERT INTO imagejobs.events (job_id, project_id, seq, kind, data)
    SELECT id, project_id, event_seq, 'job.priority_changed',
        jsonb_build_object('status', status, 'priority', priority, 'changedBy', $3::text) FROM job
)
SELECT *, greatest(0, extract(epoch FROM coalesce(scheduled_at, now()) - now()))::float8 AS delay_seconds FROM job
"""


async def set_priority(tx: Transaction, job_id: UUID, priority: int, by: str) -> tuple[Job, float]:
    """Count a new delivery of a locked, queued job under another priority, and write the event.

    Also says how long the job still has to wait for its next try.
    """
    row = await tx.fetchrow(_SET_PRIORITY, job_id, priority, by)
    assert row is not None
    return job_from(row), row["delay_seconds"]


async def redeliver(tx: Transaction, job_id: UUID, delivery_no: int) -> Job | None:
    """Count a new delivery for an open job, so that older messages are refused; None where somebody was faster."""
    row = await tx.fetchrow(
        "UPDATE public.image_generation_jobs SET delivery_no = delivery_no + 1 WHERE id = $1 AND delivery_no = $2 "
        "AND status IN ('queued', 'processing', 'generating', 'uploading') RETURNING *",
        job_id,
        delivery_no,
    )
    return None if row is None else job_from(row)


async def add_cost(tx: Transaction, job_id: UUID, micros: int, metadata: Mapping[str, Any] | None = None) -> None:
    """Add a posted cost, and what the provider said beside it, to the job, whoever owns it now.

    A job that ended before says that it was charged, once nothing about its cost is unknown any more.
    """
    await tx.execute(
        "UPDATE public.image_generation_jobs SET cost_micros = coalesce(cost_micros, 0) + $2, "
        "cost_credits = round((coalesce(cost_micros, 0) + $2)::numeric / "
        "(SELECT micros_per_credit FROM imagejobs.instance), 6), provider_metadata = provider_metadata || $3::jsonb, "
        "error_billed = CASE WHEN error_billed IS NULL OR EXISTS (SELECT FROM imagejobs.reservations WHERE job_id = $1 "
        "AND state = 'unknown') THEN error_billed ELSE 'yes' END WHERE id = $1",
        job_id,
        micros,
        json.dumps(dict(metadata or {})),
    )


async def overdue(tx: Transaction, running_grace_seconds: float) -> Job | None:
    """A queued job past its deadline, or a running one past it by more than the grace; locked, others' locks skipped.

    None that has a paid picture in the staging: it is stored even late.
    """
    row = await tx.fetchrow(
        "SELECT * FROM public.image_generation_jobs AS job "
        "WHERE status IN ('queued', 'processing', 'generating', 'uploading') AND deadline_at < now() "
        "AND (status = 'queued' OR deadline_at < now() - make_interval(secs => $1)) "
        "AND NOT EXISTS (SELECT FROM imagejobs.attempts WHERE job_id = job.id AND outcome IS NULL AND stage = 'answered') "
        "ORDER BY deadline_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED",
        running_grace_seconds,
    )
    return None if row is None else job_from(row)
