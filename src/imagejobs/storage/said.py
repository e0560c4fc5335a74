"""What a storage says, fit to be stored and shown."""

import re
from collections.abc import Sequence
from urllib.parse import quote

MAX_QUOTED = 300

_LOOKED_AT = 4000
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_QUERY = re.compile(r"(https?://[^\s?#]+)[?#][^\s\"')]*")


def quoted(text: str, secrets: Sequence[str] = ()) -> str:
    """Somebody else's text on one line of at most 300 characters, without our secrets and without signed addresses."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
    line = _QUERY.sub(r"\1?***", _UNPRINTABLE.sub(" ", text[:_LOOKED_AT])).strip()
    return line if len(line) <= MAX_QUOTED else line[: MAX_QUOTED - 1] + "…"
