"""Every error this program raises on purpose.

    ImageJobsError                       code, reason, retry, billed, detail
    ├─ RequestError                      the caller must change something
    │  ├─ MalformedRequest · InvalidField · UnsupportedCapability · UnknownModel
    │  ├─ BodyTooLarge · RequestTooSlow · UnsupportedMediaType · UnusablePicture · InputsFull
    │  ├─ NotFound · MethodNotAllowed · InvalidTransition · IdempotencyKeyReused
    │  ├─ Unauthenticated                TokenExpired · TokenRefused
    │  ├─ PermissionDenied
    │  ├─ AddressRefused · AddressUnreachable · DownloadRejected
    │  └─ BudgetExhausted · TooManyRequests · TooManyStreams
    ├─ ProviderError                     what a provider did, or did not do
    │  ├─ NoProviderConfigured · ModelUnavailable
    │  ├─ ProviderUnreachable · ProviderPaused          surely not sent
    │  ├─ ProviderRejected · ContentRefused
    │  ├─ ProviderThrottled · ProviderOverloaded · ProviderTimeout · ProviderFailed
    │  ├─ ProviderKeyRejected · ProviderCreditExhausted
    │  ├─ OutcomeUnknown                 sent, no answer: never paid again in silence
    │  └─ AnswerUnusable                 NotAnImage · ImageCorrupt · ImageTooLarge · NoImageReturned
    ├─ InputError                        InputUnavailable · InputUnreachable
    ├─ StorageError                      StorageUnavailable · StorageThrottled · StorageRejected · StorageKeyRejected
    │  └─ StoragePaused                  nothing bought
    ├─ JobError                          DeadlineExceeded · Poison
    ├─ DatabaseUnavailable · SignInUnavailable · InternalError
    ├─ LostClaim                         another worker owns the job: stop, write nothing
    ├─ CancelRequested                   somebody canceled the job: buy nothing more, end it
    └─ ConfigurationError                at start only, every problem listed at once

`code` is one of the contract's five words, `reason` the fine, stable one; both are part of the API. Programs decide on type,
`retry` and `billed`, never on text. HTTP statuses live in `web/problems.py`.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import ClassVar, TypedDict, Unpack


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


class _Words(TypedDict, total=False):
    reason: str
    code: Code
    retry: Retry
    billed: Billed


class ImageJobsError(Exception):
    """Root of the tree; `detail` is one sentence for a person, with the next step.

    A class says in its head which of the four words differ from its parent's.
    """

    code: ClassVar[Code] = Code.UNKNOWN
    reason: ClassVar[str] = "internal_error"
    retry: ClassVar[Retry] = Retry.NEVER
    billed: Billed = Billed.NO

    def __init_subclass__(cls, **words: Unpack[_Words]) -> None:
        for name, word in words.items():
            setattr(cls, name, word)

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def retryable(self) -> bool:
        """True where trying the same again later can succeed without anybody changing anything."""
        return self.code in (Code.TEMPORARY, Code.RATE_LIMIT)


class StatedWait(Exception):
    """What some errors are beside: one that says how long to wait, None where the other side gave no figure."""

    def __init__(self, detail: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class ProviderError(ImageJobsError, reason="provider_error"):
    """What a provider did, or did not do."""


class NoProviderConfigured(ProviderError, reason="no_provider_configured", code=Code.PERMANENT):
    """No provider is set up that could make the picture."""


class ModelUnavailable(ProviderError, reason="model_unavailable", code=Code.PERMANENT):
    """The provider does not serve the model, or no longer."""


class ProviderUnreachable(ProviderError, reason="provider_unreachable", code=Code.TEMPORARY, retry=Retry.LATER):
    """Nothing was sent: no name, no route, refused, TLS failed."""


class ProviderRejected(ProviderError, reason="provider_rejected", code=Code.PERMANENT):
    """The provider understood the request and will not do it as it stands."""


class ContentRefused(ProviderError, reason="content_refused", code=Code.PERMANENT):
    """The provider's safety rules refused the prompt or the picture."""


class ProviderThrottled(StatedWait, ProviderError, reason="provider_throttled", code=Code.RATE_LIMIT, retry=Retry.SNOOZE):
    """The provider asks to wait; `retry_after_seconds` is its own figure, None where it gave none."""


