"""One child process of the decoder, seen from the parent."""

import asyncio
import sys
from contextlib import suppress
from typing import Self

from imagejobs.imaging.wire import MAX_REPLY_BYTES, REPLY, Limits, Reply, Request, Status

_END_SECONDS = 5.0


class ChildDied(Exception):
    """The child ended, or said something that is no answer; it must not be used again."""


class ChildProcess:
    """A warm interpreter with Pillow loaded; takes one request at a time.

    It runs in a session of its own and with an empty environment: it inherits neither the terminal's signals nor secrets.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, sink: asyncio.StreamWriter, source: asyncio.StreamReader
    ) -> None:
        self._process = process
        self._sink = sink
        self._source = source

    @classmethod
    async def spawn(cls, limits: Limits) -> Self:
        """Start a process; it is usable once `ready` has returned. Raises OSError."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            "imagejobs.imaging.child",
            *limits.arguments(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={},
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        return cls(process, process.stdin, process.stdout)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ready(self) -> None:
        """Wait until Pillow is loaded and the limits are set; raises ChildDied."""
        if (await self._read()).status is not Status.READY:
            raise ChildDied

    async def exchange(self, request: Request) -> Reply:
        """Send one request and read its answer; raises ChildDied.

        A call that does not return normally leaves the stream out of step: kill the child.
        """
        try:
            self._sink.write(request.header())
            self._sink.write(request.data)
            await self._sink.drain()
        except OSError as error:
            raise ChildDied from error
        return await self._read()

    async def _read(self) -> Reply:
        try:
            status, width, height, length = REPLY.unpack(await self._source.readexactly(REPLY.size))
            if length > MAX_REPLY_BYTES:
                raise ChildDied
            payload = await self._source.readexactly(length)
            return Reply(status=Status(status), width=width, height=height, payload=payload)
        except (asyncio.IncompleteReadError, OSError, ValueError) as error:
            raise ChildDied from error

    async def kill(self) -> None:
        """End the child now and reap it."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def end(self) -> None:
        """Let the child finish what it has in hand, for a few seconds, and end it."""
        self._sink.close()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            await self.kill()
