"""What the caller must change; nothing was written."""

from imagejobs.errors.root import Code, ImageJobsError, Retry


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


class UnusablePicture(RequestError):
    """What was sent as an input is no picture that may be sent on; it was not kept."""

    reason = "unusable_picture"


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


class TokenExpired(Unauthenticated):
    """The user's token was good and is over."""

    reason = "token_expired"


class TokenRefused(Unauthenticated):
    """The user's token does not hold; `check` is the stable word for what it failed. Its contents are never told."""

    reason = "token_refused"

    def __init__(self, check: str, problem: str) -> None:
        super().__init__(f"The token was refused ({check}): {problem}. Sign in again.")
        self.check = check


class PermissionDenied(RequestError):
    """The credential is good, but does not allow this."""

    code = Code.AUTH_ERROR
    reason = "permission_denied"


class BudgetExhausted(RequestError):
    """A cap leaves no room for the estimated cost."""

    reason = "budget_exhausted"


class AddressRefused(RequestError):
    """The address is none that this service fetches; no connection was opened."""

    reason = "address_refused"


class AddressUnreachable(RequestError):
    """Nothing whole came from the address in time: no name, no route, TLS failed, cut off, or a fault of its server."""

    code = Code.TEMPORARY
    reason = "address_unreachable"
    retry = Retry.LATER


class DownloadRejected(RequestError):
    """The address answers, but not with a file that may be taken: gone, not allowed, too large, an endless redirect."""

    reason = "download_rejected"


class TooManyRequests(RequestError):
    """The caller is over a rate limit."""

    code = Code.RATE_LIMIT
    reason = "too_many_requests"
    retry = Retry.SNOOZE

    def __init__(self, detail: str, retry_after_seconds: float) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds
