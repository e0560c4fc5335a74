"""Child processes, started again when they die."""

import asyncio
import logging
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from imagejobs.app.waiters import wait_for
from imagejobs.cli.exits import ExitCode
from imagejobs.cli.lifeline import DRAIN_SECONDS

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Child:
    """A process to keep: the arguments of `imagejobs`, and the descriptors it inherits."""

    name: str
    arguments: tuple[str, ...]
    inherited: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Restarts:
    """The wait for the end of a child, and before a new one, which doubles until one has lived for `healthy_seconds`."""

    first_seconds: float = 0.2
    cap_seconds: float = 30.0
    drain_seconds: float = DRAIN_SECONDS
    healthy_seconds: float = 30.0


class ChildRefused(Exception):
    """A child said that it cannot start as it is set up; what is wrong it wrote to stderr itself."""


class Supervisor:
    """Keeps `children` running until it is stopped.

    They stay in our session, but each in a process group of its own, so that a terminal's Ctrl-C reaches us alone.
    """

    def __init__(self, children: Sequence[Child], environment: Mapping[str, str], restarts: Restarts | None = None) -> None:
        self._children = children
        self._environment = environment
        self._restarts = restarts or Restarts()
        self._started = {child.name: asyncio.Event() for child in children}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep(child), name=child.name) for child in self._children]

    async def started(self) -> None:
        """Return once every child has said that it started; raises `ChildRefused` where one never will."""
        everything = asyncio.create_task(self._all_started())
        try:
            await asyncio.wait({everything, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in self._tasks:
                if task.done():
                    task.result()
            await everything
        finally:
            everything.cancel()

    async def _all_started(self) -> None:
        for event in self._started.values():
            await event.wait()

    async def stop(self) -> None:
        """Let every child finish what it has in hand, and kill those that do not end; again is harmless."""
        self._stopping.set()
        self._signal_all("terminate")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._restarts.drain_seconds)
            self.kill()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def kill(self) -> None:
        """End every child at once."""
        self._stopping.set()
        self._signal_all("kill")

    def replace_environment(self, environment: Mapping[str, str]) -> None:
        """Start every child anew in another environment; one that does not end, as its old one may not let it, is killed."""
        self._environment = environment
        self._signal_all("terminate")
        asyncio.get_running_loop().call_later(
            self._restarts.drain_seconds, self._signal_all, "kill", [*self._running.values()]
        )

    def _signal_all(self, verb: str, processes: Iterable[asyncio.subprocess.Process] | None = None) -> None:
        for process in self._running.values() if processes is None else processes:
            with suppress(ProcessLookupError):
                getattr(process, verb)()

    async def _keep(self, child: Child) -> None:
        pause = self._restarts.first_seconds
        while not self._stopping.is_set():
            began = time.monotonic()
            code: int | str
            try:
                code = await self._live(child)
            except OSError as error:  # no memory or no descriptor just now, or the program is being replaced
                code = str(error)
            if self._stopping.is_set():
                return
            if code == ExitCode.CONFIGURATION and not self._started[child.name].is_set():
                raise ChildRefused(child.name)
            lived = time.monotonic() - began
            if lived >= self._restarts.healthy_seconds:
                pause = self._restarts.first_seconds
            logger.warning(
                "child.died", extra={"child": child.name, "exit_code": code, "restart_in_seconds": round(pause, 1)}
            )
            await wait_for(self._stopping, pause)
            pause = min(pause * 2, self._restarts.cap_seconds)

    async def _live(self, child: Child) -> int:
        """One life of the child: its exit code, negative where a signal ended it."""
        environment = self._environment
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "imagejobs", *child.arguments),
                    stdin=theirs.fileno(),
                    stdout=sys.stderr,
                    env=environment,
                    pass_fds=child.inherited,
                    process_group=0,
                )
            self._running[child.name] = process
            if self._stopping.is_set() or environment is not self._environment:  # said while it was being made
                process.terminate()
            listening = asyncio.create_task(self._listen(child, ours))
            try:
                return await process.wait()
            finally:
                listening.cancel()
                del self._running[child.name]

    async def _listen(self, child: Child, ours: socket.socket) -> None:
        ours.setblocking(False)
        if await asyncio.get_running_loop().sock_recv(ours, 1):
            self._started[child.name].set()
