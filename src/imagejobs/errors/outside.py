"""What providers and storages did, or did not do."""

from imagejobs.errors.root import Billed, Code, ImageJobsError, Retry


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


class ProviderPaused(ProviderError):
    """Nothing was sent: the provider failed several times in a row and is left alone for `retry_after_seconds`."""

    code = Code.TEMPORARY
    reason = "provider_paused"
    retry = Retry.SNOOZE

    def __init__(self, detail: str, retry_after_seconds: float) -> None:
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


class InputError(ImageJobsError):
    """An input picture could not be had; no provider was called."""


class InputUnavailable(InputError):
    """The input picture is not there, or is no picture that can be sent."""

    code = Code.PERMANENT
    reason = "input_unavailable"


class InputUnreachable(InputError):
    """The place of the input picture does not answer just now."""

    code = Code.TEMPORARY
    reason = "input_unreachable"
    retry = Retry.LATER


class StorageError(ImageJobsError):
    """The picture could not be put where it belongs; its bytes are kept."""

    billed = Billed.YES


class StorageUnavailable(StorageError):
    """The storage does not answer, or is full."""

    code = Code.TEMPORARY
    reason = "storage_unavailable"
    retry = Retry.LATER


class StorageThrottled(StorageError):
    """The storage asks to slow down; `retry_after_seconds` says by how much."""

    code = Code.RATE_LIMIT
    reason = "storage_throttled"
    retry = Retry.SNOOZE

    def __init__(self, detail: str, retry_after_seconds: float) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class StorageRejected(StorageError):
    """The storage refuses this object."""

    code = Code.PERMANENT
    reason = "storage_rejected"


class StorageKeyRejected(StorageError):
    """The storage does not accept our credentials."""

    code = Code.AUTH_ERROR
    reason = "storage_key_rejected"
