"""Workers of the same machine: one that is surely dead need not be waited for until its heartbeats run out.

Nothing depends on this: messages of the dead are handed on by the engine anyway, some seconds later.
"""

import logging
import os
import socket
from pathlib import Path

from imagejobs import __version__
from imagejobs.app.deps import Deps
from imagejobs.db import workers
from imagejobs.errors import DatabaseUnavailable

logger = logging.getLogger(__name__)

_UNSEEN_DAYS = 1


async def register(deps: Deps, concurrency: int) -> None:
    """Write down this worker, so that its death can be seen by its neighbors."""
    me = workers.Worker(
        id=deps.worker_id,
        version=__version__,
        host=socket.gethostname(),
        boot_id=_boot_id(),
        pid=os.getpid(),
        pid_started=_started(os.getpid()) or "",
        lanes=tuple(deps.providers),
        concurrency=concurrency,
    )
    async with deps.database.transaction() as tx:
        await workers.insert(tx, me)


async def unregister(deps: Deps) -> None:
    """Forget this worker; one that could not say so is found dead by its neighbors, or forgotten after a day."""
    try:
        async with deps.database.transaction() as tx:
            await workers.delete(tx, deps.worker_id)
    except DatabaseUnavailable as error:
        logger.warning("worker.database_away", extra={"detail": error.detail})


async def take_over_from_dead(deps: Deps) -> None:
    """Hand on the messages of this machine's dead workers."""
    async with deps.database.transaction() as tx:
        await workers.seen(tx, deps.worker_id)
        await workers.delete_unseen(tx, _UNSEEN_DAYS)
        neighbors = await workers.on_host(tx, socket.gethostname(), _boot_id())
        for neighbor in (other for other in neighbors if _is_dead(other)):
            released = await deps.engine.release(tx, neighbor.id)
            await workers.delete(tx, neighbor.id)
            logger.info("worker.neighbor_dead", extra={"neighbor": str(neighbor.id), "messages": released})


def _is_dead(worker: workers.Worker) -> bool:
    return _started(worker.pid) != worker.pid_started


def _boot_id() -> str:
    """This start of the machine and this namespace of process ids, within which a process id means one process.

    Empty where the system does not tell, and then nobody is ever called dead.
    """
    path, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    return f"{path.read_text().strip()} {namespace.readlink()}" if path.exists() else ""


def _started(pid: int) -> str | None:
    """When the process began, in clock ticks since the boot (proc(5), field 22); None where there is none of that id."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]
