"""Any order of submissions, deliveries, deaths, faults, cancels, retries and sweeps keeps the invariants, on a database."""

import asyncio
import itertools
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import asyncpg
import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from imagejobs.app.attempt import run_job
from imagejobs.app.sweep import sweep
from imagejobs.db.pool import Database, PoolOptions
from imagejobs.domain.jobs import JobStatus, ResumeClass
from imagejobs.domain.lifecycle import FINAL
from imagejobs.errors import (
    ContentRefused,
    NoImageReturned,
    OutcomeUnknown,
    ProviderError,
    ProviderOverloaded,
    ProviderThrottled,
    ProviderUnreachable,
)
from imagejobs.imaging import Decoder
from tests.support.databases import sibling
from tests.support.deaths import DeadlyProbe, Death
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import Scripted
from tests.support.world import World, open_world

pytestmark = [pytest.mark.database, pytest.mark.timeout(180)]

_numbers = itertools.count()
ERRORS: list[ProviderError | None] = [
    None,
    None,
    ContentRefused("no"),
    ProviderUnreachable("refused"),
    ProviderThrottled("wait", 1.0),
    ProviderThrottled("much too long", 86_400.0),
    ProviderOverloaded("busy"),
    OutcomeUnknown("gone"),
    NoImageReturned("empty"),
]


class Instance:
    """One world in an event loop of its own, for a machine that is not asynchronous."""

    def __init__(self, dsn: str, template: str, resume: ResumeClass) -> None:
        self.runner = asyncio.Runner()
        self.shops = {"scripted": Scripted(resume_class=resume), "other": Scripted(name="other", resume_class=resume)}
        self.admin, self.template = dsn, template
        self.name = f"machine_{next(_numbers)}"
        self.world: World = self.run(self._open())

    def run(self, awaitable: Any) -> Any:
        return self.runner.run(awaitable)

    async def _open(self) -> World:
        admin = await asyncpg.connect(self.admin)
        await admin.execute(f"CREATE DATABASE {self.name} TEMPLATE {self.template}")
        await admin.close()
        dsn = sibling(self.admin, self.name)
        self.database = await Database.connect(dsn, PoolOptions(max_size=4))
        self.decoder = Decoder()
        await self.decoder.start()
        root = Path(tempfile.mkdtemp(prefix="imagejobs-machine-"))
        self.opened = open_world(dsn, self.database, self.decoder, root, providers=dict(self.shops))
        return await self.opened.__aenter__()

    async def _close(self) -> None:
        await self.opened.__aexit__(None, None, None)
        await self.decoder.stop()
        await self.database.close()
        admin = await asyncpg.connect(self.admin)
        await admin.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
        await admin.close()

    def close(self) -> None:
        self.run(self._close())
        self.runner.close()


class Lifecycle(RuleBasedStateMachine):
    dsn: ClassVar[str]
    template: ClassVar[str]

    @initialize(resume=st.sampled_from(list(ResumeClass)))
    def start(self, resume: ResumeClass) -> None:
        self.instance = Instance(self.dsn, self.template, resume)
        self.world = self.instance.world
        self.jobs: list[str] = []
        self.final: dict[str, tuple[JobStatus, int]] = {}

    @rule(
        key=st.sampled_from([None, "a", "b"]),
        errors=st.tuples(st.sampled_from(ERRORS), st.sampled_from(ERRORS)),
        fallback=st.sampled_from([..., ["other"]]),
    )
    def submit(self, key: str | None, errors: tuple[ProviderError | None, ...], fallback: Any) -> None:
        for shop, error in zip(self.instance.shops.values(), errors, strict=True):
            shop.errors.extend([] if error is None else [error])
        answer = self.instance.run(self.world.generate(idempotencyKey=... if key is None else key, fallback=fallback))
        assert answer.status_code in (200, 202, 422)
        if answer.status_code == 422:
            assert answer.json()["reason"] == "idempotency_key_reused"
            return
        if answer.json()["jobId"] not in self.jobs:
            self.jobs.append(answer.json()["jobId"])

    @rule(which=st.integers(0, 20), turn=st.integers(1, 12), stale=st.integers(0, 1))
    def deliver_and_maybe_die(self, which: int, turn: int, stale: int) -> None:
        if self.jobs:
            self.instance.run(self._deliver(self.jobs[which % len(self.jobs)], turn, stale))

    async def _deliver(self, job_id: str, turn: int, stale: int) -> None:
        job = await self.world.job(job_id)
        deps = replace(self.world.deps, probe=DeadlyProbe(turn))
        try:
            await run_job(deps, job.id, job.delivery_no - stale)
        except Death:
            return

    @rule(which=st.integers(0, 20))
    def cancel(self, which: int) -> None:
        if self.jobs:
            job_id = self.jobs[which % len(self.jobs)]
            answer = self.instance.run(self.world.client.post(f"/api/images/jobs/{job_id}/cancel"))
            assert answer.status_code in (200, 409)
            assert answer.status_code == 200 or self.final[job_id][0] is JobStatus.FAILED

    @rule(which=st.integers(0, 20))
    def retry(self, which: int) -> None:
        if self.jobs:
            job_id = self.jobs[which % len(self.jobs)]
            answer = self.instance.run(self.world.client.post(f"/api/images/jobs/{job_id}/retry"))
            assert answer.status_code in (202, 409)
            if answer.status_code == 202:
                assert self.final.pop(job_id)[0] is JobStatus.FAILED

    @rule()
    def sweep(self) -> None:
        self.instance.run(sweep(self.world.deps))

    @rule(which=st.integers(0, 20))
    def the_deadline_passes(self, which: int) -> None:
        if self.jobs:
            statement = "UPDATE image_generation_jobs SET deadline_at = now() - interval '1 hour' WHERE id = $1"
            self.instance.run(self.world.scalar(statement, self.jobs[which % len(self.jobs)]))

    @invariant()
    def nothing_is_broken(self) -> None:
        if not hasattr(self, "world"):
            return
        assert self.instance.run(broken_invariants(self.world.deps.database)) == {}
        assert self.ours() - self.unknown() <= self.theirs()
        for job_id in self.jobs:
            self.remains(job_id)

    def ours(self) -> int:
        return int(self.instance.run(billed(self.world.deps.database)))

    def theirs(self) -> int:
        return sum(sum(shop.bill.values()) for shop in self.instance.shops.values())

    def unknown(self) -> int:
        query = "SELECT coalesce(sum(amount_micros), 0) FROM imagejobs.reservations WHERE state = 'unknown'"
        return int(self.instance.run(self.world.scalar(query)))

    def remains(self, job_id: str) -> None:
        """A finished job never changes by itself."""
        job = self.instance.run(self.world.job(job_id))
        if job_id in self.final:
            assert self.final[job_id] == (job.status, job.event_seq)
        elif job.status in FINAL:
            self.final[job_id] = (job.status, job.event_seq)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        for job_id in self.jobs:
            self.instance.run(self.world.work_off(job_id))
        self.nothing_is_broken()
        assert self.theirs() <= self.ours()
        self.instance.close()


def test_p1_to_p6_the_lifecycle_keeps_its_invariants_in_any_order(postgres: str, template: str) -> None:
    Lifecycle.dsn, Lifecycle.template = postgres, template
    Lifecycle.TestCase.settings = settings(
        max_examples=15,
        stateful_step_count=20,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    Lifecycle.TestCase().runTest()
