"""The answers of the native API: how jobs look on the wire."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic.alias_generators import to_camel

from imagejobs.app.cancel import Receipt
from imagejobs.app.query import JobView
from imagejobs.app.retry import Retried
from imagejobs.app.submit import Submission
from imagejobs.domain.jobs import Failure, JobStatus, JobType
from imagejobs.domain.money import to_credits
from imagejobs.errors import Billed
from imagejobs.web.api.requests import Wire


class JobRef(Wire):
    """A job by name, and how it stands."""

    job_id: UUID
    status: JobStatus


class GenerateAnswer(JobRef):
    """The job that was made, or found; with `n` above 1 also its siblings."""

    batch_id: UUID | None = None
    jobs: list[JobRef] | None = None


class ErrorBody(Wire):
    """Why a job failed."""

    code: Literal["TEMPORARY", "PERMANENT", "RATE_LIMIT", "AUTH_ERROR", "UNKNOWN"]
    message: str
    failure_stage: Literal["processing", "generating", "uploading", "persisting"] | None
    reason: str
    billed: Literal["yes", "no", "unknown"]
    retryable: bool


class CostBody(Wire):
    """Credits; null while unknown."""

    estimated: float | None
    actual: float | None


class ImageBody(Wire):
    """The stored picture as it really is."""

    width: int
    height: int
    media_type: str
    size_bytes: int
    sha256: str


class JobBody(JobRef):
    """A job as it stands. `publicUrl` and `image` come with `completed`, `error` with `failed`.

    `composedPrompt` is what the provider gets, null where that is `prompt` itself.
    """

    project_id: str
    branch_id: str
    job_type: JobType
    prompt: str
    composed_prompt: str | None
    width: int
    height: int
    provider: str | None
    model: str | None
    seed: int | None
    scene_id: str | None
    shot_id: str | None
    asset_id: str | None
    asset_type: str | None
    tags: list[str]
    priority: int
    batch_id: UUID | None
    attempt_count: int
    retry_count: int
    cost: CostBody
    public_url: str | None = None
    thumbnail_url: str | None = None
    blurhash: str | None = None
    image: ImageBody | None = None
    error: ErrorBody | None = None
    created_at: str
    scheduled_at: str | None
    processing_started_at: str | None
    generating_started_at: str | None
    uploading_started_at: str | None
    completed_at: str | None
    updated_at: str
    deadline_at: str


class JobList(Wire):
    """A page of jobs, newest first; `nextCursor` is null on the last page."""

    jobs: list[JobBody]
    next_cursor: str | None


class RetryAnswer(JobRef):
    """The job, queued again. `isPaidAlready`: only the storing is left to do, and it costs nothing.

    `mayBuyTwice`: an earlier purchase may have been charged, and nobody knows.
    """

    is_paid_already: bool
    may_buy_twice: bool
    estimated: float | None


class ReceiptBody(Wire):
    """What the cancel came to. `mayCost` is the most that the job has cost or may still be charged, in credits."""

    outcome: Literal["stopped_before_spend", "stop_requested", "too_late"]
    may_cost: float
    public_url: str | None
    detail: str


class CancelAnswer(JobRef):
    """The job as the cancel left it, and a receipt."""

    receipt: ReceiptBody


class ResolveAnswer(Wire):
    """What of the unknown spend became posted, in credits."""

    job_id: UUID
    posted: float


class EventBody(Wire):
    """One fact about a job; `seq` counts without a gap."""

    seq: int
    kind: str
    at: str
    data: dict[str, Any]


class EventList(Wire):
    """What happened to a job, in order."""

    events: list[EventBody]


def submission_json(submission: Submission) -> dict[str, Any]:
    """The answer to a submission (A2)."""
    refs = [{"jobId": str(job.id), "status": job.status.value} for job in submission.jobs]
    if submission.batch_id is None:
        return refs[0]
    return {**refs[0], "batchId": str(submission.batch_id), "jobs": refs}


def retry_json(retried: Retried, micros_per_credit: int) -> dict[str, Any]:
    """The retry as `RetryAnswer` describes it."""
    estimated = retried.told.get("estimatedMicros")
    return {
        "jobId": str(retried.job.id),
        "status": retried.job.status.value,
        "isPaidAlready": retried.told["isPaidAlready"],
        "mayBuyTwice": retried.told["mayBuyTwice"],
        "estimated": None if estimated is None else float(to_credits(estimated, micros_per_credit)),
    }


def cancel_json(receipt: Receipt, micros_per_credit: int) -> dict[str, Any]:
    """The receipt as `CancelAnswer` describes it."""
    return {
        "jobId": str(receipt.job.id),
        "status": receipt.job.status.value,
        "receipt": {
            "outcome": receipt.outcome.value,
            "mayCost": float(to_credits(receipt.may_cost_micros, micros_per_credit)),
            "publicUrl": receipt.job.public_url if receipt.job.status is JobStatus.COMPLETED else None,
            "detail": receipt.detail,
        },
    }


def job_json(view: JobView) -> dict[str, Any]:
    """The job as `JobBody` describes it, built by hand: this is the most frequent answer."""
    job = view.job
    is_unknown = job.failure is not None and job.failure.billed is Billed.UNKNOWN
    body: dict[str, Any] = {
        "jobId": str(job.id),
        "status": job.status.value,
        "projectId": job.project_id,
        "branchId": job.branch_id,
        "jobType": job.job_type.value,
        "prompt": job.prompt,
        "composedPrompt": job.params.get("composed_prompt"),
        "width": job.width,
        "height": job.height,
        "provider": job.provider,
        "model": job.model,
        "seed": job.params.get("seed"),
        "sceneId": job.scene_id,
        "shotId": job.shot_id,
        "assetId": job.asset_id,
        "assetType": job.asset_type,
        "tags": list(job.tags),
        "priority": job.priority,
        "batchId": job.batch_id and str(job.batch_id),
        "attemptCount": job.attempt_count,
        "retryCount": job.retry_count,
        "cost": {"estimated": _number(job.estimated_credits), "actual": None if is_unknown else _number(job.cost_credits)},
    }
    for name in _INSTANTS:
        instant = getattr(job, name)
        body[to_camel(name)] = None if instant is None else iso(instant)
    if job.status is JobStatus.COMPLETED:
        body |= _picture(view)
    if job.failure is not None:
        body["error"] = failure_json(job.failure)
    return body


_INSTANTS = (
    "created_at",
    "scheduled_at",
    "processing_started_at",
    "generating_started_at",
    "uploading_started_at",
    "completed_at",
    "updated_at",
    "deadline_at",
)


def failure_json(failure: Failure) -> dict[str, Any]:
    """The failure as `ErrorBody` describes it."""
    return {
        "code": failure.code.value,
        "message": failure.message,
        "failureStage": failure.stage and failure.stage.value,
        "reason": failure.reason,
        "billed": failure.billed.value,
        "retryable": failure.retryable,
    }


def _picture(view: JobView) -> dict[str, Any]:
    found: dict[str, Any] = {"publicUrl": view.job.public_url}
    if view.artifact is not None:
        found["thumbnailUrl"] = view.thumbnail_url
        found["blurhash"] = view.artifact.blurhash
        found["image"] = {
            "width": view.artifact.width,
            "height": view.artifact.height,
            "mediaType": view.artifact.media_type,
            "sizeBytes": view.artifact.size_bytes,
            "sha256": view.artifact.sha256.hex(),
        }
    return found


def iso(instant: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
