"""Every error this program raises on purpose.

    ImageJobsError                       code, reason, retry, billed, detail
    ├─ RequestError                      the caller must change something
    │  ├─ MalformedRequest · InvalidField · UnsupportedCapability · UnknownModel
    │  ├─ BodyTooLarge · UnsupportedMediaType
    │  ├─ NotFound · MethodNotAllowed · InvalidTransition · IdempotencyKeyReused
    │  ├─ Unauthenticated · PermissionDenied
    │  └─ BudgetExhausted · TooManyRequests
    ├─ ProviderError                     what a provider did, or did not do
    │  ├─ NoProviderConfigured · ModelUnavailable
    │  ├─ ProviderUnreachable            surely not sent
    │  ├─ ProviderRejected · ContentRefused
    │  ├─ ProviderThrottled · ProviderOverloaded · ProviderTimeout · ProviderFailed
    │  ├─ ProviderKeyRejected · ProviderCreditExhausted
    │  ├─ OutcomeUnknown                 sent, no answer: never paid again in silence
    │  └─ AnswerUnusable                 NotAnImage · ImageCorrupt · ImageTooLarge · NoImageReturned
    ├─ StorageError                      StorageUnavailable · StorageRejected · StorageKeyRejected
    ├─ JobError                          DeadlineExceeded · Poison
    ├─ DatabaseUnavailable · InternalError
    ├─ LostClaim                         another worker owns the job: stop, write nothing
    └─ ConfigurationError                at start only, every problem listed at once

`code` is one of the contract's five words, `reason` the fine, stable one; both are part of the API. Programs decide on type,
`retry` and `billed`, never on text. HTTP statuses live in `web/problems.py`.
"""

from collections.abc import Iterator, Sequence
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


class RequestError(ImageJobsError):
    """The caller must change something; nothing was written."""

    code = Code.PERMANENT
    reason = "invalid_request"


class MalformedRequest(RequestError):
    """The request cannot be read at all: not JSON, contradicting keys, a broken cursor."""

    reason = "malformed_request"


class InvalidField(RequestError):
    """One field is outside its limits."""

    reason = "invalid_field"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class UnsupportedCapability(InvalidField):
    """The field is well formed, but the chosen model cannot do it."""

    reason = "unsupported_capability"


class UnknownModel(InvalidField):
    """No configured provider answers to that model name."""

    reason = "unknown_model"


class BodyTooLarge(RequestError):
    """The body is over the limit and was not read."""

    reason = "body_too_large"


class UnsupportedMediaType(RequestError):
    """The body is of a type this route does not take."""

    reason = "unsupported_media_type"


class NotFound(RequestError):
    """There is no such thing, or it is not the caller's: the two are not told apart."""

    reason = "not_found"


class MethodNotAllowed(RequestError):
    """The address exists, but not for this method; `allow` names those it takes."""

    reason = "method_not_allowed"

    def __init__(self, detail: str, allow: str) -> None:
        super().__init__(detail)
        self.allow = allow


class InvalidTransition(RequestError):
    """The job's state does not allow this."""

    reason = "invalid_transition"


class IdempotencyKeyReused(RequestError):
    """The key names an earlier request with another body."""

    reason = "idempotency_key_reused"


class Unauthenticated(RequestError):
    """No credential, or one that is not good."""

    code = Code.AUTH_ERROR
    reason = "unauthenticated"


class PermissionDenied(RequestError):
    """The credential is good, but does not allow this."""

    code = Code.AUTH_ERROR
    reason = "permission_denied"


class BudgetExhausted(RequestError):
    """A cap leaves no room for the estimated cost."""

    reason = "budget_exhausted"


class TooManyRequests(RequestError):
    """The caller is over a rate limit."""

    code = Code.RATE_LIMIT
    reason = "too_many_requests"
    retry = Retry.SNOOZE

    def __init__(self, detail: str, retry_after_seconds: float) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class ProviderError(ImageJobsError):
    """What a provider did, or did not do."""

    reason = "provider_error"


class NoProviderConfigured(ProviderError):
    """No provider is set up that could make the picture."""

    code = Code.PERMANENT
    reason = "no_provider_configured"


