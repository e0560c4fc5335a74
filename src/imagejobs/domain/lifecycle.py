"""The transition table: which state may follow which, and by what verb.

`queued` with a future `scheduled_at` is "waiting to retry"; `processing → uploading` is the edge of a job whose bytes are
already staged; a failed job that a person retries keeps its id, and so does a canceled one whose paid picture came late.
"""

from types import MappingProxyType

from imagejobs.domain.jobs import FailureStage, JobStatus
from imagejobs.errors import ImageJobsError, StorageError

TRANSITIONS = MappingProxyType(
    {
        JobStatus.QUEUED: frozenset({JobStatus.PROCESSING, JobStatus.FAILED, JobStatus.CANCELED}),
        JobStatus.PROCESSING: frozenset(
            {JobStatus.GENERATING, JobStatus.UPLOADING, JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELED}
        ),
        JobStatus.GENERATING: frozenset({JobStatus.UPLOADING, JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELED}),
        JobStatus.UPLOADING: frozenset({JobStatus.COMPLETED, JobStatus.QUEUED, JobStatus.FAILED}),
        JobStatus.COMPLETED: frozenset[JobStatus](),
        JobStatus.FAILED: frozenset({JobStatus.QUEUED}),
        JobStatus.CANCELED: frozenset({JobStatus.QUEUED}),
    }
)

FINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED})

MAX_DEATHS = 3


def sources(target: JobStatus, *, by_worker: bool = False) -> tuple[JobStatus, ...]:
    """The states from which `target` may be entered; every guarded update names them. No worker moves a finished job."""
    return tuple(
        source for source, targets in TRANSITIONS.items() if target in targets and not (by_worker and source in FINAL)
    )


def failure_stage(status: JobStatus, error: ImageJobsError, *, is_paid: bool = False) -> FailureStage | None:
    """Where a job that fails in `status` with `error` is said to have failed (A6).

    `is_paid` tells a run that only had to store a picture it found staged.
    """
    match status:
        case JobStatus.PROCESSING:
            return FailureStage.PERSISTING if is_paid else FailureStage.PROCESSING
        case JobStatus.GENERATING:
            return FailureStage.GENERATING
        case JobStatus.UPLOADING:
            return FailureStage.UPLOADING if isinstance(error, StorageError) else FailureStage.PERSISTING
        case _:
            return None
