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
    ├─ StorageError                      StorageUnavailable · StorageThrottled · StorageRejected · StorageKeyRejected
    ├─ JobError                          DeadlineExceeded · Poison
    ├─ DatabaseUnavailable · InternalError
    ├─ LostClaim                         another worker owns the job: stop, write nothing
    └─ ConfigurationError                at start only, every problem listed at once

`code` is one of the contract's five words, `reason` the fine, stable one; both are part of the API. Programs decide on type,
`retry` and `billed`, never on text. HTTP statuses live in `web/problems.py`.
"""

from collections.abc import Iterator

from imagejobs.errors.outside import (
    AnswerUnusable,
    ContentRefused,
    ImageCorrupt,
    ImageTooLarge,
    ModelUnavailable,
    NoImageReturned,
    NoProviderConfigured,
    NotAnImage,
    OutcomeUnknown,
    ProviderCreditExhausted,
    ProviderError,
    ProviderFailed,
    ProviderKeyRejected,
    ProviderOverloaded,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnreachable,
    StorageError,
    StorageKeyRejected,
    StorageRejected,
    StorageThrottled,
    StorageUnavailable,
)
from imagejobs.errors.own import (
    ConfigurationError,
    DatabaseUnavailable,
    DeadlineExceeded,
    InternalError,
    JobError,
    LostClaim,
    Poison,
)
from imagejobs.errors.request import (
    BodyTooLarge,
    BudgetExhausted,
    IdempotencyKeyReused,
    InvalidField,
    InvalidTransition,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    PermissionDenied,
    RequestError,
    TooManyRequests,
    Unauthenticated,
    UnknownModel,
    UnsupportedCapability,
    UnsupportedMediaType,
)
from imagejobs.errors.root import (
    Billed,
    Code,
    ImageJobsError,
    Retry,
)

__all__ = [
    "AnswerUnusable",
    "Billed",
    "BodyTooLarge",
    "BudgetExhausted",
    "Code",
    "ConfigurationError",
    "ContentRefused",
    "DatabaseUnavailable",
    "DeadlineExceeded",
    "IdempotencyKeyReused",
    "ImageCorrupt",
    "ImageJobsError",
    "ImageTooLarge",
    "InternalError",
    "InvalidField",
    "InvalidTransition",
    "JobError",
    "LostClaim",
    "MalformedRequest",
    "MethodNotAllowed",
    "ModelUnavailable",
    "NoImageReturned",
    "NoProviderConfigured",
    "NotAnImage",
    "NotFound",
    "OutcomeUnknown",
    "PermissionDenied",
    "Poison",
    "ProviderCreditExhausted",
    "ProviderError",
    "ProviderFailed",
    "ProviderKeyRejected",
    "ProviderOverloaded",
    "ProviderRejected",
    "ProviderThrottled",
    "ProviderTimeout",
    "ProviderUnreachable",
    "RequestError",
    "Retry",
    "StorageError",
    "StorageKeyRejected",
    "StorageRejected",
    "StorageThrottled",
    "StorageUnavailable",
    "TooManyRequests",
    "Unauthenticated",
    "UnknownModel",
    "UnsupportedCapability",
    "UnsupportedMediaType",
    "every_error",
]


def every_error() -> Iterator[type[ImageJobsError]]:
    """All classes of the tree, parents first."""
    waiting: list[type[ImageJobsError]] = [ImageJobsError]
    while waiting:
        error = waiting.pop(0)
        yield error
        waiting.extend(error.__subclasses__())
