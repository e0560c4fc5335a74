"""A worker's death at every named point of a job, for every class of provider; a point added later is covered by itself.

The death is a `BaseException` that nothing of ours catches: no commit, no cleanup of ours runs after it, and PostgreSQL
rolls back what was open, as it does for a killed process.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from imagejobs.app.attempt import run_job
from imagejobs.app.identifiers import new_id
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus, ResumeClass
from imagejobs.imaging import Decoder
from tests.support.deaths import DeadlyProbe, Death
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.world import World, open_world

pytestmark = pytest.mark.database


async def run_until_death(world: World, job_id: str, turn: int) -> str | None:
    """The point at which the worker died, None where it came to the end."""
    probe = DeadlyProbe(turn)
    deps = replace(world.deps, probe=probe, worker_id=new_id())
    job = await world.job(job_id)
    try:
        await run_job(deps, job.id, job.delivery_no)
    except Death:
        return probe.passed[-1]
    return None


@pytest.mark.parametrize("resume", list(ResumeClass), ids=lambda resume: resume.value)
async def test_w1_to_w13_no_death_loses_a_job_or_a_paid_picture_or_buys_in_silence(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path, resume: ResumeClass
) -> None:
    provider = Scripted(resume_class=resume)
    points: list[str] = []
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        for turn in range(1, 30):
            before = sum(provider.bill.values())
            job_id = (await world.generate()).json()["jobId"]
            point = await run_until_death(world, job_id, turn)
            await world.work_off(job_id)
            job = await world.job(job_id)
            bought = (sum(provider.bill.values()) - before) // PRICE
            assert await broken_invariants(database) == {}, point
            if job.status is JobStatus.COMPLETED:
                assert bought == 1, point
            else:
                assert job.failure is not None
                assert (job.failure.reason, resume) in {
                    ("outcome_unknown", ResumeClass.NONE),
                    ("outcome_unknown", ResumeClass.LOOKUP),
                }, point
                assert bought <= 1, point
            if point is None:
                break
            points.append(point)
        assert await billed(database) >= sum(provider.bill.values())
    assert {"claim.after_commit", "dispatch.after_intent", "stage.after_commit", "upload.after_put"} <= set(points)


async def test_w16_a_job_that_kills_three_workers_is_taken_for_poison(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> None:
    provider = Scripted(resume_class=ResumeClass.KEY)
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        job_id = (await world.generate()).json()["jobId"]
        for _ in range(3):
            assert await run_until_death(world, job_id, 3) is not None
        job = await world.work_off(job_id)
        assert job.failure is not None
        assert job.failure.reason == "poison"
        assert await broken_invariants(database) == {}