class ModelUnavailable(ProviderError):
    """The provider does not serve the model, or no longer."""

    code = Code.PERMANENT
    reason = "model_unavailable"


class ProviderUnreachable(ProviderError):
    """Nothing was sent: no name, no route, refused, TLS failed."""

    code = Code.TEMPORARY
    reason = "provider_unreachable"
    retry = Retry.LATER


class ProviderRejected(ProviderError):
    """The provider understood the request and will not do it as it stands."""

    code = Code.PERMANENT
    reason = "provider_rejected"


class ContentRefused(ProviderError):
    """The provider's safety rules refused the prompt or the picture."""

    code = Code.PERMANENT
    reason = "content_refused"


class ProviderThrottled(ProviderError):
    """The provider asks to wait; `retry_after_seconds` is its own figure, None where it gave none."""

    code = Code.RATE_LIMIT
    reason = "provider_throttled"
    retry = Retry.SNOOZE

    def __init__(self, detail: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class ProviderOverloaded(ProviderError):
    """The provider has no capacity just now, and did not charge."""

    code = Code.TEMPORARY
    reason = "provider_overloaded"
    retry = Retry.LATER


class ProviderTimeout(ProviderError):
    """No answer within the call deadline, from a provider that charges for answers only."""

    code = Code.TEMPORARY
    reason = "provider_timeout"
    retry = Retry.LATER


class ProviderFailed(ProviderError):
    """The provider failed and says, or documents, that it did not charge."""

    code = Code.TEMPORARY
    reason = "provider_failed"
    retry = Retry.LATER


class ProviderKeyRejected(ProviderError):
    """The provider does not accept our key."""

    code = Code.AUTH_ERROR
    reason = "provider_key_rejected"


class ProviderCreditExhausted(ProviderError):
    """The account behind our key has no credit left."""

    code = Code.PERMANENT
    reason = "provider_credit_exhausted"


class OutcomeUnknown(ProviderError):
    """The request went out and the answer was lost: it may have been charged."""

    reason = "outcome_unknown"
    retry = Retry.RECONCILE
    billed = Billed.UNKNOWN


class AnswerUnusable(ProviderError):
    """The provider answered, and charged, but the answer is no picture we can keep."""

    code = Code.PERMANENT
    reason = "answer_unusable"
    billed = Billed.YES


class NotAnImage(AnswerUnusable):
    """The answer is something else: a web page, text, an unknown format."""

    reason = "not_an_image"


class ImageCorrupt(AnswerUnusable):
    """The picture is broken or cut off."""

    reason = "image_corrupt"


class ImageTooLarge(AnswerUnusable):
    """The picture has more pixels or bytes than may be decoded."""

    reason = "image_too_large"


class NoImageReturned(AnswerUnusable):
    """A success without a picture in it."""

    reason = "no_image_returned"


class StorageError(ImageJobsError):
    """The picture could not be put where it belongs; its bytes are kept."""

    billed = Billed.YES


class StorageUnavailable(StorageError):
    """The storage does not answer, or is full."""

    code = Code.TEMPORARY
    reason = "storage_unavailable"
    retry = Retry.LATER


class StorageRejected(StorageError):
    """The storage refuses this object."""

    code = Code.PERMANENT
    reason = "storage_rejected"


class StorageKeyRejected(StorageError):
    """The storage does not accept our credentials."""

    code = Code.AUTH_ERROR
    reason = "storage_key_rejected"


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


class InternalError(ImageJobsError):
    """A fault of ours; its text never reaches a caller."""

    reason = "internal_error"


class LostClaim(ImageJobsError):
    """Another worker owns the job now: stop, write nothing more."""

    reason = "lost_claim"


class ConfigurationError(ImageJobsError):
    """The program cannot start as it is set up; every problem is listed."""

    code = Code.PERMANENT
    reason = "configuration_error"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def every_error() -> Iterator[type[ImageJobsError]]:
    """All classes of the tree, parents first."""
    waiting: list[type[ImageJobsError]] = [ImageJobsError]
    while waiting:
        error = waiting.pop(0)
        yield error
        waiting.extend(error.__subclasses__())
