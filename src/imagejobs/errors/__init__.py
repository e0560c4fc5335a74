"""Every error this program raises on purpose.

    ImageJobsError                       code, reason, retry, billed, detail
    ├─ RequestError                      the caller must change something
    │  ├─ MalformedRequest · InvalidField · UnsupportedCapability · UnknownModel
    │  ├─ BodyTooLarge · UnsupportedMediaType · UnusablePicture
    │  ├─ NotFound · MethodNotAllowed · InvalidTransition · IdempotencyKeyReused
    │  ├─ Unauthenticated                TokenExpired · TokenRefused
    │  ├─ PermissionDenied
    │  ├─ AddressRefused · AddressUnreachable · DownloadRejected
    │  └─ BudgetExhausted · TooManyRequests
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
    ├─ JobError                          DeadlineExceeded · Poison
    ├─ DatabaseUnavailable · SignInUnavailable · InternalError
    ├─ LostClaim                         another worker owns the job: stop, write nothing
    ├─ CancelRequested                   somebody canceled the job: buy nothing more, end it
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
    InputError,
    InputUnavailable,
    InputUnreachable,
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
    ProviderPaused,
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
    CancelRequested,
    ConfigurationError,
    DatabaseUnavailable,
    DeadlineExceeded,
    InternalError,
    JobError,
    LostClaim,
    Poison,
    SignInUnavailable,
)
from imagejobs.errors.request import (
    AddressRefused,
    AddressUnreachable,
    BodyTooLarge,
    BudgetExhausted,
    DownloadRejected,
    IdempotencyKeyReused,
    InvalidField,
    InvalidTransition,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    PermissionDenied,
    RequestError,
    TokenExpired,
    TokenRefused,
    TooManyRequests,
    Unauthenticated,
    UnknownModel,
    UnsupportedCapability,
    UnsupportedMediaType,
    UnusablePicture,
)
from imagejobs.errors.root import (
    Billed,
    Code,
    ImageJobsError,
    Retry,
)

__all__ = [
    "AddressRefused",
    "AddressUnreachable",
    "AnswerUnusable",
    "Billed",
    "BodyTooLarge",
    "BudgetExhausted",
    "CancelRequested",
    "Code",
    "ConfigurationError",
    "ContentRefused",
    "DatabaseUnavailable",
    "DeadlineExceeded",
    "DownloadRejected",
    "IdempotencyKeyReused",
    "ImageCorrupt",
    "ImageJobsError",
    "ImageTooLarge",
    "InputError",
    "InputUnavailable",
    "InputUnreachable",
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
    "ProviderPaused",
    "ProviderRejected",
    "ProviderThrottled",
    "ProviderTimeout",
    "ProviderUnreachable",
    "RequestError",
    "Retry",
    "SignInUnavailable",
    "StorageError",
    "StorageKeyRejected",
    "StorageRejected",
    "StorageThrottled",
    "StorageUnavailable",
    "TokenExpired",
    "TokenRefused",
    "TooManyRequests",
    "Unauthenticated",
    "UnknownModel",
    "UnsupportedCapability",
    "UnsupportedMediaType",
    "UnusablePicture",
    "every_error",
]


def every_error() -> Iterator[type[ImageJobsError]]:
    """All classes of the tree, parents first."""
    waiting: list[type[ImageJobsError]] = [ImageJobsError]
    while waiting:
        error = waiting.pop(0)
        yield error
        waiting.extend(error.__subclasses__())
