"""Private files, and locks that the kernel releases when their holder dies."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self


def private(path: str, flags: int) -> int:
    """Opener for `open`: new files are for their owner alone, and a symbolic link in their place is refused."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def write_private(path: Path, text: str) -> None:
    """Replace the file durably: a crash leaves the old text or the new, never a part."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with open(draft, "x", opener=private) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    rename_durably(draft, path)


def rename_durably(old: Path, new: Path) -> None:
    """Rename, and wait until the disk knows."""
    old.replace(new)
    directory = os.open(new.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class Lock:
    """A lock file, open but not yet locked.

    The kernel releases the lock when the last copy of the descriptor is closed, so a killed process leaves nothing stale.
    Child processes get no copy unless `fileno` is passed on by name; those that do hold the lock for as long as they live.
    Two `Lock` objects exclude each other even within one process.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "ab", opener=private)  # noqa: SIM115 - this class closes it

    def fileno(self) -> int:
        return self._file.fileno()

    def acquire(self) -> None:
        """Wait until it is ours alone."""
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def share(self) -> None:
        """Wait until nobody has it alone, then hold it beside others who share it."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def try_acquire(self, seconds: float = 0) -> bool:
        """Take it alone if it becomes free within `seconds`; where this says False, a share of ours may be lost."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.01)
            else:
                return True

    def close(self) -> None:
        """Let go; again is harmless."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
