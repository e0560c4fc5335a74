"""The rows of workers that say they are there."""

from dataclasses import dataclass
from uuid import UUID

from imagejobs.db.rows import parameters, value_from
from imagejobs.ports import Transaction


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One worker process, named so that a neighbor on its machine can tell whether it still runs."""

    id: UUID
    version: str
    host: str
    boot_id: str
    pid: int
    pid_started: str
    lanes: tuple[str, ...]
    concurrency: int


async def insert(tx: Transaction, worker: Worker) -> None:
    """Write the worker down."""
    await tx.execute(
        "INSERT INTO imagejobs.workers (id, version, host, boot_id, pid, pid_started, lanes, concurrency) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING",
        *parameters(worker),
    )


async def seen(tx: Transaction, worker_id: UUID) -> None:
    """Note that the worker runs."""
    await tx.execute("UPDATE imagejobs.workers SET seen_at = now() WHERE id = $1", worker_id)


async def on_host(tx: Transaction, host: str, boot_id: str) -> list[Worker]:
    """The workers of that machine since its last boot; locked, and those that somebody else looks at are skipped."""
    rows = await tx.fetch(
        "SELECT * FROM imagejobs.workers WHERE host = $1 AND boot_id = $2 AND boot_id <> '' FOR UPDATE SKIP LOCKED",
        host,
        boot_id,
    )
    return [value_from(Worker, row) for row in rows]


async def delete(tx: Transaction, worker_id: UUID) -> None:
    """Forget the worker; forgetting one that is not there is fine."""
    await tx.execute("DELETE FROM imagejobs.workers WHERE id = $1", worker_id)


async def delete_unseen(tx: Transaction, days: int) -> None:
    """Forget workers that have not been seen for so long, wherever they were."""
    await tx.execute("DELETE FROM imagejobs.workers WHERE seen_at < now() - make_interval(days => $1)", days)
