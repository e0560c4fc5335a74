"""Room: how many pictures a worker holds in memory at once, from the first byte of a body until it is stored."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from imagejobs.errors import StoragePaused

BODIES_AT_ONCE = 32
INPUTS_AT_ONCE = 4
OWNERS_ASKED_AT_ONCE = 4  # by one process: a slow query of the operator's holds no more of its connections
INPUT_BYTES_AT_ONCE = 256 * 1024 * 1024

_AGAIN_SECONDS = 15.0


class ByteRoom:
    """Room for so many bytes of input pictures, given in the order of asking: small wants do not starve large ones."""

    def __init__(self, most_bytes: int = INPUT_BYTES_AT_ONCE) -> None:
        self._free_bytes = most_bytes
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def hold(self, size_bytes: int) -> AsyncIterator[None]:
        """Wait until there is room, and take it for as long as the block lasts."""
        async with self._turn:
            while self._free_bytes < size_bytes:
                self._freed.clear()
                await self._freed.wait()
            self._free_bytes -= size_bytes
        try:
            yield
        finally:
            self._free_bytes += size_bytes
            self._freed.set()


class StagingRoom:
    """Whether one more paid picture could be kept, and stored; each sweep looks again at what stands against it."""

    is_full = False
    is_refused = False  # the storage does not take its key
    was_asked = False  # the storage, how it is

    def require(self) -> None:
        """Raise `StoragePaused` while one could not, so that nothing is bought that cannot be delivered."""
        if self.is_refused or self.is_full:
            why = "The storage refuses its key" if self.is_refused else "Too many paid pictures wait to be stored"
            after = "Nothing is bought meanwhile; the job goes on by itself."
            raise StoragePaused(f"{why}, as `imagejobs doctor` tells. {after}", _AGAIN_SECONDS)


class MemoryRoom:
    """One picture's place among the few that fit; see `ports.Room`."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._is_held = False
        self.limit: asyncio.Timeout | None = None

    async def enter(self) -> None:
        """Take a place; the time limit of the call stands still while none is free."""
        if self._is_held:
            return
        left = self._stop_the_limit()
        await self._places.acquire()
        self._is_held = True
        if self.limit is not None and left is not None:
            self.limit.reschedule(asyncio.get_running_loop().time() + left)

    def leave(self) -> None:
        """Give the place back, if it is held."""
        if self._is_held:
            self._is_held = False
            self._places.release()

    def _stop_the_limit(self) -> float | None:
        if self.limit is None or (ends := self.limit.when()) is None:
            return None
        self.limit.reschedule(None)
        return ends - asyncio.get_running_loop().time()
