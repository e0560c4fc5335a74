"""A worker that was thought dead comes back while another has its job: steered by probes, no sleeping."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imagejobs.app.attempt import run_job
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus, ResumeClass
from imagejobs.imaging import Decoder
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.world import SOON, World, open_world

pytestmark = pytest.mark.database

POINTS = [
    "claim.after_commit",
    "dispatch.after_intent",
    "stage.before_commit",
    "stage.after_commit",
    "upload.before",
    "upload.after_put",
]


@pytest.fixture(params=list(ResumeClass), ids=lambda resume: resume.value)
async def paid(
    request: pytest.FixtureRequest, dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> AsyncIterator[tuple[World, Scripted]]:
    provider = Scripted(resume_class=request.param)
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as opened:
        yield opened, provider


@pytest.mark.parametrize("point", POINTS)
async def test_p3_a_worker_that_comes_back_changes_nothing_and_loses_no_paid_picture(
    paid: tuple[World, Scripted], point: str
) -> None:
    world, provider = paid
    job_id = (await world.generate()).json()["jobId"]
    job = await world.job(job_id)
    world.probe.hold(point)
    late = asyncio.create_task(run_job(world.deps, job.id, job.delivery_no))
    async with asyncio.timeout(SOON):
        await world.probe.reached[point].wait()
    await run_job(world.twin().deps, job.id, job.delivery_no)
    handed_on = await world.job(job_id)
    world.probe.let_go(point)
    async with asyncio.timeout(SOON):
        await late
    after = await world.job(job_id)
    assert after.status is handed_on.status
    assert after.status in (JobStatus.COMPLETED, JobStatus.FAILED)
    assert after.event_seq == handed_on.event_seq
    assert await broken_invariants(world.deps.database) == {}
    assert await billed(world.deps.database) == sum(provider.bill.values())
    if after.status is JobStatus.FAILED:
        assert provider.resume_class is not ResumeClass.KEY
        assert after.failure is not None
        assert after.failure.reason == "outcome_unknown"
        assert await world.scalar("SELECT count(*) FROM imagejobs.staged_bytes") == len(provider.bill)
    else:
        assert sum(provider.bill.values()) == PRICE
