"""What we rely on of the engine, each trap of PgQueuer pinned by the test that would notice it."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from imagejobs.db.pool import Database
from imagejobs.engine import pgq
from imagejobs.engine.pgq import EngineOptions, PgqEngine
from imagejobs.ports import Message
from tests.support.proxy import Cut, proxied

pytestmark = pytest.mark.database

SOON = 30.0
HEARTBEAT = 60.0  # longer than a process of a busy machine may stand still: else its messages go to another


@dataclass
class Inbox:
    """What a worker was handed, in order; `hold` keeps it busy."""

    got: list[tuple[UUID, int]] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    busy: int = 0
    most_busy: int = 0

    async def take(self, job_id: UUID, delivery_no: int) -> None:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        async with self.arrived:
            self.got.append((job_id, delivery_no))
            self.arrived.notify_all()
        await self.release.wait()
        self.busy -= 1

    async def has(self, count: int) -> None:
        async with asyncio.timeout(SOON), self.arrived:
            await self.arrived.wait_for(lambda: len(self.got) >= count)


def engine(dsn: str, **options: object) -> PgqEngine:
    fast = {"heartbeat_seconds": HEARTBEAT, "dequeue_seconds": 0.5, "lanes": ("sketch",), "restart_seconds": 0.1}
    return PgqEngine(EngineOptions(dsn=dsn, **({"worker_id": uuid4()} | fast | options)))  # type: ignore[arg-type]


@asynccontextmanager
async def running(
    made: PgqEngine, handle: Callable[[UUID, int], Awaitable[None]]
) -> AsyncIterator[tuple[asyncio.Event, asyncio.Task[None]]]:
    stop = asyncio.Event()
    task = asyncio.create_task(made.run(handle, stop))
    try:
        yield stop, task
    finally:
        stop.set()
        async with asyncio.timeout(SOON):
            await task


async def send(database: Database, made: PgqEngine, *messages: Message) -> None:
    async with database.transaction() as tx:
        await made.enqueue(tx, messages)


async def left(database: Database) -> int:
    async with database.connection() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM imagejobs.pgqueuer"))


async def now(database: Database) -> datetime:
    """By the clock that the engine goes by."""
    async with database.connection() as connection:
        found: datetime = await connection.fetchval("SELECT clock_timestamp()")
        return found


async def the_heartbeat_runs_out(database: Database, *jobs: UUID) -> None:
    """The time that this takes passes, for these messages."""
    async with database.transaction() as tx:
        passed = (
            "UPDATE imagejobs.pgqueuer SET heartbeat = heartbeat - make_interval(secs => $1) "
            "WHERE status = 'picked' AND split_part(dedupe_key, ':', 1) = ANY($2)"
        )
        assert await tx.execute(passed, HEARTBEAT, [str(job) for job in jobs]) == f"UPDATE {len(jobs)}"


async def taken_but_never_heard(database: Database, worker_id: UUID) -> None:
    """Every message is the worker's, by a statement that was committed and whose answer was lost."""
    async with database.transaction() as tx:
        taken = "UPDATE imagejobs.pgqueuer SET status = 'picked', queue_manager_id = $1, heartbeat = now(), updated = now()"
        await tx.execute(taken, worker_id)


async def a_question_waits(database: Database) -> None:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%pgqueuer%SKIP LOCKED%'"
    )
    async with asyncio.timeout(SOON), database.connection() as connection:
        while not await connection.fetchval(waiting):
            pass


async def cut_its_connections(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name NOT LIKE 'imagejobs%'"
        )


async def test_a_message_of_a_transaction_that_rolled_back_is_never_delivered(dsn: str, database: Database) -> None:
    made, inbox, kept = engine(dsn), Inbox(), uuid4()
    inbox.release.set()

    async def enqueue_and_fail() -> None:
        async with database.transaction() as tx:
            await made.enqueue(tx, [Message(job_id=uuid4(), delivery_no=1, lane="sketch")])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await enqueue_and_fail()
    await send(database, made, Message(job_id=kept, delivery_no=3, lane="sketch"))
    async with running(made, inbox.take):
        await inbox.has(1)
    assert inbox.got == [(kept, 3)]
    assert await left(database) == 0


async def test_the_same_delivery_is_enqueued_once_and_another_one_beside_it(dsn: str, database: Database) -> None:
    made, job = engine(dsn), uuid4()
    again = Message(job_id=job, delivery_no=1, lane="sketch")
    await send(database, made, again)
    await send(database, made, again)
    await send(database, made, Message(job_id=job, delivery_no=2, lane="sketch"))
    assert await left(database) == 2