class ProviderPaused(StatedWait, ProviderError, reason="provider_paused", code=Code.TEMPORARY, retry=Retry.SNOOZE):
    """Nothing was sent: the provider failed several times in a row and is left alone for `retry_after_seconds`."""


class ProviderOverloaded(ProviderError, reason="provider_overloaded", code=Code.TEMPORARY, retry=Retry.LATER):
    """The provider has no capacity just now, and did not charge."""


class ProviderTimeout(ProviderError, reason="provider_timeout", code=Code.TEMPORARY, retry=Retry.LATER):
    """No answer within the call deadline, from a provider that charges for answers only."""


class ProviderFailed(ProviderError, reason="provider_failed", code=Code.TEMPORARY, retry=Retry.LATER):
    """The provider failed and says, or documents, that it did not charge."""


class ProviderKeyRejected(ProviderError, reason="provider_key_rejected", code=Code.AUTH_ERROR):
    """The provider does not accept our key."""


class ProviderCreditExhausted(ProviderError, reason="provider_credit_exhausted", code=Code.PERMANENT):
    """The account behind our key has no credit left."""


class OutcomeUnknown(ProviderError, reason="outcome_unknown", retry=Retry.RECONCILE, billed=Billed.UNKNOWN):
    """The request went out and the answer was lost: it may have been charged."""


class AnswerUnusable(ProviderError, reason="answer_unusable", code=Code.PERMANENT, billed=Billed.YES):
    """The provider answered, and charged, but the answer is no picture we can keep."""


class NotAnImage(AnswerUnusable, reason="not_an_image"):
    """The answer is something else: a web page, text, an unknown format."""


class ImageCorrupt(AnswerUnusable, reason="image_corrupt"):
    """The picture is broken or cut off."""


class ImageTooLarge(AnswerUnusable, reason="image_too_large"):
    """The picture has more pixels or bytes than may be decoded."""


class NoImageReturned(AnswerUnusable, reason="no_image_returned"):
    """A success without a picture in it."""


class InputError(ImageJobsError):
    """An input picture could not be had; no provider was called."""


class InputUnavailable(InputError, reason="input_unavailable", code=Code.PERMANENT):
    """The input picture is not there, or is no picture that can be sent."""


class InputUnreachable(InputError, reason="input_unreachable", code=Code.TEMPORARY, retry=Retry.LATER):
    """The place of the input picture does not answer just now."""


class StorageError(ImageJobsError, billed=Billed.YES):
    """The picture could not be put where it belongs; its bytes are kept."""


class StorageUnavailable(StorageError, reason="storage_unavailable", code=Code.TEMPORARY, retry=Retry.LATER):
    """The storage does not answer, or is full."""


class StorageThrottled(StatedWait, StorageError, reason="storage_throttled", code=Code.RATE_LIMIT, retry=Retry.SNOOZE):
    """The storage asks to slow down; `retry_after_seconds` says by how much."""


class StoragePaused(StorageThrottled, reason="storage_paused", code=Code.TEMPORARY, billed=Billed.NO):
    """Nothing was bought, for it could not be stored now; the job looks again in `retry_after_seconds`."""


class StorageRejected(StorageError, reason="storage_rejected", code=Code.PERMANENT):
    """The storage refuses this object."""


class StorageKeyRejected(StorageError, reason="storage_key_rejected", code=Code.AUTH_ERROR):
    """The storage does not accept our credentials."""


class JobError(ImageJobsError):
    """The job itself can go no further."""


class DeadlineExceeded(JobError, reason="deadline_exceeded", code=Code.TEMPORARY):
    """The job's deadline passed."""


class Poison(JobError, reason="poison"):
    """Three workers died on this job."""


class DatabaseUnavailable(ImageJobsError, reason="database_unavailable", code=Code.TEMPORARY, retry=Retry.LATER):
    """PostgreSQL does not answer; nothing was promised."""


class SignInUnavailable(ImageJobsError, reason="sign_in_unavailable", code=Code.TEMPORARY, retry=Retry.LATER):
    """The keys that prove users' tokens cannot be fetched just now."""


class InternalError(ImageJobsError, reason="internal_error"):
    """A fault of ours; its text never reaches a caller."""


class LostClaim(ImageJobsError, reason="lost_claim"):
    """Another worker owns the job now: stop, write nothing more."""


