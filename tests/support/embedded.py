"""The embedded server as tests use it: processes that hold it, places where it lives."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg

ROOT = os.geteuid() == 0
NOBODY = 65534
PATIENCE_SECONDS = 60.0
SOURCE = Path(__file__).parents[2] / "src"

# A process that uses the server: says its DSN, releases when its standard input ends, says whether it was the last.
# It changes its user only after the imports, because the interpreter itself may stand where that user cannot go.
HOLDER = """
import encodings.idna, os, sys
from pathlib import Path
sys.path[:0] = sys.argv[4:]
from imagejobs.embedded import start
uid = int(sys.argv[3])
if os.geteuid() != uid:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
server = start(Path(sys.argv[1]), system_dir=Path(sys.argv[2]))
print(server.dsn, flush=True)
sys.stdin.read()
print(server.release(), flush=True)
"""
# One that never gives the files that it makes their name, however much time it has.
UNFINISHED = f"""
import sys
sys.path[:0] = sys.argv[4:]
from imagejobs.embedded import cluster
cluster.rename_durably = lambda *names: sys.stdin.read()
{HOLDER}"""


class Holder:
    """A process of its own that called `start`."""

    def __init__(self, place: "Place", *paths: Path, script: str = HOLDER) -> None:
        arguments = [str(word) for word in (place.data_dir, place.system_dir, place.uid, *paths, SOURCE)]
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def dsn(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, self._process.communicate()[1]
        return line

    def finish(self) -> str:
        """Release; the answer is "True" where this stopped the server."""
        output, errors = self._process.communicate(timeout=PATIENCE_SECONDS)
        assert self._process.returncode == 0, errors
        return output.strip()

    def failure(self) -> str:
        """What it says on its way out."""
        errors = self._process.communicate(timeout=PATIENCE_SECONDS)[1]
        assert self._process.returncode == 1
        return errors

    def end(self, how: signal.Signals) -> None:
        """End the process and its group, as ctrl-C in its terminal or a kill would."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, how)
        self._process.communicate(timeout=PATIENCE_SECONDS)


class Place:
    """A data directory that is still to be made, the user who uses it, and what happens there."""

    def __init__(self, parent: Path, uid: int) -> None:
        self.uid = uid
        self.data_dir = parent / "data dir; $(x)" / "imagejobs"
        self.system_dir = parent / "system"
        self.data_dir.parent.mkdir()
        os.chown(self.data_dir.parent, uid, -1)
        self._holders: list[Holder] = []

    def hold(self, *paths: Path, script: str = HOLDER) -> Holder:
        self._holders.append(Holder(self, *paths, script=script))
        return self._holders[-1]

    def record(self) -> dict[str, object]:
        found = json.loads((self.data_dir / "postgresql.json").read_text())
        assert isinstance(found, dict)
        return found

    @property
    def files(self) -> Path:
        cluster_id = self.record()["cluster_id"]
        return self.system_dir / "clusters" / str(cluster_id) if cluster_id else self.data_dir / "postgresql"

    @property
    def postmaster(self) -> int:
        return int((self.files / "postmaster.pid").read_text().splitlines()[0])

    def close(self) -> None:
        for holder in self._holders:
            holder.end(signal.SIGKILL)
        with suppress(OSError, ValueError):
            pid = self.postmaster
            os.kill(pid, signal.SIGQUIT)
            eventually(lambda: not lives(pid))


def lives(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path("/proc", str(pid), "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.002)


def query(dsn: str, sql: str) -> list[tuple[Any, ...]]:
    async def ask() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(dsn)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    return asyncio.run(ask())


def open_directory() -> Path:
    """A new directory that every user may enter, unlike pytest's own."""
    directory = Path(tempfile.mkdtemp(prefix="imagejobs-embedded-"))
    directory.chmod(0o755)
    return directory
