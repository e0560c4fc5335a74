"""What became of a job, and what is wrong with ourselves."""

from collections.abc import Sequence

from imagejobs.errors.root import Code, ImageJobsError, Retry


class JobError(ImageJobsError):
    """The job itself can go no further."""


class DeadlineExceeded(JobError):
    """The job's deadline passed."""

    code = Code.TEMPORARY
    reason = "deadline_exceeded"


class Poison(JobError):
    """Three workers died on this job."""

    reason = "poison"


class DatabaseUnavailable(ImageJobsError):
    """PostgreSQL does not answer; nothing was promised."""

    code = Code.TEMPORARY
    reason = "database_unavailable"
    retry = Retry.LATER


class SignInUnavailable(ImageJobsError):
    """The keys that prove users' tokens cannot be fetched just now."""

    code = Code.TEMPORARY
    reason = "sign_in_unavailable"
    retry = Retry.LATER


class InternalError(ImageJobsError):
    """A fault of ours; its text never reaches a caller."""

    reason = "internal_error"


class LostClaim(ImageJobsError):
    """Another worker owns the job now: stop, write nothing more."""

    reason = "lost_claim"


class CancelRequested(ImageJobsError):
    """The job was canceled while it was in a worker's hands; `is_stopped` where its purchase surely costs nothing."""

    reason = "cancel_requested"

    def __init__(self, detail: str, *, is_stopped: bool) -> None:
        super().__init__(detail)
        self.is_stopped = is_stopped


class ConfigurationError(ImageJobsError):
    """The program cannot start as it is set up; every problem is listed."""

    code = Code.PERMANENT
    reason = "configuration_error"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
