"""The embedded PostgreSQL of `up`: started, started again should it die, and released at the end."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from imagejobs.app.waiters import wait_for
from imagejobs.embedded import Server, start

_LOOK_SECONDS = 2.0

logger = logging.getLogger(__name__)


class EmbeddedDatabase:
    """This process's share in the server of a data directory; `server` is the one that runs now."""

    def __init__(self, data_dir: Path, server: Server) -> None:
        self._data_dir = data_dir
        self.server = server

    @classmethod
    async def start(cls, data_dir: Path) -> "EmbeddedDatabase":
        return cls(data_dir, await asyncio.to_thread(start, data_dir))

    async def keep(self, stop: asyncio.Event, on_moved: Callable[[], None]) -> None:
        """Until `stop`, start the server again when it is gone; `on_moved` is called where it has a new address then."""
        while not stop.is_set():
            if not await wait_for(stop, _LOOK_SECONDS) and not await self._answers():
                await self._start_again(on_moved)

    async def release(self) -> None:
        """Give up the share; the last one to do so stops the server."""
        await asyncio.to_thread(self.server.release)

    async def _answers(self) -> bool:
        address = urlsplit(self.server.dsn)
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(address.hostname, address.port), _LOOK_SECONDS)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    async def _start_again(self, on_moved: Callable[[], None]) -> None:
        logger.warning("database.gone")
        try:
            new = await asyncio.to_thread(start, self._data_dir)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look is a new chance
            logger.error("database.not_started", extra={"detail": str(error)})  # noqa: TRY400 - expected, and explained
            return
        old, self.server = self.server, new
        logger.warning("database.started_again")
        if old.dsn != new.dsn:
            on_moved()
        with suppress(OSError):
            await asyncio.to_thread(old.release)
