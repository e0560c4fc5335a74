"""The answers of the native API: how jobs look on the wire."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Literal
from uuid import UUID

from imagejobs.app.cancel import Receipt
from imagejobs.app.query import JobView
from imagejobs.app.retry import Retried
from imagejobs.app.submit import Submission
from imagejobs.domain.jobs import JobStatus, JobType
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


class Problem(Wire):
    """A failure by RFC 9457. `detail` says the next step; `field` comes where one is wrong; `error` repeats it all."""

    type: str
    title: str
    status: int
    detail: str
    code: Literal["TEMPORARY", "PERMANENT", "RATE_LIMIT", "AUTH_ERROR", "UNKNOWN"]
    reason: str
    field: str | None = None
    error: ErrorBody


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


def document(body: type[Wire], source: object, **given: object) -> dict[str, Any]:
    """The body's members in their order as JSON has them: those given, else what the source calls so.

    A member whose default is null is there only where it is given.
    """
    return {
        alias: _plain(given[name] if name in given else getattr(source, name))
        for name, alias, is_optional in _members(body)
        if name in given or not is_optional
    }


@cache
def _members(body: type[Wire]) -> list[tuple[str, str, bool]]:
    return [(name, str(field.alias), field.default is None) for name, field in body.model_fields.items()]


def _plain(value: object) -> object:
    match value:
        case datetime():
            return iso(value)
        case UUID():
            return str(value)
        case Decimal():
            return float(value)
        case bytes():
            return value.hex()
        case _:
            return value


def submission_json(submission: Submission) -> dict[str, Any]:
    """The answer to a submission (A2)."""
    refs = [document(JobRef, job, job_id=job.id) for job in submission.jobs]
    if submission.batch_id is None:
        return refs[0]
    return {**refs[0], "batchId": str(submission.batch_id), "jobs": refs}


def retry_json(retried: Retried, micros_per_credit: int) -> dict[str, Any]:
    """The retry as `RetryAnswer` describes it."""
    job, told, micros = retried.job, retried.told, retried.told.get("estimatedMicros")
    estimated = None if micros is None else to_credits(micros, micros_per_credit)
    purchase = {"is_paid_already": told["isPaidAlready"], "may_buy_twice": told["mayBuyTwice"]}
    return document(RetryAnswer, job, job_id=job.id, estimated=estimated, **purchase)


def cancel_json(receipt: Receipt, micros_per_credit: int) -> dict[str, Any]:
    """The receipt as `CancelAnswer` describes it."""
    job = receipt.job
    public_url = job.public_url if job.status is JobStatus.COMPLETED else None
    may_cost = to_credits(receipt.may_cost_micros, micros_per_credit)
    told = document(ReceiptBody, receipt, may_cost=may_cost, public_url=public_url)
    return document(CancelAnswer, job, job_id=job.id, receipt=told)


def job_json(view: JobView) -> dict[str, Any]:
    """The job as `JobBody` describes it."""
    job = view.job
    is_unknown = job.error_billed is Billed.UNKNOWN
    body = document(
        JobBody,
        job,
        job_id=job.id,
        composed_prompt=job.params.get("composed_prompt"),
        seed=job.params.get("seed"),
        cost=document(CostBody, job, estimated=job.estimated_credits, actual=None if is_unknown else job.cost_credits),
    )
    if job.status is JobStatus.COMPLETED:
        body |= _picture(view)
    if job.failure is not None:
        body["error"] = document(ErrorBody, job.failure, failure_stage=job.failure.stage)
    return body


def _picture(view: JobView) -> dict[str, Any]:
    found: dict[str, Any] = {"publicUrl": view.job.public_url}
    if view.artifact is not None:
        found["thumbnailUrl"] = view.thumbnail_url
        found["blurhash"] = view.artifact.blurhash
        found["image"] = document(ImageBody, view.artifact)
    return found


def iso(instant: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
