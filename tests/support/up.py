"""`imagejobs up` as a black box: started, asked, killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.support.databases import fast_directory

COMMAND = (sys.executable, "-m", "imagejobs")
READY_SECONDS = 100.0
_SETTINGS = ("DATABASE_URL", "PORT", "IMAGEJOBS_", "SUPABASE_", "NANO_BANANA_", "GEMINI_", "GOOGLE_AI_", "CORS_ORIGINS")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A data directory for `up` that vanishes after the test, and a directory without a `.env` to start from."""

    data_dir: Path
    cwd: Path

    def environment(self, **settings: str) -> dict[str, str]:
        """The environment without the settings of whoever runs the tests."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
        return {**kept, "IMAGEJOBS_DATA_DIR": str(self.data_dir), "COLUMNS": "200", **settings}

    def run(self, *arguments: str, stdin: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run `imagejobs` with these arguments to its end."""
        return subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment(**settings),
            cwd=self.cwd,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=READY_SECONDS,
            check=False,
        )

    def start(self, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
        """Start `imagejobs` as the leader of a session of its own, as a terminal or a service manager does."""
        with (self.cwd / "stderr").open("a") as log:
            return subprocess.Popen(
                [*COMMAND, *arguments],
                env=self.environment(**settings),
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    @property
    def stderr(self) -> str:
        return (self.cwd / "stderr").read_text()


@contextmanager
def place() -> Iterator[Place]:
    """The user that runs the embedded PostgreSQL may enter it, so that nothing of it is kept elsewhere."""
    directory = fast_directory()
    data_dir = directory / "data"
    data_dir.mkdir(mode=0o755)
    try:
        yield Place(data_dir=data_dir, cwd=directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class Up:
    """A running `up` and what it said once it was ready."""

    place: Place
    process: "subprocess.Popen[str]"
    ready: Mapping[str, Any]

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    def run(self, *arguments: str, stdin: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
        return self.place.run(*arguments, stdin=stdin, **settings)

    def session(self) -> list[psutil.Process]:
        """Every living process of its session, itself included."""
        return session_of(self.process)

    def children(self, word: str) -> list[psutil.Process]:
        """Its own children whose command line has that word."""
        return [child for child in psutil.Process(self.process.pid).children() if word in _words(child)]

    def end(self, signum: signal.Signals = signal.SIGTERM) -> float:
        """Send a signal and wait for the end; how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signum)
        self.process.wait(READY_SECONDS)
        return time.monotonic() - began


@contextmanager
def up(at: Place, *arguments: str, **settings: str) -> Iterator[Up]:
    """Run `up` and wait until it is ready; it is ended afterwards, with everything it started."""
    process = at.start("up", "--json", "--no-open", "--port=0", *arguments, **settings)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, at.stderr
        yield Up(place=at, process=process, ready=json.loads(line))
    finally:
        end(process)


def end(process: "subprocess.Popen[str]") -> None:
    """End a process if it still runs: in order, else by force."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(READY_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for a condition, with a bound."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def session_of(leader: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Every living process of the session that this one leads, or led."""
    return [process for process in psutil.process_iter() if _session_id(process) == leader.pid]


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def _session_id(process: psutil.Process) -> int | None:
    with suppress(OSError, psutil.Error):
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getsid(process.pid)
    return None
