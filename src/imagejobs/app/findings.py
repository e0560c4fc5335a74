"""What a check says: one thing that was looked at, how it is, and what to do about it."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at, and what to do about it."""

    level: Level
    subject: str
    detail: str
    advice: str = ""

    def document(self) -> dict[str, Any]:
        return asdict(self)


def ok(subject: str, detail: str) -> Finding:
    """It is as it should be."""
    return Finding(level=Level.OK, subject=subject, detail=detail)


def warn(subject: str, detail: str, advice: str) -> Finding:
    """It may do as it is, or could not be looked at."""
    return Finding(level=Level.WARN, subject=subject, detail=detail, advice=advice)


def fail(subject: str, detail: str, advice: str = "") -> Finding:
    """It does not work; `advice` is the next step."""
    return Finding(level=Level.FAIL, subject=subject, detail=detail, advice=advice)
