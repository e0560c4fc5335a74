"""What an HTTP status of 400 and above from Google means: one row for each in `docs/reference/providers/gemini.md`."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from imagejobs.errors import (
    ModelUnavailable,
    ProviderError,
    ProviderKeyRejected,
    ProviderOverloaded,
    ProviderThrottled,
)
from imagejobs.net.http import OutboundAnswer
from imagejobs.net.retry_after import MAX_SECONDS, retry_after_seconds
from imagejobs.providers.gemini.catalogue import NAME, Model, gone
from imagejobs.providers.gemini.wire import mapping, mappings, text
from imagejobs.providers.remote import Complaint, error_of, quoted

_SECONDS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")
_BACKGROUND = re.compile(r"background|interaction", re.IGNORECASE)
_NO_SUCH_ADDRESS = (404, 405)
_KEY_SETTINGS = "GOOGLE_AI_API_KEY (or IMAGEJOBS_GEMINI_API_KEY)"
_QUOTA_DAY_BEGINS = timedelta(hours=8)  # midnight in California, in UTC; an hour late in its summer, never early


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An error in Google's own words. `violations` are (quota id, quota value)."""

    word: str
    message: str
    reasons: frozenset[str]
    violations: tuple[tuple[str, str], ...]
    wait_seconds: float | None
    fields: str


def fault_in(answer: OutboundAnswer) -> Fault | None:
    """Google's error document; None where the body is something else: a gateway's page, nothing."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, list) and len(document) == 1:
        document = document[0]  # as streaming addresses wrap it
    error = mapping(document).get("error")
    return _fault(error) if isinstance(error, dict) else None


def _fault(error: Mapping[str, Any]) -> Fault:
    details = list(mappings(error.get("details")))
    violations = [violation for detail in details for violation in mappings(detail.get("violations"))]
    waits = [match for detail in details if (match := _SECONDS.fullmatch(text(detail.get("retryDelay"))))]
    fields = [violation for detail in details for violation in mappings(detail.get("fieldViolations"))]
    return Fault(
        word=text(error.get("status")) or text(error.get("code")),
        message=text(error.get("message")),
        reasons=frozenset(text(detail.get("reason")) for detail in details),
        violations=tuple((text(one.get("quotaId")), text(one.get("quotaValue"))) for one in violations),
        wait_seconds=max((float(match[1]) for match in waits), default=None),
        fields=" ".join(f"{text(one.get('field'))} {text(one.get('description'))}" for one in fields),
    )


def refuses_background(answer: OutboundAnswer) -> bool:
    """Whether Google says that this model is not served by Interactions in the background; then nothing was made."""
    fault = fault_in(answer)
    if fault is None:
        return answer.status in _NO_SUCH_ADDRESS
    return answer.status == 400 and _BACKGROUND.search(f"{fault.message} {fault.fields}") is not None


def error_in(answer: OutboundAnswer, model: Model, api_key: str, now: datetime) -> ProviderError:
    """The error that the answer stands for."""
    fault = fault_in(answer)
    if fault is None:
        return error_of(answer, None, NAME)
    said = quoted(fault.message, api_key)
    words = f"{NAME} answered {answer.status} {quoted(fault.word, api_key)}".rstrip() + (f" (“{said}”)" if said else "")
    return (
        _of_the_account(answer.status, fault, words)
        or _of_capacity(answer, fault, model.name, words, now)
        or (gone(model, "is not served by Google any more") if answer.status == 404 else None)
        or error_of(answer, Complaint(text=said or None), NAME)
    )


def _of_the_account(status: int, fault: Fault, words: str) -> ProviderError | None:
    """A key or an account that cannot buy, which Google also says with 400."""
    bad_key = any(reason.startswith("API_KEY_") for reason in fault.reasons) or "API key not valid" in fault.message
    if 400 <= status < 500 and bad_key:
        return ProviderKeyRejected(f"{words}. Set {_KEY_SETTINGS} to a key of this project, and start again.")
    if status == 400 and fault.word == "FAILED_PRECONDITION":
        return ProviderKeyRejected(f"{words}. Turn on billing for the key's project, or call from a region Google serves.")
    return None


def _of_capacity(answer: OutboundAnswer, fault: Fault, model: str, words: str, now: datetime) -> ProviderError | None:
    """Too many requests, no quota at all, or no capacity over there. Nothing was made in any of them."""
    if answer.status in (429, 503) and "MODEL_CAPACITY_EXHAUSTED" in fault.reasons:
        return ProviderOverloaded(f"{words}: the model has no capacity just now. Try again later.")
    if answer.status != 429:
        return None
    if any(value == "0" or "FreeTier" in quota for quota, value in fault.violations):
        return ModelUnavailable(f"{words}. The key's project has no quota for {model}; turn on billing, or name another.")
    if any("PerDay" in quota for quota, _ in fault.violations):
        wait: float | None = _until_next_quota_day(now)
        return ProviderThrottled(f"{words}: the day's quota is used up; it begins anew at midnight in California.", wait)
    wait = fault.wait_seconds if fault.wait_seconds is not None else retry_after_seconds(answer.headers, now)
    return ProviderThrottled(f"{words}: it asks to wait.", wait if wait is not None and wait <= MAX_SECONDS else None)


def _until_next_quota_day(now: datetime) -> float:
    day = (now.astimezone(UTC) - _QUOTA_DAY_BEGINS).replace(hour=0, minute=0, second=0, microsecond=0)
    return (day + timedelta(days=1) + _QUOTA_DAY_BEGINS - now).total_seconds()
