"""The provider's own bill: what it believes it was paid for, to be held against what the customer's books say."""

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_LINES_BEGIN = (b'{"purchase": ', b'{"reset": ')


def now() -> str:
    """This instant, as the bill and the log of requests write it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One purchase. With its size, the picture can be made again after a restart."""

    purchase: str
    resume_class: str
    idempotency_key: str | None
    body_sha256: str
    width: int
    height: int
    micros: int
    at: str = field(default_factory=now)

    def document(self) -> dict[str, Any]:
        fields = asdict(self)
        return {"purchase": fields.pop("purchase"), "class": fields.pop("resume_class"), **fields}


class Bill:
    """Entries in memory, and each also appended to a file if there is one, on the disk before `enter` returns.

    A file that is there already is continued; a last line that a crash cut short is dropped. One that is no bill raises
    `ValueError` and stays as it is.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[Entry] = []
        self._file: int | None = None
        if path is not None:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                self._continue(path.read_bytes())
            except ValueError:
                self.close()
                raise

    @property
    def total_micros(self) -> int:
        return sum(entry.micros for entry in self.entries)

    def enter(self, entry: Entry) -> None:
        """Charge for a purchase."""
        self._append(entry.document())
        self.entries.append(entry)

    def reset(self) -> None:
        """Begin a new bill; the file keeps the old one and says so."""
        self._append({"reset": now()})
        self.entries.clear()

    def close(self) -> None:
        """Close the file; again is harmless."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _append(self, document: dict[str, Any]) -> None:
        if self._file is not None:
            os.write(self._file, json.dumps(document).encode() + b"\n")
            os.fsync(self._file)

    def _continue(self, written: bytes) -> None:
        whole = written[: written.rfind(b"\n") + 1]
        cut_off = written[len(whole) :]
        if not any(line.startswith(cut_off) or cut_off.startswith(line) for line in _LINES_BEGIN):
            raise ValueError("its end is no entry")
        for line in whole.splitlines():
            self._read(line)
        assert self._file is not None
        os.truncate(self._file, len(whole))

    def _read(self, line: bytes) -> None:
        document = json.loads(line)
        try:
            if "reset" in document:
                self.entries.clear()
            else:
                self.entries.append(Entry(resume_class=document.pop("class"), **document))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no entry: {line[:80]!r}") from error