async def test_a_message_waits_for_its_delay_and_its_turn(dsn: str, database: Database) -> None:
    made, inbox = engine(dsn, concurrency=2), Inbox()
    inbox.release.set()
    late, low, high = uuid4(), uuid4(), uuid4()
    await send(
        database,
        made,
        Message(job_id=low, delivery_no=1, lane="sketch", priority=-5),
        Message(job_id=high, delivery_no=1, lane="sketch", priority=5),
    )
    async with running(made, inbox.take):
        await inbox.has(2)
        sent_at = await now(database)
        await send(database, made, Message(job_id=late, delivery_no=1, lane="sketch", priority=9, delay_seconds=0.7))
        await inbox.has(3)
        assert await now(database) - sent_at >= timedelta(seconds=0.7)
    assert [job for job, _ in inbox.got] == [high, low, late]


async def test_a_withdrawn_message_is_gone_and_one_in_hand_stays(dsn: str, database: Database) -> None:
    made, inbox, waiting, held = engine(dsn), Inbox(), uuid4(), uuid4()
    await send(database, made, Message(job_id=held, delivery_no=1, lane="sketch"))
    async with running(made, inbox.take):
        await inbox.has(1)
        await send(database, made, Message(job_id=waiting, delivery_no=1, lane="elsewhere"))
        async with database.transaction() as tx:
            await made.withdraw(tx, waiting, 1)
            await made.withdraw(tx, held, 1)
            assert await made.delivered(tx, [(waiting, 1), (held, 1), (held, 2)]) == {held}
        inbox.release.set()
    assert await left(database) == 0


async def test_stop_finishes_what_is_in_hand_and_takes_nothing_new(dsn: str, database: Database) -> None:
    made, inbox = engine(dsn, concurrency=2), Inbox()
    await send(database, made, Message(job_id=uuid4(), delivery_no=1, lane="sketch"))
    async with running(made, inbox.take) as (stop, task):
        await inbox.has(1)
        stop.set()
        await send(database, made, Message(job_id=uuid4(), delivery_no=1, lane="sketch"))
        assert not task.done()
        inbox.release.set()
    assert len(inbox.got) == 1
    assert await left(database) == 1


