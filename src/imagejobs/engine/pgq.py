"""PgQueuer as the engine. Everything known of its traps is here; `tests/contract/test_engine.py` pins each of them.

PgQueuer 1.6: a run ends when the database restarts, but only after the messages in hand, so runs overlap here; its limit of
those counts lost ones too, for good, so we count; an exception that leaves a handler deletes the message, so none may;
completion is not fenced, so our rows are; re-picks are not counted, so our rows count.
"""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Context, Job as PgqJob
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import JobId, QueueManagerId
from pgqueuer.ports.driver import Driver

from imagejobs.engine.watched import PatientReader, Pulse, WatchedQueries
from imagejobs.ports import Message, Transaction

_PAYLOAD = struct.Struct("!16sq")
_LANE = "generate:"
_CONNECT_SECONDS = 5.0
_STATEMENT_SECONDS = 5.0
_SETTINGS = {"db_schema": "imagejobs", "channel": "imagejobs_engine", "durability": Durability.durable}

Handle: TypeAlias = Callable[[UUID, int], Awaitable[None]]

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


async def _first_of(*awaitables: Awaitable[object]) -> None:
    """Return when the first is done; a task among them goes on, the others end."""
    tasks = [item if isinstance(item, asyncio.Task) else asyncio.ensure_future(item) for item in awaitables]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task, item in zip(tasks, awaitables, strict=True):
        if task is not item:
            task.cancel()


def _queries(driver: Driver) -> WatchedQueries:
    settings = DBSettings.model_validate(_SETTINGS)
    return WatchedQueries(
        driver, QueryBuilderEnvironment(settings), QueryQueueBuilder(settings), QuerySchedulerBuilder(settings)
    )


async def _ended(cycle: "asyncio.Task[None]", pulse: Pulse) -> None:
    """Wait for the messages in hand, however long they take; for what the cycle still wants to say of them, not for long."""
    while not cycle.done():
        await _first_of(cycle, pulse.idle.wait())
        await asyncio.wait([cycle], timeout=_CONNECT_SECONDS + _STATEMENT_SECONDS)
        if pulse.idle.is_set():
            cycle.cancel()
            await asyncio.wait([cycle])


async def _set_after(first: asyncio.Event, second: asyncio.Event) -> None:
    await first.wait()
    second.set()


async def _unchanged(connection: object) -> None:
    """PgQueuer leaves no session state behind; asyncpg's own reset would double the statements of a worker."""


@asynccontextmanager
async def _pool(dsn: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    """Connections that give up on a server that went silent; closed at the latest after `_CONNECT_SECONDS`."""
    pool = await asyncpg.create_pool(
        dsn, min_size=2, max_size=4, timeout=_CONNECT_SECONDS, command_timeout=_STATEMENT_SECONDS, reset=_unchanged
    )
    try:
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), _CONNECT_SECONDS)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pool.terminate()


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
        self._in_hand: dict[JobId, Context] = {}
        settings = DBSettings.model_validate(_SETTINGS)
        self._table = settings.qualified.queue_table
        self._growing = settings.qualified.queue_table_log, settings.qualified.statistics_table
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

    async def run(self, handle: Handle, stop: asyncio.Event) -> None:
        """Take messages of the configured lanes until `stop`, beginning anew after every failure of the database.

        A manager that failed waits for the messages in its hands; the next one does not wait for that. What a question that
        was on its way at the stop still brings goes back into the queue.
        """
        endings: set[asyncio.Task[None]] = set()
        while not stop.is_set():
            pulse, over = Pulse(), asyncio.Event()
            cycle = asyncio.create_task(self._cycle(handle, pulse, over, stop))
            await _first_of(cycle, stop.wait(), pulse.failed.wait(), pulse.silent_for(self._silence_seconds))
            over.set()
            ending = asyncio.create_task(_ended(cycle, pulse))
            endings.add(ending)
            ending.add_done_callback(endings.discard)
            await _first_of(stop.wait(), asyncio.sleep(self._options.restart_seconds))
        await asyncio.gather(*endings)

    async def _cycle(self, handle: Handle, pulse: Pulse, over: asyncio.Event, stop: asyncio.Event) -> None:
        options = self._options
        try:
            async with _pool(options.dsn) as pool:
                manager = self._reader(pool, handle, pulse, stop)
                stopper = asyncio.create_task(_set_after(over, manager.shutdown))
                await manager.run(
                    dequeue_timeout=timedelta(seconds=options.dequeue_seconds),
                    heartbeat_timeout=timedelta(seconds=options.heartbeat_seconds),
                    batch_size=max(1, min(10, options.concurrency // 2)),
                    shutdown_on_listener_failure=True,
                )
                stopper.cancel()
        except Exception as error:  # noqa: BLE001 - whatever ended it, the next cycle begins
            logger.warning("engine.failed", extra={"detail": f"{type(error).__name__}: {error}"})

    @property
    def _silence_seconds(self) -> float:
        """A reader asks at least once in `dequeue_seconds`; one that got no answer for much longer is given up."""
        return self._options.dequeue_seconds + self._options.heartbeat_seconds + _CONNECT_SECONDS

    def _reader(
        self, pool: "asyncpg.Pool[asyncpg.Record]", handle: Handle, pulse: Pulse, stop: asyncio.Event
    ) -> QueueManager:
        async def deliver(message: PgqJob) -> None:
            if stop.is_set():  # whoever waits for the stop would wait for a paid call that begins now
                raise RetryRequested(reason="the worker stops")
            job_id, delivery_no = _PAYLOAD.unpack(message.payload or b"")
            with pulse.in_hand():
                await handle(UUID(bytes=job_id), delivery_no)

        queries = _queries(AsyncpgPoolDriver(pool))
        queries.pulse, queries.room = pulse, lambda: self._options.concurrency - len(self._in_hand)
        manager = PatientReader(queries, queries.qbe.settings.channel)
        manager.job_context = self._in_hand
        manager.queue_manager_id = QueueManagerId(self._options.worker_id)
        limits = dict(self._options.lane_limits)
        for lane in self._options.lanes:
            manager.entrypoint(_LANE + lane, concurrency_limit=limits.get(lane, 0), accepts_context=False)(deliver)
        return manager

    async def prune(self, tx: Transaction, keep_seconds: float = 3600.0) -> None:
        """Delete log and statistics rows older than `keep_seconds`; PgQueuer never does."""
        for table in self._growing:
            await tx.execute(
                f"DELETE FROM {table} WHERE created < now() - make_interval(secs => $1)",  # noqa: S608
                keep_seconds,
            )
