"""The tie between `up` and its children: a socket pair, the child's end of which is its standard input.

Through it the child says that it has started. When the parent dies, however it dies, the child reads the end and stops.
"""

import logging
import os
import signal
import threading
import time
from contextlib import suppress

DRAIN_SECONDS = 300.0
"""How long a process may take to finish what it has in hand before it is killed; longer than any call to a provider."""

_STDIN = 0
_STARTED = b"+"

logger = logging.getLogger("imagejobs.process")


def watch_parent() -> None:
    """Stop this process gracefully when its parent is gone, and hard if that takes too long."""
    threading.Thread(target=_watch, name="lifeline", daemon=True).start()


def _watch() -> None:
    with suppress(OSError):
        while os.read(_STDIN, 1):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(DRAIN_SECONDS)
    os._exit(1)


class Announcer:
    """Says what a process has to say of itself; from a child, the first of it tells the parent that it started."""

    def __init__(self, *, is_child: bool) -> None:
        self._is_awaited = is_child

    def __call__(self, text: str) -> None:
        for line in text.splitlines():
            logger.info(line)
        if self._is_awaited:
            self._is_awaited = False
            with suppress(OSError):
                os.write(_STDIN, _STARTED)