async def test_what_a_question_on_its_way_brings_after_the_stop_goes_back_into_the_queue(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is locked, so that the reader's first question stands still while the worker is told to stop."""
    monkeypatch.setattr(pgq, "_STATEMENT_SECONDS", SOON)
    made, inbox, stop = engine(dsn), Inbox(), asyncio.Event()
    inbox.release.set()
    await send(database, made, Message(job_id=uuid4(), delivery_no=1, lane="sketch"))
    async with database.transaction() as tx:
        await tx.execute("LOCK TABLE imagejobs.pgqueuer IN ACCESS EXCLUSIVE MODE")
        run = asyncio.create_task(made.run(inbox.take, stop))
        await a_question_waits(database)
        stop.set()
    await asyncio.wait_for(run, SOON)
    assert inbox.got == []
    assert await left(database) == 1
    async with running(made, inbox.take):
        await inbox.has(1)
    assert await left(database) == 0


async def test_what_cannot_be_given_back_at_the_stop_is_handed_on_and_not_deleted(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database restarts while the worker stops: PgQueuer would delete the message, and the job wait for a sweep."""
    monkeypatch.setattr(pgq, "_STATEMENT_SECONDS", SOON)
    inbox, stop = Inbox(), asyncio.Event()
    inbox.release.set()
    await send(database, engine(dsn), Message(job_id=(job := uuid4()), delivery_no=1, lane="sketch"))
    async with proxied(dsn) as (proxy, through):
        proxy.arm(b"attempts = attempts + 1", 1, Cut.BEFORE)
        async with database.transaction() as tx:
            await tx.execute("LOCK TABLE imagejobs.pgqueuer IN ACCESS EXCLUSIVE MODE")
            run = asyncio.create_task(engine(through).run(inbox.take, stop))
            await a_question_waits(database)
            stop.set()
        await asyncio.wait_for(run, SOON)
        assert proxy.seen == 1
    assert await left(database) == 1
    async with running(engine(dsn), inbox.take):
        await the_heartbeat_runs_out(database, job)
        await inbox.has(1)


async def test_a_reader_of_a_slow_database_takes_messages_and_is_not_given_up_for_silent(
    dsn: str, database: Database
) -> None:
    """It was, for as long as the database was slow, having asked for tables, columns and indexes one by one."""
    inbox = Inbox()
    inbox.release.set()
    await send(database, engine(dsn), Message(job_id=uuid4(), delivery_no=1, lane="sketch"))
    async with proxied(dsn) as (proxy, through):
        proxy.delay_seconds = 0.4
        async with running(engine(through, heartbeat_seconds=4.0), inbox.take):
            await inbox.has(1)
            proxy.delay_seconds = 0.0


async def test_a_worker_whose_connections_are_cut_goes_on(dsn: str, database: Database) -> None:
    made, inbox = engine(dsn), Inbox()
    inbox.release.set()
    async with running(made, inbox.take):
        await send(database, made, Message(job_id=uuid4(), delivery_no=1, lane="sketch"))
        await inbox.has(1)
        await cut_its_connections(database)
        await send(database, made, Message(job_id=uuid4(), delivery_no=1, lane="sketch"))
        await inbox.has(2)


async def test_a_worker_whose_connections_are_cut_takes_new_work_while_it_still_has_old_in_hand(
    dsn: str, database: Database
) -> None:
    """PgQueuer's own supervisor would wait for a call of three minutes before it looks at the queue again."""
    made, inbox = engine(dsn), Inbox()
    async with running(made, inbox.take):
        await send(database, made, Message(job_id=uuid4(), delivery_no=1, lane="sketch"))
        await inbox.has(1)
        await cut_its_connections(database)
        await send(database, made, Message(job_id=uuid4(), delivery_no=1, lane="sketch"))
        await inbox.has(2)
        assert inbox.busy == 2
        inbox.release.set()
    assert await left(database) == 0


async def test_messages_that_were_taken_and_never_heard_of_hold_no_place_of_the_worker(dsn: str, database: Database) -> None:
    """A database that restarts twice leaves as many as it works on at once: it would never take a message again."""
    worker_id, inbox, lost = uuid4(), Inbox(), [uuid4(), uuid4()]
    made = engine(dsn, worker_id=worker_id, concurrency=2)
    inbox.release.set()
    await send(database, made, *(Message(job_id=job, delivery_no=1, lane="sketch") for job in lost))
    await taken_but_never_heard(database, worker_id)
    async with running(made, inbox.take):
        await send(database, made, Message(job_id=uuid4(), delivery_no=1, lane="sketch"))
        await inbox.has(1)
        await the_heartbeat_runs_out(database, *lost)
        await inbox.has(3)
    assert {job for job, _ in inbox.got[1:]} == set(lost)
    assert await left(database) == 0


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_worker_has_no_more_in_hand_than_it_may_also_while_its_connections_are_cut(
    dsn: str, database: Database, concurrency: int
) -> None:
    made, inbox = engine(dsn, concurrency=concurrency), Inbox()
    await send(database, made, *(Message(job_id=uuid4(), delivery_no=1, lane="sketch") for _ in range(9)))
    async with running(made, inbox.take):
        await inbox.has(concurrency)
        await cut_its_connections(database)
        inbox.release.set()
        await inbox.has(9)
    assert inbox.most_busy == concurrency
    assert await left(database) == 0


async def test_a_lanes_limit_holds_across_workers(dsn: str, database: Database) -> None:
    inbox = Inbox()
    first, second = (engine(dsn, lane_limits=(("sketch", 2),)) for _ in range(2))
    await send(database, first, *(Message(job_id=uuid4(), delivery_no=1, lane="sketch") for _ in range(6)))
    async with running(first, inbox.take), running(second, inbox.take):
        await inbox.has(2)
        inbox.release.set()
        await inbox.has(6)
    assert inbox.most_busy <= 2


async def test_prune_drops_the_log_that_the_engine_never_drops(dsn: str, database: Database) -> None:
    made = engine(dsn)
    await send(database, made, Message(job_id=uuid4(), delivery_no=1, lane="sketch"))
    async with database.transaction() as tx:
        assert await tx.fetchval("SELECT count(*) FROM imagejobs.pgqueuer_log") > 0
    async with database.transaction() as tx:
        await made.prune(tx, keep_seconds=0)
        assert await tx.fetchval("SELECT count(*) FROM imagejobs.pgqueuer_log") == 0
    assert await left(database) == 1


DOOMED = """
import asyncio, sys, uuid
from imagejobs.engine import pgq
from imagejobs.engine.pgq import EngineOptions, PgqEngine

async def main():
    worker_id = uuid.UUID(sys.argv[2])
    engine = PgqEngine(EngineOptions(dsn=sys.argv[1], worker_id=worker_id, lanes=("sketch",), heartbeat_seconds=600.0))
    async def hold(job_id, delivery_no):
        print("holding", flush=True)
        await asyncio.Event().wait()
    await engine.run(hold, asyncio.Event())

asyncio.run(main())
"""


@pytest.mark.parametrize("released", [False, True])
async def test_a_killed_workers_message_goes_to_another(dsn: str, database: Database, *, released: bool) -> None:
    """By its heartbeat running out, or at once where somebody knows that it is dead."""
    job, dead, inbox = uuid4(), uuid4(), Inbox()
    made = engine(dsn)
    await send(database, made, Message(job_id=job, delivery_no=4, lane="sketch"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DOOMED, dsn, str(dead), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(SOON):
        assert await process.stdout.readline() == b"holding\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()
    inbox.release.set()
    async with running(made, inbox.take):
        if released:
            async with database.transaction() as tx:
                assert await made.release(tx, dead) == 1
        else:
            await the_heartbeat_runs_out(database, job)
        await inbox.has(1)
    assert inbox.got == [(job, 4)]


async def test_the_engine_has_no_table_outside_its_schema(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    schemas = await connection.fetch("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'pgqueuer%'")
    await connection.close()
    assert [row["schemaname"] for row in schemas] == ["imagejobs"]