class CancelRequested(ImageJobsError, reason="cancel_requested"):
    """The job was canceled while it was in a worker's hands; `is_stopped` where its purchase surely costs nothing."""

    def __init__(self, detail: str, *, is_stopped: bool) -> None:
        super().__init__(detail)
        self.is_stopped = is_stopped


class ConfigurationError(ImageJobsError, reason="configuration_error", code=Code.PERMANENT):
    """The program cannot start as it is set up; every problem is listed."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class RequestError(ImageJobsError, reason="invalid_request", code=Code.PERMANENT):
    """The caller must change something; nothing was written."""


class MalformedRequest(RequestError, reason="malformed_request"):
    """The request cannot be read at all: not JSON, contradicting keys, a broken cursor."""


class InvalidField(RequestError, reason="invalid_field"):
    """One field is outside its limits."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class UnsupportedCapability(InvalidField, reason="unsupported_capability"):
    """The field is well formed, but the chosen model cannot do it."""


class UnknownModel(InvalidField, reason="unknown_model"):
    """No configured provider answers to that model name."""


class BodyTooLarge(RequestError, reason="body_too_large"):
    """The body is over the limit and was not read."""


class RequestTooSlow(RequestError, reason="request_too_slow", code=Code.TEMPORARY, retry=Retry.LATER):
    """The body did not arrive in time."""


class UnsupportedMediaType(RequestError, reason="unsupported_media_type"):
    """The body is of a type this route does not take."""


class UnusablePicture(RequestError, reason="unusable_picture"):
    """What was sent as an input is no picture that may be sent on; it was not kept."""


class InputsFull(RequestError, reason="inputs_full"):
    """The project keeps as many bytes of input pictures as it may; this one was not kept."""


class NotFound(RequestError, reason="not_found"):
    """There is no such thing, or it is not the caller's: the two are not told apart."""


class MethodNotAllowed(RequestError, reason="method_not_allowed"):
    """The address exists, but not for this method; `allow` names those it takes."""

    def __init__(self, detail: str, allow: str) -> None:
        super().__init__(detail)
        self.allow = allow


class InvalidTransition(RequestError, reason="invalid_transition"):
    """The job's state does not allow this."""


class IdempotencyKeyReused(RequestError, reason="idempotency_key_reused"):
    """The key names an earlier request with another body."""


class Unauthenticated(RequestError, reason="unauthenticated", code=Code.AUTH_ERROR):
    """No credential, or one that is not good."""


class TokenExpired(Unauthenticated, reason="token_expired"):
    """The user's token was good and is over."""


class TokenRefused(Unauthenticated, reason="token_refused"):
    """The user's token does not hold; `check` is the stable word for what it failed. Its contents are never told."""

    def __init__(self, check: str, problem: str) -> None:
        super().__init__(f"The token was refused ({check}): {problem}. Sign in again.")
        self.check = check


class PermissionDenied(RequestError, reason="permission_denied", code=Code.AUTH_ERROR):
    """The credential is good, but does not allow this."""


class BudgetExhausted(RequestError, reason="budget_exhausted"):
    """A cap leaves no room for the estimated cost."""


class AddressRefused(RequestError, reason="address_refused"):
    """The address is none that this service fetches; no connection was opened."""


class AddressUnreachable(RequestError, reason="address_unreachable", code=Code.TEMPORARY, retry=Retry.LATER):
    """Nothing whole came from the address in time: no name, no route, TLS failed, cut off, or a fault of its server."""


class DownloadRejected(RequestError, reason="download_rejected"):
    """The address answers, but not with a file that may be taken: gone, not allowed, too large, an endless redirect."""


class TooManyRequests(StatedWait, RequestError, reason="too_many_requests", code=Code.RATE_LIMIT, retry=Retry.SNOOZE):
    """The caller is over a rate limit."""


class TooManyStreams(TooManyRequests, reason="too_many_streams"):
    """The caller streams or waits for as many jobs at once as it may."""


def every_error() -> Iterator[type[ImageJobsError]]:
    """All classes of the tree, parents first."""
    waiting: list[type[ImageJobsError]] = [ImageJobsError]
    while waiting:
        error = waiting.pop(0)
        yield error
        waiting.extend(error.__subclasses__())
