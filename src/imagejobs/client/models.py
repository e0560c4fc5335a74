"""What the answers say. Fields that a newer service adds are kept in `raw` and otherwise ignored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

FINAL_STATUSES = frozenset({"completed", "failed", "canceled"})


@dataclass(frozen=True, kw_only=True)
class SubmittedJob:
    """A job as the answer to its submission names it."""

    id: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a request became; `is_replay` where an earlier one under the same key had made the jobs already."""

    jobs: Sequence[SubmittedJob]
    batch_id: str | None
    is_replay: bool
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, answer: Mapping[str, Any], *, is_replay: bool) -> Self:
        items = answer.get("jobs") or [answer]
        jobs = tuple(SubmittedJob(id=item["jobId"], status=item["status"]) for item in items)
        return cls(jobs=jobs, batch_id=answer.get("batchId"), is_replay=is_replay, raw=answer)


@dataclass(frozen=True, kw_only=True)
class UploadedInput:
    """A picture that the service keeps for jobs of one project, until `expires_at`."""

    id: str
    media_type: str
    width: int
    height: int
    size_bytes: int
    expires_at: datetime

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        return cls(
            id=answer["inputId"],
            media_type=answer["mediaType"],
            width=answer["width"],
            height=answer["height"],
            size_bytes=answer["bytes"],
            expires_at=datetime.fromisoformat(answer["expiresAt"]),
        )


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What a request would cost, in credits, None while unknown; `obstacle` is what would stop it just now."""

    model: str | None
    estimated: float | None
    total: float | None
    obstacle: Mapping[str, Any] | None
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        model = f"{answer['provider']}:{answer['model']}" if answer.get("provider") else None
        known = {name: answer.get(name) for name in ("estimated", "total", "obstacle")}
        return cls(model=model, raw=answer, **known)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a job failed; `billed` is yes, no or unknown."""

    code: str
    reason: str
    message: str
    stage: str | None
    billed: str
    retryable: bool

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        return cls(
            code=answer["code"],
            reason=answer.get("reason", "unknown"),
            message=answer.get("message", ""),
            stage=answer.get("failureStage"),
            billed=answer.get("billed", "unknown"),
            retryable=bool(answer.get("retryable")),
        )


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as it stood when it was asked for; costs are in credits, None while unknown."""

    id: str
    status: str
    project_id: str
    job_type: str
    prompt: str
    provider: str | None
    model: str | None
    public_url: str | None
    failure: Failure | None
    estimated_cost: float | None
    actual_cost: float | None
    created_at: datetime
    completed_at: datetime | None
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        cost = answer.get("cost") or {}
        error = answer.get("error")
        return cls(
            id=answer["jobId"],
            status=answer["status"],
            project_id=answer.get("projectId", ""),
            job_type=answer.get("jobType", ""),
            prompt=answer.get("prompt", ""),
            provider=answer.get("provider"),
            model=answer.get("model"),
            public_url=answer.get("publicUrl"),
            failure=Failure.parse(error) if error else None,
            estimated_cost=cost.get("estimated"),
            actual_cost=cost.get("actual"),
            created_at=datetime.fromisoformat(answer["createdAt"]),
            completed_at=_instant(answer.get("completedAt")),
            raw=answer,
        )

    @property
    def seconds(self) -> float | None:
        """From the request to the final state; None while it runs."""
        return None if self.completed_at is None else (self.completed_at - self.created_at).total_seconds()


@dataclass(frozen=True, kw_only=True)
class JobPage:
    """Jobs newest first; `next_cursor` is None on the last page."""

    jobs: Sequence[Job]
    next_cursor: str | None

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        return cls(jobs=tuple(Job.parse(item) for item in answer["jobs"]), next_cursor=answer.get("nextCursor"))


@dataclass(frozen=True, kw_only=True)
class Event:
    """One fact about a job; `seq` counts from 1 without a gap, `status` is None where the fact is no change of state."""

    seq: int
    kind: str
    at: datetime
    status: str | None
    data: Mapping[str, Any]

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        data = answer.get("data") or {}
        return cls(
            seq=answer["seq"],
            kind=answer["kind"],
            at=datetime.fromisoformat(answer["at"]),
            status=data.get("status"),
            data=data,
        )


@dataclass(frozen=True, kw_only=True)
class Retried:
    """A failed job, queued again; `estimated` is in credits, None while unknown, and 0 where only the storing is left."""

    job_id: str
    status: str
    is_paid_already: bool
    estimated: float | None
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        return cls(
            job_id=answer["jobId"],
            status=answer["status"],
            is_paid_already=bool(answer["isPaidAlready"]),
            estimated=answer.get("estimated"),
            raw=answer,
        )


@dataclass(frozen=True, kw_only=True)
class Canceled:
    """What a cancel came to: `stopped_before_spend`, `stop_requested` or `too_late`; `may_cost` is in credits."""

    job_id: str
    status: str
    outcome: str
    may_cost: float | None
    public_url: str | None
    detail: str
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        receipt = answer["receipt"]
        return cls(
            job_id=answer["jobId"],
            status=answer["status"],
            outcome=receipt["outcome"],
            may_cost=receipt.get("mayCost"),
            public_url=receipt.get("publicUrl"),
            detail=receipt.get("detail", ""),
            raw=answer,
        )


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What of the unknown spend became posted, in credits."""

    job_id: str
    posted: float
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        return cls(job_id=answer["jobId"], posted=answer["posted"], raw=answer)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
