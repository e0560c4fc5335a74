"""The spool: paid bytes on this machine's disk while the database cannot take them.

One file an answer, written whole and fsynced or not at all; its first line is a JSON header, the rest the raw bytes. Whoever
stages an answer removes its file; a file left by a killed worker is staged by the next worker that starts here.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from imagejobs.domain.money import Cost
from imagejobs.ports import Answer

_PARTIAL = ".partial"


@dataclass(frozen=True, kw_only=True)
class Spooled:
    """An answer that waits for the database, and the purchase it belongs to."""

    attempt_id: UUID
    job_id: UUID
    reservation_no: int
    answer: Answer


class Spool:
    """A directory of answers. Its functions block for a disk's time: call them in a thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, spooled: Spooled) -> None:
        """Write the answer durably; a repeat replaces the file by an equal one. `OSError` where the disk is full."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(spooled.attempt_id)
        partial = path.with_suffix(_PARTIAL)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(_header(spooled) + b"\n")
            file.write(spooled.answer.data)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        self._sync_directory()

    def forget(self, attempt_id: UUID) -> None:
        """Remove the file; removing what is not there is fine."""
        self._path(attempt_id).unlink(missing_ok=True)

    def waiting(self) -> Iterator[Spooled]:
        """Every whole answer found; files that a crash left unfinished or that are damaged are passed over and stay."""
        if not self._directory.is_dir():
            return
        for path in sorted(self._directory.glob("*.answer")):
            if (spooled := _read(path)) is not None:
                yield spooled

    def _path(self, attempt_id: UUID) -> Path:
        return self._directory / f"{attempt_id}.answer"

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _header(spooled: Spooled) -> bytes:
    answer = spooled.answer
    return json.dumps(
        {
            "attempt_id": str(spooled.attempt_id),
            "job_id": str(spooled.job_id),
            "reservation_no": spooled.reservation_no,
            "media_type": answer.media_type,
            "cost_micros": answer.cost.micros,
            "price_version": answer.cost.price_version,
            "cost_estimated": answer.cost.estimated,
            "remote_id": answer.remote_id,
            "metadata": dict(answer.metadata),
            "sha256": hashlib.sha256(answer.data).hexdigest(),
        }
    ).encode()


def _read(path: Path) -> Spooled | None:
    try:
        header_line, _, data = path.read_bytes().partition(b"\n")
        header = json.loads(header_line)
        if hashlib.sha256(data).hexdigest() != header["sha256"]:
            return None
        cost = Cost(micros=header["cost_micros"], price_version=header["price_version"], estimated=header["cost_estimated"])
        return Spooled(
            attempt_id=UUID(header["attempt_id"]),
            job_id=UUID(header["job_id"]),
            reservation_no=header["reservation_no"],
            answer=Answer(
                data=data,
                media_type=header["media_type"],
                cost=cost,
                remote_id=header["remote_id"],
                metadata=header["metadata"],
            ),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
