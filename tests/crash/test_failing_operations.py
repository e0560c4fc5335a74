"""Every operation of a job on storage, provider and disk failed once, in four ways: before, after, by hanging, by an exit.

One job is made for the nth operation, until there is no nth. A fault ends by itself; so does the job, with one purchase or
an outcome that is called unknown.
"""

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import pytest

from imagejobs.app.attempt import run_job
from imagejobs.app.identifiers import new_id
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import Job, JobStatus, ResumeClass
from imagejobs.errors import ProviderUnreachable, StorageUnavailable
from imagejobs.imaging import Decoder
from imagejobs.ports import Answer, Call, Plan, Provider, Storage, StoredObject, Submitted
from tests.support.deaths import Death
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.world import SOON, World, open_world

pytestmark = [pytest.mark.database, pytest.mark.timeout(180)]

_Answer = TypeVar("_Answer")
HANG_SECONDS = 0.4
MOST = 60


class How(Enum):
    """What becomes of the operation."""

    BEFORE = "before"
    AFTER = "after"
    HANG = "hang"
    EXIT = "exit"


every_way = pytest.mark.parametrize("how", list(How), ids=lambda how: how.value)


@dataclass
class Fault:
    """Strikes the nth operation that passes, once."""

    how: How
    error: Callable[[], Exception]
    nth: int = 0
    seen: int = 0

    def arm(self, nth: int) -> None:
        self.nth, self.seen = nth, 0

    @property
    def struck(self) -> bool:
        return 0 < self.nth <= self.seen

    async def around(self, operation: Coroutine[object, object, _Answer]) -> _Answer:
        """The operation's answer, unless it is the one to fail."""
        self.seen += 1
        if self.seen != self.nth:
            return await operation
        if self.how is How.AFTER:
            await operation
        else:
            operation.close()
        if self.how is How.HANG:
            await asyncio.Event().wait()
        raise Death if self.how is How.EXIT else self.error()


@dataclass
class FaultyStorage:
    """The storage behind it, one operation of which fails."""

    behind: Storage
    fault: Fault

    @property
    def name(self) -> str:
        return self.behind.name

    async def put(self, key: str, data: bytes, media_type: str) -> None:
        await self.fault.around(self.behind.put(key, data, media_type))

    async def get(self, key: str) -> StoredObject | None:
        return await self.fault.around(self.behind.get(key))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)


@dataclass
class FaultyProvider(Scripted):
    """One call of which fails: before anything is sent, after it was charged, in silence, or with the worker."""

    fault: Fault = field(default_factory=lambda: Fault(How.BEFORE, RuntimeError))

    def plan(self, request: Any) -> Plan:
        return replace(super().plan(request), call_deadline_seconds=HANG_SECONDS)

    async def submit(self, call: Call) -> Answer | Submitted:
        return await self.fault.around(super().submit(call))

    async def poll(self, remote_id: str, call: Call) -> Answer | Submitted:
        return await self.fault.around(super().poll(remote_id, call))


async def live(world: World, job_id: str) -> Job:
    """Work the job off, by another worker each time one dies."""
    async with asyncio.timeout(SOON):
        while True:
            job = await world.job(job_id)
            if job.status in (JobStatus.COMPLETED, JobStatus.FAILED):
                return job
            with suppress(Death):
                await run_job(replace(world.deps, worker_id=new_id()), job.id, job.delivery_no)
            await world.until_due(job.id)


async def every_operation_failed(world: World, fault: Fault, provider: Scripted) -> list[Job]:
    """One job for each operation there is; the books are checked after each."""
    jobs: list[Job] = []
    for nth in range(1, MOST):
        fault.arm(nth)
        before = len(provider.bill)
        job = await live(world, (await world.generate()).json()["jobId"])
        assert len(provider.bill) - before <= 1, (nth, fault)
        assert await broken_invariants(world.deps.database) == {}, (nth, fault)
        assert await billed(world.deps.database) >= len(provider.bill) * PRICE
        if not fault.struck:
            assert nth > 1
            return jobs
        jobs.append(job)
    raise AssertionError("a job has no end of operations")


