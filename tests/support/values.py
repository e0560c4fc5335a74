"""Domain values for tests, every field filled in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from imagejobs.domain.jobs import Job, JobStatus, JobType
from imagejobs.domain.requests import ImageRequest

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_JOB = Job(
    id=UUID(int=1),
    project_id="film",
    branch_id="main",
    job_type=JobType.GENERATE,
    status=JobStatus.QUEUED,
    prompt="a red fox in snow",
    width=512,
    height=512,
    provider="sketch",
    model="sketch-1",
    params={},
    scene_id=None,
    shot_id=None,
    asset_id=None,
    asset_type=None,
    priority=0,
    tags=(),
    batch_id=None,
    idempotency_key=None,
    fingerprint=b"",
    attempt_count=0,
    retry_count=0,
    max_retries=3,
    retries_used=0,
    death_count=0,
    fence=0,
    delivery_no=1,
    event_seq=1,
    estimated_micros=0,
    cost_micros=None,
    estimated_credits=None,
    cost_credits=None,
    max_cost_micros=None,
    public_url=None,
    storage_path=None,
    failure=None,
    error_billed=None,
    provider_metadata={},
    created_at=NOW,
    scheduled_at=None,
    deadline_at=NOW + timedelta(minutes=15),
    processing_started_at=None,
    generating_started_at=None,
    uploading_started_at=None,
    completed_at=None,
    updated_at=NOW,
    cancel_requested_at=None,
)
_REQUEST = ImageRequest(
    project_id="film", branch_id="main", job_type=JobType.GENERATE, prompt="a red fox in snow", width=64, height=64
)


def a_job(**changes: Any) -> Job:
    """A queued job, but for `changes`."""
    return replace(_JOB, **changes)


def a_request(**changes: Any) -> ImageRequest:
    """A small request, but for `changes`."""
    return replace(_REQUEST, **changes)
