"""What a success of Google says: a picture, a task that goes on, or none, and why.

A 200 is no picture yet. Rules: parts of the thinking step are skipped, the last picture counts, its type is the stated one,
and a picture that is there is taken whatever else is said, for it is paid.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from imagejobs.errors import (
    Billed,
    ContentRefused,
    NoImageReturned,
    OutcomeUnknown,
    ProviderCreditExhausted,
    ProviderError,
    ProviderKeyRejected,
    ProviderRejected,
)
from imagejobs.providers.gemini.catalogue import NAME
from imagejobs.providers.gemini.prices import Usage
from imagejobs.providers.gemini.wire import mapping, mappings, text
from imagejobs.providers.remote import is_storable

_MOST_TOKENS = 10**9
_ID = re.compile(r"[\x21-\x7e]{1,1000}")


class Meaning(Enum):
    """Why there is no picture: the error, and a sentence with the next step."""

    NONE_MADE = (NoImageReturned, "made no picture. Retry, perhaps with another prompt; it may cost again.")
    CUT_SHORT = (NoImageReturned, "stopped before the picture was made. Ask for less, or retry; it may cost again.")
    REFUSED = (ContentRefused, "refused by its safety rules. Change the prompt or the pictures.")
    WRONG = (ProviderRejected, "does not take the request as it stands. Change the prompt.")
    ACCOUNT = (ProviderKeyRejected, "has limited the account behind the key for misuse. See its messages to you.")
    NO_BUDGET = (ProviderCreditExhausted, "ended it because the account's budget is used up. Raise the budget there.")


FINISH_REASONS: Mapping[str, Meaning] = {
    **dict.fromkeys(
        ("FINISH_REASON_UNSPECIFIED", "STOP", "NO_IMAGE", "IMAGE_OTHER", "OTHER", "MALFORMED_RESPONSE"), Meaning.NONE_MADE
    ),
    **dict.fromkeys(("SAFETY", "IMAGE_SAFETY", "PROHIBITED_CONTENT", "IMAGE_PROHIBITED_CONTENT"), Meaning.REFUSED),
    **dict.fromkeys(("BLOCKLIST", "SPII", "RECITATION", "IMAGE_RECITATION"), Meaning.REFUSED),
    **dict.fromkeys(("ESCALATION", "MODEL_ARMOR"), Meaning.REFUSED),
    **dict.fromkeys(("LANGUAGE", "MISSING_THOUGHT_SIGNATURE", "MALFORMED_FUNCTION_CALL"), Meaning.WRONG),
    **dict.fromkeys(("UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"), Meaning.WRONG),
    **dict.fromkeys(("MAX_TOKENS", "CONTINUATION"), Meaning.CUT_SHORT),
    "PUP_LIMITED_DISABLED": Meaning.ACCOUNT,
}
"""By `finishReason`, where no picture came with it. A reason that is not here counts as none made."""

BLOCK_REASONS = (
    *("BLOCKED_REASON_UNSPECIFIED", "SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY"),
    *("MODEL_ARMOR", "JAILBREAK"),
)
"""Every `promptFeedback.blockReason` known; each of them, and any new one, is a refused prompt."""

GOES_ON = ("queued", "in_progress")

STATUSES: Mapping[str, Meaning] = {
    "completed": Meaning.NONE_MADE,
    "incomplete": Meaning.CUT_SHORT,
    "requires_continuation": Meaning.CUT_SHORT,
    "requires_action": Meaning.NONE_MADE,
    "budget_exceeded": Meaning.NO_BUDGET,
}
"""By the status of an interaction that ended without a picture; `failed` and `cancelled` leave it open what was charged."""

_REFUSALS = ("SAFETY", "PROHIBITED", "BLOCK", "RECITATION", "SPII")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One answer, whichever address it came from. `image` is the object that holds the picture's `data`."""

    image: Mapping[str, Any] | None
    usage: Usage | None
    remote_id: str | None
    reason: str = ""
    words: str = ""
    meaning: Meaning | None = None
    goes_on: bool = False

    @property
    def media_type(self) -> str:
        image = self.image or {}
        stated = text(image.get("mimeType")) or text(image.get("mime_type"))
        return stated if stated and is_storable(stated) else "application/octet-stream"


