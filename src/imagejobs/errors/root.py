"""The root of the error tree, and the words that every error carries."""

from enum import StrEnum
from typing import ClassVar


class Code(StrEnum):
    """The five codes of the contract (A8)."""

    TEMPORARY = "TEMPORARY"
    PERMANENT = "PERMANENT"
    RATE_LIMIT = "RATE_LIMIT"
    AUTH_ERROR = "AUTH_ERROR"
    UNKNOWN = "UNKNOWN"


class Retry(StrEnum):
    """What the worker may do next without asking anybody."""

    NEVER = "never"
    LATER = "later"  # again after a backoff, using up one automatic retry
    SNOOZE = "snooze"  # again after the stated wait, using up nothing but the deadline
    RECONCILE = "reconcile"  # find out what happened before anything is sent again


class Billed(StrEnum):
    """Whether the provider charged for the call, as far as anybody can tell."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class ImageJobsError(Exception):
    """Root of the tree; `detail` is one sentence for a person, with the next step."""

    code: ClassVar[Code] = Code.UNKNOWN
    reason: ClassVar[str] = "internal_error"
    retry: ClassVar[Retry] = Retry.NEVER
    billed: Billed = Billed.NO

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def retryable(self) -> bool:
        """True where trying the same again later can succeed without anybody changing anything."""
        return self.code in (Code.TEMPORARY, Code.RATE_LIMIT)
