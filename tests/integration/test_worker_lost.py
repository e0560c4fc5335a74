"""What is told of a job whose worker died: that it did, by the claim that took the job over."""

from dataclasses import replace

import pytest

from imagejobs.app.attempt import run_job
from imagejobs.domain.jobs import Job, JobStatus
from tests.support.deaths import DeadlyProbe, Death
from tests.support.invariants import broken_invariants
from tests.support.world import World

pytestmark = pytest.mark.database


@pytest.mark.parametrize(
    ("point", "state"),
    [
        ("claim.after_commit", "processing"),
        ("dispatch.after_intent", "generating"),
        ("stage.after_commit", "generating"),
        ("upload.after_put", "uploading"),
    ],
)
async def test_p8_what_is_told_of_a_job_whose_worker_died_says_so(world: World, point: str, state: str) -> None:
    job_id = (await world.generate()).json()["jobId"]
    job = await world.job(job_id)
    with pytest.raises(Death):
        await run_job(replace(world.deps, probe=DeadlyProbe(point=point)), job.id, job.delivery_no)
    before = await world.events(job_id)
    assert (await run_after_a_death(world, job)).status is JobStatus.COMPLETED
    after = await world.events(job_id)
    assert after[: len(before)] == before
    lost, *rest = after[len(before) :]
    assert (lost["kind"], lost["seq"], lost["data"]["status"]) == ("job.worker_lost", len(before) + 1, state)
    assert lost["data"]["message"] == "The worker that had the job is gone; another one took it over."
    assert {event["kind"] for event in rest} <= {"job.generating", "job.uploading", "job.completed"}
    assert await broken_invariants(world.deps.database) == {}


async def test_p8_each_of_three_deaths_is_told_before_the_job_ends_as_poison(world: World) -> None:
    job_id = (await world.generate()).json()["jobId"]
    job = await world.job(job_id)
    for _ in range(3):
        with pytest.raises(Death):
            await run_job(replace(world.twin().deps, probe=DeadlyProbe(point="claim.after_commit")), job.id, job.delivery_no)
    assert (await run_after_a_death(world, job)).status is JobStatus.FAILED
    kinds = [event["kind"] for event in await world.events(job_id)]
    assert kinds == ["job.queued", "job.processing", *["job.worker_lost"] * 3, "job.failed"]


async def test_p8_a_worker_that_claims_its_own_job_again_is_no_death(world: World) -> None:
    job_id = (await world.generate()).json()["jobId"]
    job = await world.job(job_id)
    with pytest.raises(Death):
        await run_job(replace(world.deps, probe=DeadlyProbe(point="claim.after_commit")), job.id, job.delivery_no)
    await world.run(job)
    assert "job.worker_lost" not in [event["kind"] for event in await world.events(job_id)]


async def run_after_a_death(world: World, job: Job) -> Job:
    """The job as another worker left it."""
    await world.twin().run(job)
    return await world.job(job.id)
