"""PgQueuer as the engine. Everything known of its traps is here; `tests/contract/test_engine.py` pins each of them.

PgQueuer 1.6: a bare run ends when the database restarts, so it runs under its supervisor; an exception that leaves a handler
deletes the message, so none may; completion is not fenced, so our rows are; re-picks are not counted, so our rows count.
"""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg
from pgqueuer.adapters.cli.supervisor import run as run_supervised
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.models import Job as PgqJob
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import QueueManagerId
from pgqueuer.ports.driver import Driver

from imagejobs.ports import Message, Transaction

_PAYLOAD = struct.Struct("!16sq")
_LANE = "generate:"
_SETTINGS = {"db_schema": "imagejobs", "channel": "imagejobs_engine", "durability": Durability.durable}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How a worker takes messages. A killed worker's are handed on after at most the sum of the two timeouts."""

    dsn: str
    worker_id: UUID
    lanes: tuple[str, ...] = ()
    lane_limits: tuple[tuple[str, int], ...] = ()
    concurrency: int = 10
    heartbeat_seconds: float = 10.0
    dequeue_seconds: float = 5.0
    restart_seconds: float = 0.5


def _queries(driver: Driver) -> Queries:
    settings = DBSettings.model_validate(_SETTINGS)
    return Queries(
        driver,
        QueryBuilderEnvironment(settings),
        QueryQueueBuilder(settings),
        QuerySchedulerBuilder(settings),
    )


async def install(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Create the engine's tables in schema `imagejobs`, logged, in the caller's transaction; False where they are there."""
    queries = _queries(AsyncpgDriver(connection))
    if await queries.schema_is_installed():
        return False
    await queries.install(create_schema=False)
    return True


class PgqEngine:
    """Delivery by PgQueuer; see `ports.Engine`."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        settings = DBSettings.model_validate(_SETTINGS)
        self._table = settings.qualified.queue_table
        self._log_table = settings.qualified.queue_table_log
        self._statistics_table = settings.qualified.statistics_table
        self._enqueue = QueryQueueBuilder(settings).build_enqueue_query("skip")

    async def enqueue(self, tx: Transaction, messages: Sequence[Message]) -> None:
        """Insert the messages; the job and its delivery number make a repeat harmless."""
        await tx.execute(
            self._enqueue,
            [message.priority for message in messages],
            [_LANE + message.lane for message in messages],
            [_PAYLOAD.pack(message.job_id.bytes, message.delivery_no) for message in messages],
            [timedelta(seconds=message.delay_seconds) for message in messages],
            [f"{message.job_id}:{message.delivery_no}" for message in messages],
            ["{}"] * len(messages),
        )

    async def withdraw(self, tx: Transaction, job_id: UUID, delivery_no: int) -> None:
        """Delete the queued message."""
        await tx.execute(
            f"DELETE FROM {self._table} WHERE dedupe_key = $1 AND status = 'queued'",  # noqa: S608 - PgQueuer's own name
            f"{job_id}:{delivery_no}",
        )

    async def delivered(self, connection: Transaction, deliveries: Sequence[tuple[UUID, int]]) -> set[UUID]:
        """Look the messages up by their key."""
        rows = await connection.fetch(
            f"SELECT dedupe_key FROM {self._table} WHERE dedupe_key = ANY($1) "  # noqa: S608 - PgQueuer's own name
            "AND status IN ('queued', 'picked')",
            [f"{job_id}:{delivery_no}" for job_id, delivery_no in deliveries],
        )
        return {UUID(row["dedupe_key"].partition(":")[0]) for row in rows}

    async def release(self, tx: Transaction, worker_id: UUID) -> int:
        """Let the dead worker's heartbeats count as missed, so that the next look at the queue takes its messages over."""
        rows = await tx.fetch(
            f"UPDATE {self._table} SET heartbeat = '-infinity' "  # noqa: S608 - PgQueuer's own name
            "WHERE queue_manager_id = $1 AND status = 'picked' RETURNING id",
            worker_id,
        )
        return len(rows)

    async def run(self, handle: Callable[[UUID, int], Awaitable[None]], stop: asyncio.Event) -> None:
        """Take messages of the configured lanes until `stop`, restarting after every failure of the database."""
        options = self._options
        batch = max(1, min(10, options.concurrency // 2))

        @asynccontextmanager
        async def queue_manager() -> AsyncIterator[QueueManager]:
            async with asyncpg.create_pool(options.dsn, min_size=2, max_size=4) as pool:
                yield self._queue_manager(pool, handle)

        await run_supervised(
            queue_manager,
            dequeue_timeout=timedelta(seconds=options.dequeue_seconds),
            heartbeat_timeout=timedelta(seconds=options.heartbeat_seconds),
            batch_size=batch,
            max_concurrent_tasks=max(options.concurrency, 2 * batch),
            restart_on_failure=True,
            restart_delay=timedelta(seconds=options.restart_seconds),
            shutdown_on_listener_failure=True,
            shutdown=stop,
        )

    def _queue_manager(
        self, pool: "asyncpg.Pool[asyncpg.Record]", handle: Callable[[UUID, int], Awaitable[None]]
    ) -> QueueManager:
        async def deliver(message: PgqJob) -> None:
            job_id, delivery_no = _PAYLOAD.unpack(message.payload or b"")
            await handle(UUID(bytes=job_id), delivery_no)

        queries = _queries(AsyncpgPoolDriver(pool))
        manager = QueueManager(queries, queries.qbe.settings.channel)
        manager.queue_manager_id = QueueManagerId(self._options.worker_id)
        limits = dict(self._options.lane_limits)
        for lane in self._options.lanes:
            manager.entrypoint(_LANE + lane, concurrency_limit=limits.get(lane, 0), accepts_context=False)(deliver)
        return manager

    async def prune(self, tx: Transaction, keep_seconds: float = 3600.0) -> None:
        """Delete log and statistics rows older than `keep_seconds`; PgQueuer never does."""
        for table in (self._log_table, self._statistics_table):
            await tx.execute(
                f"DELETE FROM {table} WHERE created < now() - make_interval(secs => $1)",  # noqa: S608
                keep_seconds,
            )
