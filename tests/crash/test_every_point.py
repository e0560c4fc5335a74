"""A worker's death at every named point of a job, for every class of provider; a point added later is covered by itself.

The death is a `BaseException` that nothing of ours catches: no commit, no cleanup of ours runs after it, and PostgreSQL
rolls back what was open, as it does for a killed process.
"""

from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest

from imagejobs.app.attempt import run_job
from imagejobs.app.identifiers import new_id
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus, ResumeClass
from imagejobs.domain.lifecycle import FINAL
from imagejobs.errors import ProviderRejected
from imagejobs.imaging import Decoder
from imagejobs.ports import Provider
from tests.support.deaths import DeadlyProbe, Death
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.world import World, open_world

pytestmark = [pytest.mark.database, pytest.mark.timeout(180)]


async def run_until_death(world: World, job_id: str, turn: int) -> str | None:
    """The point at which the worker died, None where it came to the job's end, in as many deliveries as that needed."""
    probe = DeadlyProbe(turn)
    deps = replace(world.deps, probe=probe, worker_id=new_id())
    try:
        while (job := await world.job(job_id)).status not in FINAL:
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


@pytest.mark.parametrize("resume", list(ResumeClass), ids=lambda resume: resume.value)
async def test_w1_to_w13_nor_where_the_job_goes_on_with_its_next_model(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path, resume: ResumeClass
) -> None:
    """The first provider rejects each request; the death is before, at or after the job's going on."""
    first, second = Scripted(name="first"), Scripted(name="second", resume_class=resume)
    shops: dict[str, Provider] = {"first": first, "second": second}
    points: list[str] = []
    async with open_world(dsn, database, decoder, tmp_path / "files", providers=shops) as world:
        for turn in range(1, 40):
            before = len(second.bill)
            first.errors = deque([ProviderRejected("not here")])
            job_id = (await world.generate(fallback=["second"])).json()["jobId"]
            point = await run_until_death(world, job_id, turn)
            job = await world.work_off(job_id)
            assert await broken_invariants(database) == {}, point
            bought = len(second.bill) - before
            if job.status is JobStatus.COMPLETED:
                assert (job.provider, bought, first.bill) == ("second", 1, {}), point
            else:
                assert job.failure is not None
                assert (job.failure.reason, job.failure.billed) == ("outcome_unknown", "unknown"), point
                assert bought == 0 or resume is not ResumeClass.KEY, point
            if point is None:
                break
            points.append(point)
        assert await billed(database) >= sum(second.bill.values())
    assert points.count("dispatch.after_intent") == points.count("claim.after_commit") == 2
    assert "upload.after_put" in points


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
