"""What is told about a job, to those who watch it and those who are called back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class EventKind(StrEnum):
    """One word for each thing that can happen to a job; statuses give their own."""

    QUEUED = "job.queued"
    PROCESSING = "job.processing"
    GENERATING = "job.generating"
    UPLOADING = "job.uploading"
    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CANCELED = "job.canceled"
    RESOLVED = "job.resolved"
    CANCEL_REQUESTED = "job.cancel_requested"
    PRIORITY_CHANGED = "job.priority_changed"
    WORKER_LOST = "job.worker_lost"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One fact. `seq` counts without a gap within a job, `id` grows across all of them."""

    id: int
    job_id: UUID
    project_id: str
    seq: int
    kind: EventKind
    data: Mapping[str, Any]
    created_at: datetime
