"""Ids that sort by the time of their making (UUID version 7, RFC 9562 section 5.7)."""

import secrets
import time
from uuid import UUID


def new_id() -> UUID:
    """48 bits of milliseconds, 74 random bits."""
    millis = time.time_ns() // 1_000_000
    value = (millis & (2**48 - 1)) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def new_nonce() -> str:
    """96 random bits as 24 hexadecimal digits, for object keys that cannot be guessed."""
    return secrets.token_hex(12)
