"""What every provider behind HTTP has in common: what a lost call, a status or an error text means in our words.

Whatever is not surely free counts as an unknown outcome.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from imagejobs.errors import (
    Billed,
    ContentRefused,
    ImageTooLarge,
    ModelUnavailable,
    OutcomeUnknown,
    ProviderCreditExhausted,
    ProviderError,
    ProviderFailed,
    ProviderKeyRejected,
    ProviderOverloaded,
    ProviderRejected,
    ProviderThrottled,
    ProviderUnreachable,
)
from imagejobs.net.http import AnswerLost, AnswerTooLarge, NotSent, Outbound, OutboundAnswer, OutboundRequest
from imagejobs.net.retry_after import retry_after_seconds

MAX_QUOTED = 300

_LOOKED_AT = 2000
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_BEARER = re.compile(r"(?i)\bbearer\s+[^\s)>\"']+")
_QUERY = re.compile(r"(https?://[^\s?#]+)[?#]\S*")
_KEY_ERRORS = {
    401: ProviderKeyRejected,
    402: ProviderCreditExhausted,
    403: ProviderKeyRejected,
}
_MOVED = (301, 307, 308)
_PERHAPS_AT_WORK = (408, 409, 499)  # it, or one between, gave up waiting; or holds our key already: it may have charged
_HAS_NO_CAPACITY = (503, 529)


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """An error as the provider puts it, cleaned; None where it says nothing of the kind."""

    kind: str | None = None
    text: str | None = None
    billed: bool | None = None


async def ask(outbound: Outbound, request: OutboundRequest, provider: str) -> OutboundAnswer:
    """The provider's answer, whatever its status.

    Raises `ProviderUnreachable` where nothing was sent, `OutcomeUnknown` where the answer is lost, and `ImageTooLarge`.
    """
    try:
        return await outbound.send(request)
    except NotSent as error:
        raise ProviderUnreachable(
            f"{provider} cannot be reached ({quoted(str(error))}); nothing was sent. Check its address and the network."
        ) from error
    except AnswerTooLarge as error:
        raise ImageTooLarge(
            f"{provider} answered with more than may be kept: {error}. Ask for a smaller picture."
        ) from error
    except AnswerLost as error:
        raise OutcomeUnknown(
            f"The answer of {provider} was lost on the way ({quoted(str(error))}); it may have been charged."
        ) from error


def is_storable(text: str) -> bool:
    """Whether a column takes it: nothing that a provider says beside a picture may keep that from being stored."""
    return _UNSTORABLE.search(text) is None


def document_in(answer: OutboundAnswer) -> Mapping[str, Any] | None:
    """The JSON object in the body; None where there is something else."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def error_of(answer: OutboundAnswer, complaint: Complaint | None, provider: str) -> ProviderError:
    """What a status of 300 or above stands for; `complaint` is None where the body is not the provider's own document."""
    said = complaint or Complaint()
    error = _meant(answer, complaint, provider)
    if said.billed and error.billed is Billed.NO:
        if not isinstance(error, ProviderRejected | ContentRefused):
            return OutcomeUnknown(f"{provider} answered {answer.status} and says that it charged for that{_words(said)}.")
        error.billed = Billed.YES
    return error


def _meant(answer: OutboundAnswer, complaint: Complaint | None, provider: str) -> ProviderError:
    status, said = answer.status, complaint or Complaint()
    words = f"{provider} answered {status}{_words(said)}"
    if status == 429:
        wait = retry_after_seconds(answer.headers, datetime.now(UTC))
        return ProviderThrottled(f"{words}: it asks to wait.", retry_after_seconds=wait)
    if status in _MOVED or (400 <= status < 500 and status not in _PERHAPS_AT_WORK):
        return _refusal(status, said, words)
    if status in _HAS_NO_CAPACITY and complaint is not None:
        return ProviderOverloaded(f"{words}: it has no capacity just now. Try again later.")
    if said.billed is False and status not in _PERHAPS_AT_WORK:
        return ProviderFailed(f"{words} and did not charge. Try again later.")
    return OutcomeUnknown(f"{words}; it may have charged. Look at its own usage page.")


def _refusal(status: int, said: Complaint, words: str) -> ProviderError:
    if status in _KEY_ERRORS:
        return _KEY_ERRORS[status](f"{words}. Check the key and the account behind it.")
    if status in _MOVED:
        return ProviderRejected(f"{words}: the service is at another address. Correct its base URL.")
    match said.kind:
        case "content_refused":
            return ContentRefused(f"{words}. Change the prompt or the pictures.")
        case "model_not_found":
            return ModelUnavailable(f"{words}. Choose another model.")
        case _:
            return ProviderRejected(f"{words}. Change the request.")


def _words(said: Complaint) -> str:
    return f" (“{said.text}”)" if said.text else ""


def quoted(text: str, secret: str | None = None) -> str:
    """Somebody else's text, fit to be stored and shown: one line, no secret of ours, no signed address, 300 characters.

    Markup stays what it is, text; whoever shows it escapes it.
    """
    without_secret = text.replace(secret, "***") if secret else text
    line = _UNPRINTABLE.sub(" ", without_secret[:_LOOKED_AT]).strip()
    line = _QUERY.sub(r"\1?***", _BEARER.sub("Bearer ***", line))
    return line if len(line) <= MAX_QUOTED else line[: MAX_QUOTED - 1] + "…"
