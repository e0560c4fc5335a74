"""The files of a data directory that the commands share; each is readable by its owner only.

admin-key    the key that `up` made
local.json   where the running `up` listens, and its process id
up.lock      held by the running `up`; the kernel releases it, however the process ends
"""

import fcntl
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from imagejobs.embedded.files import Lock, write_private
from imagejobs.errors import ConfigurationError

_PRIVATE = 0o600
_LOCK_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Running:
    """The `up` that uses a data directory."""

    url: str
    pid: int


class Home:
    """A data directory."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.admin_key_path = self.path / "admin-key"
        self._local_path = self.path / "local.json"
        self._lock_path = self.path / "up.lock"

    def occupy(self) -> Lock:
        """Take the directory for this `up`, making it where there is none; refused while another one has it."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = Lock(self._lock_path)
        except OSError as error:
            raise ConfigurationError(
                [f"The data directory cannot be used: {error}. Choose another with --data-dir."]
            ) from error
        if lock.try_acquire(_LOCK_SECONDS):
            return lock
        lock.close()
        raise ConfigurationError(
            [f"{self._occupant()} uses {self.path} already. Stop it, or choose another with --data-dir."]
        )

    def announce(self, running: Running) -> None:
        """Tell the other commands where to find the service."""
        write_private(self._local_path, json.dumps(asdict(running)))

    def withdraw(self) -> None:
        """Take that back; again is harmless."""
        self._local_path.unlink(missing_ok=True)

    def running(self) -> Running | None:
        """The `up` that runs now; what a killed one left behind is not believed, for its port may be another program's."""
        if not self._lock_path.exists():
            return None
        with Lock(self._lock_path) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return self._announced()
        return None

    def read_admin_key(self, *, mend: bool = True) -> str | None:
        """The kept key; where the file stood open to others, `mend` closes it again."""
        try:
            if mend and self.admin_key_path.stat().st_mode & 0o077:
                self.admin_key_path.chmod(_PRIVATE)
            return self.admin_key_path.read_text().strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError([f"{self.admin_key_path} cannot be read: {error}."]) from error

    def keep_admin_key(self, key: str) -> None:
        write_private(self.admin_key_path, key + "\n")

    def has_database(self) -> bool:
        """Whether an embedded database was made here."""
        return (self.path / "postgresql.json").exists()

    def _announced(self) -> Running | None:
        try:
            found = json.loads(self._local_path.read_text())
            return Running(url=str(found["url"]), pid=int(found["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _occupant(self) -> str:
        running = self._announced()
        return "Another `imagejobs up`" if running is None else f"`imagejobs up` (process {running.pid}, {running.url})"