@every_way
async def test_s_every_failure_of_the_storage_ends_with_the_picture_bought_once(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path, how: How
) -> None:
    provider = Scripted()
    fault = Fault(how, lambda: StorageUnavailable("The storage is away."))
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        policy = replace(world.deps.policy, upload_seconds=HANG_SECONDS) if how is How.HANG else world.deps.policy
        deps = replace(world.deps, storage=FaultyStorage(world.deps.storage, fault), policy=policy)
        jobs = await every_operation_failed(replace(world, deps=deps), fault, provider)
    assert {job.status for job in jobs} == {JobStatus.COMPLETED}
    assert len(provider.bill) == len(jobs) + 1


@every_way
@pytest.mark.parametrize("resume", list(ResumeClass), ids=lambda resume: resume.value)
async def test_p_every_failure_of_a_call_ends_with_one_purchase_or_an_outcome_called_unknown(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path, resume: ResumeClass, how: How
) -> None:
    fault = Fault(how, lambda: ProviderUnreachable("Nothing was sent.") if how is How.BEFORE else RuntimeError("reset"))
    provider = FaultyProvider(resume_class=resume, fault=fault)
    known: dict[str, Provider] = {"scripted": provider}
    async with open_world(dsn, database, decoder, tmp_path / "files", providers=known) as world:
        jobs = await every_operation_failed(world, fault, provider)
    reasons = {job.failure.reason for job in jobs if job.failure is not None}
    assert reasons <= ({"outcome_unknown"} if resume is not ResumeClass.KEY and how is not How.BEFORE else set())


FILE_OPERATIONS = ("open", "write", "fsync", "rename", "mkdir", "unlink", "close")


@dataclass
class FaultyDisk:
    """The nth file operation below `root` fails with EIO, or ends the worker; before it is done, or after."""

    monkeypatch: pytest.MonkeyPatch
    how: How
    nth: int = 0
    seen: int = 0
    main: int = field(default_factory=threading.get_ident)

    def install(self) -> None:
        for name in FILE_OPERATIONS:
            self.monkeypatch.setattr(os, name, self._around(getattr(os, name)))

    def arm(self, nth: int) -> None:
        self.nth, self.seen = nth, 0

    @property
    def struck(self) -> bool:
        return 0 < self.nth <= self.seen

    def _around(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def faulty(*args: Any, **options: Any) -> Any:
            if threading.get_ident() == self.main:  # ours run in threads; the event loop's own are left alone
                return operation(*args, **options)
            self.seen += 1
            if self.seen != self.nth:
                return operation(*args, **options)
            if self.how is How.AFTER or operation.__name__ == "close":
                operation(*args, **options)
            raise Death if self.how is How.EXIT else OSError(errno.EIO, "Input/output error")

        return faulty


on_disk = pytest.mark.parametrize("how", [How.BEFORE, How.AFTER, How.EXIT], ids=lambda how: how.value)


@on_disk
async def test_s_every_failure_of_the_disk_below_the_pictures_ends_with_the_picture_bought_once(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: How
) -> None:
    """Folder by folder, from the temporary file to the name's own fsync."""
    provider = Scripted()
    disk = FaultyDisk(monkeypatch, how)
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        disk.install()
        nth, struck = 0, True
        while struck:
            nth += 1
            job_id = (await world.generate()).json()["jobId"]
            disk.arm(nth)
            job = await live(world, job_id)
            struck = disk.struck
            disk.arm(0)
            assert job.status is JobStatus.COMPLETED, (nth, job.failure)
            stored = await world.deps.storage.get(job.storage_path or "")
            assert stored is not None
            assert stored.data == provider.data
            assert await broken_invariants(database) == {}, nth
        assert len(provider.bill) == nth
    assert 10 < nth < MOST