def read_generation(document: Mapping[str, Any]) -> Reading:
    """The answer of `generateContent`."""
    candidate = next(mappings(document.get("candidates")), {})
    feedback = mapping(document.get("promptFeedback"))
    images = [
        inline
        for part in mappings(mapping(candidate.get("content")).get("parts"))
        if part.get("thought") is not True
        for inline in (mapping(part.get("inlineData") or part.get("inline_data")),)
        if inline.get("data") not in (None, "")
    ]
    blocked = text(feedback.get("blockReason"))
    reason = blocked or text(candidate.get("finishReason"))
    return Reading(
        image=images[-1] if images else None,
        usage=_generation_usage(document.get("usageMetadata")),
        remote_id=_id(document.get("responseId")),
        reason=reason,
        words=text(feedback.get("blockReasonMessage")) or text(candidate.get("finishMessage")),
        meaning=Meaning.REFUSED if blocked else FINISH_REASONS.get(reason, Meaning.NONE_MADE),
    )


def read_interaction(document: Mapping[str, Any]) -> Reading:
    """An interaction as it stands."""
    steps = [step for step in mappings(document.get("steps")) if step.get("type") == "model_output"]
    images = [
        content
        for step in steps
        for content in mappings(step.get("content"))
        if content.get("type") == "image" and content.get("data") not in (None, "")
    ]
    status = text(document.get("status"))
    complaints = [*mappings(document.get("errors")), *(mapping(step.get("error")) for step in steps)]
    words = " ".join(f"{text(one.get('code'))} {text(one.get('message'))}" for one in complaints).strip()
    is_refused = any(word in words.upper() for word in _REFUSALS)
    return Reading(
        image=images[-1] if images else None,
        usage=_interaction_usage(document.get("usage")),
        remote_id=_id(document.get("id")),
        reason=status,
        words=words,
        meaning=Meaning.REFUSED if is_refused else STATUSES.get(status),
        goes_on=status in GOES_ON or status not in (*STATUSES, "failed", "cancelled"),
    )


def _id(value: object) -> str | None:
    """An id that can be stored and asked for; None where there is none."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def no_picture(reading: Reading, said: str) -> ProviderError:
    """The error of an answer without a picture; `said` is the provider's text, cleaned."""
    billed = Billed.UNKNOWN if reading.usage is None else reading.usage.billed
    words = f"{NAME} ({reading.reason[:100] or 'no reason given'}{': ' + said if said else ''})"
    if reading.meaning is None and billed is not Billed.YES:
        return OutcomeUnknown(f"{words} ended without a picture and does not say whether it charged. See its usage page.")
    error_type, sentence = (reading.meaning or Meaning.NONE_MADE).value
    error: ProviderError = error_type(f"{words} {sentence}")
    error.billed = billed
    return error


def _generation_usage(found: object) -> Usage | None:
    usage = mapping(found)
    details = {
        text(one.get("modality")).upper(): one.get("tokenCount") for one in mappings(usage.get("candidatesTokensDetails"))
    }
    prompt, tools = _count(usage.get("promptTokenCount")), _count(usage.get("toolUsePromptTokenCount"))
    return _usage(usage, (prompt, tools), usage.get("candidatesTokenCount"), usage.get("thoughtsTokenCount"), details)


def _interaction_usage(found: object) -> Usage | None:
    usage = mapping(found)
    details = {
        text(one.get("modality")).upper(): one.get("tokens") for one in mappings(usage.get("output_tokens_by_modality"))
    }
    prompt, tools = _count(usage.get("total_input_tokens")), _count(usage.get("total_tool_use_tokens"))
    return _usage(usage, (prompt, tools), usage.get("total_output_tokens"), usage.get("total_thought_tokens"), details)


def _usage(
    found: Mapping[str, Any], inputs: tuple[int, int], output: object, thoughts: object, details: Mapping[str, object]
) -> Usage | None:
    if not found:
        return None
    image = _count(details.get("IMAGE")) or None
    return Usage(input=sum(inputs), output=max(_count(output), image or 0), thoughts=_count(thoughts), image=image)


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else 0
