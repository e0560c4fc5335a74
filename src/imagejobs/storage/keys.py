"""Object keys as every storage takes them."""

import re

from imagejobs.errors import StorageRejected

MAX_KEY_CHARACTERS = 1000
_SEGMENT = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,255}")


def segments_of(key: str) -> list[str]:
    """The parts of `key` between slashes; raises StorageRejected.

    Each has 1 to 255 of the characters `A-Z a-z 0-9 . _ -` and does not begin with a dot: no key climbs or hides.
    """
    segments = key.split("/")
    if len(key) > MAX_KEY_CHARACTERS or not all(map(_SEGMENT.fullmatch, segments)):
        raise StorageRejected("The object key is not one that this program makes; ask with the key that the job names.")
    return segments
