"""What the answers say. Members that a newer service adds are kept in `raw` and otherwise ignored."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import AliasPath, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

FINAL_STATUSES = frozenset({"completed", "failed", "canceled"})


class _Answer(BaseModel):
    """An answer of the service; `raw` is the whole of it."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel)

    raw: Mapping[str, Any] = Field(repr=False)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """The answer as a value; raises ValueError, KeyError or TypeError for what is none of the service's."""
        return cls.model_validate(answer)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, answer: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON holds
        return {**cls.members(answer), "raw": answer}

    @classmethod
    def members(cls, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the fields are read from."""
        return answer


class SubmittedJob(_Answer):
    """A job as the answer to its submission names it."""

    id: str = Field(alias="jobId")
    status: str


class Submission(_Answer):
    """What a request became; `is_replay` where an earlier one under the same key had made the jobs already."""

    jobs: Sequence[SubmittedJob]
    batch_id: str | None = None
    is_replay: bool = False

    @classmethod
    def members(cls, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**answer, "jobs": answer.get("jobs") or [answer]}


class UploadedInput(_Answer):
    """A picture that the service keeps for jobs of one project, until `expires_at`."""

    id: str = Field(alias="inputId")
    media_type: str
    width: int
    height: int
    size_bytes: int = Field(alias="bytes")
    expires_at: datetime


class Quote(_Answer):
    """What a request would cost, in credits, None while unknown; `obstacle` is what would stop it just now."""

    model: str | None = None
    estimated: float | None = None
    total: float | None = None
    obstacle: Mapping[str, Any] | None = None

    @classmethod
    def members(cls, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**answer, "model": f"{answer['provider']}:{answer['model']}" if answer.get("provider") else None}


class Failure(_Answer):
    """Why a job failed; `billed` is yes, no or unknown."""

    code: str
    reason: str = "unknown"
    message: str = ""
    stage: str | None = Field(None, alias="failureStage")
    billed: str = "unknown"
    retryable: bool = False


class Job(_Answer):
    """A job as it stood when it was asked for; costs are in credits, None while unknown."""

    id: str = Field(alias="jobId")
    status: str
    project_id: str = ""
    job_type: str = ""
    prompt: str = ""
    provider: str | None = None
    model: str | None = None
    public_url: str | None = None
    failure: Failure | None = Field(None, alias="error")
    estimated_cost: float | None = Field(None, validation_alias=AliasPath("cost", "estimated"))
    actual_cost: float | None = Field(None, validation_alias=AliasPath("cost", "actual"))
    created_at: datetime
    completed_at: datetime | None = None

    @property
    def seconds(self) -> float | None:
        """From the request to the final state; None while it runs."""
        return None if self.completed_at is None else (self.completed_at - self.created_at).total_seconds()


class JobPage(_Answer):
    """Jobs newest first; `next_cursor` is None on the last page."""

    jobs: Sequence[Job]
    next_cursor: str | None = None


class Event(_Answer):
    """One fact about a job; `seq` counts from 1 without a gap, `status` is None where the fact is no change of state."""

    seq: int
    kind: str
    at: datetime
    status: str | None = Field(None, validation_alias=AliasPath("data", "status"))
    data: Mapping[str, Any] = Field(default_factory=dict)


class Retried(_Answer):
    """A failed job, queued again; `estimated` is in credits, None while unknown, and 0 where only the storing is left."""

    job_id: str
    status: str
    is_paid_already: bool
    estimated: float | None = None


class Canceled(_Answer):
    """What a cancel came to: `stopped_before_spend`, `stop_requested` or `too_late`; `may_cost` is in credits."""

    job_id: str
    status: str
    outcome: str = Field(validation_alias=AliasPath("receipt", "outcome"))
    may_cost: float | None = Field(None, validation_alias=AliasPath("receipt", "mayCost"))
    public_url: str | None = Field(None, validation_alias=AliasPath("receipt", "publicUrl"))
    detail: str = Field("", validation_alias=AliasPath("receipt", "detail"))


class Resolved(_Answer):
    """What of the unknown spend became posted, in credits."""

    job_id: str
    posted: float
