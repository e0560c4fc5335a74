"""How long the other side asks to wait."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_SECONDS = 24 * 3600.0

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds from now by the header `retry-after`, as number or date; None where it says nothing sensible.

    A date counts from the answer's own `date`, so that a wrong clock over there makes no difference; one in the past is 0.
    More than a day is no sensible wait. Header names are in lower case.
    """
    stated = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(stated):
        seconds = float(stated)
    elif (until := _instant(stated)) is not None:
        seconds = max(0.0, (until - (_instant(headers.get("date", "")) or now)).total_seconds())
    else:
        return None
    return seconds if seconds <= MAX_SECONDS else None


def _instant(text: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
