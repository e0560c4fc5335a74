"""What a job is: its states, its attempts, its picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from imagejobs.errors import Billed, Code


class JobStatus(StrEnum):
    """The contract's states (A5), and ours for a job stopped on request."""

    QUEUED = "queued"
    PROCESSING = "processing"
    GENERATING = "generating"
    UPLOADING = "uploading"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class FailureStage(StrEnum):
    """Where a job failed (A6): inputs, the provider, the storage, or our own books."""

    PROCESSING = "processing"
    GENERATING = "generating"
    UPLOADING = "uploading"
    PERSISTING = "persisting"


class JobType(StrEnum):
    """What the picture is for (A4)."""

    MASTER_ASSET = "master_asset"
    START_FRAME = "start_frame"
    END_FRAME = "end_frame"
    INPAINT = "inpaint"
    SCENE_ASSET = "scene_asset"
    ANGLE_VARIANT = "angle_variant"
    TRANSFORMATION_POST = "transformation_post"
    GENERATE = "generate"
    EDIT = "edit"


class ResumeClass(StrEnum):
    """What can be done after a lost answer."""

    KEY = "key"  # the provider honours our idempotency key: send again under the same key
    LOOKUP = "lookup"  # the provider gave an id: ask again, from any machine
    NONE = "none"  # nothing: the outcome stays unknown


class Stage(StrEnum):
    """The last durable step of an attempt; each is one commit."""

    DISPATCHING = "dispatching"  # the intent is committed; bytes may be on the wire
    SUBMITTED = "submitted"  # the provider's id is stored
    ANSWERED = "answered"  # the raw bytes and their cost are stored
    SETTLED = "settled"  # the object is in the storage and the job completed


class Outcome(StrEnum):
    """How a closed attempt ended; an open one has none."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELED = "canceled"
    RELEASED = "released"  # nothing was bought: never sent, or throttled


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a job failed, in words that are part of the API."""

    code: Code
    reason: str
    message: str
    stage: FailureStage | None
    billed: Billed
    retryable: bool


@dataclass(frozen=True, kw_only=True)
class Job:
    """One request for one picture, as a reader sees it."""

    id: UUID
    project_id: str
    branch_id: str
    job_type: JobType
    status: JobStatus
    prompt: str
    width: int
    height: int
    provider: str | None
    model: str | None
    params: Mapping[str, Any]
    scene_id: str | None
    shot_id: str | None
    asset_id: str | None
    asset_type: str | None
    priority: int
    tags: tuple[str, ...]
    batch_id: UUID | None
    idempotency_key: str | None
    fingerprint: bytes
    attempt_count: int
    retry_count: int
    max_retries: int
    retries_used: int
    death_count: int
    fence: int
    delivery_no: int
    event_seq: int
    estimated_micros: int | None
    cost_micros: int | None
    estimated_credits: Decimal | None
    cost_credits: Decimal | None
    max_cost_micros: int | None
    public_url: str | None
    storage_path: str | None
    failure: Failure | None
    error_billed: Billed | None
    provider_metadata: Mapping[str, Any]
    created_at: datetime
    scheduled_at: datetime | None
    deadline_at: datetime
    processing_started_at: datetime | None
    generating_started_at: datetime | None
    uploading_started_at: datetime | None
    completed_at: datetime | None
    updated_at: datetime
    cancel_requested_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One purchase."""

    id: UUID
    job_id: UUID
    number: int
    provider: str
    model: str
    resume_class: ResumeClass
    stage: Stage
    outcome: Outcome | None
    idempotency_key: str
    remote_id: str | None
    reservation_no: int
    sends: int
    call_deadline_seconds: float
    object_nonce: str
    object_key: str | None


@dataclass(frozen=True, kw_only=True)
class PictureFacts:
    """What is known of a picture's bytes."""

    sha256: bytes
    media_type: str
    size_bytes: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Artifact(PictureFacts):
    """A stored picture."""

    job_id: UUID
    attempt_id: UUID
    object_key: str
    blurhash: str | None
    thumbnail_key: str | None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to move one job: every write says the fence, and a higher one ends this one."""

    job: Job
    attempt: Attempt | None
    seconds_left: float
    """To the job's deadline, by the database's clock, at `claimed_at` of this process's monotonic one."""
    claimed_at: float

    @property
    def job_id(self) -> UUID:
        return self.job.id

    @property
    def fence(self) -> int:
        return self.job.fence
