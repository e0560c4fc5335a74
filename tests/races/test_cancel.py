"""A cancel at every point of a job's life ends in one truth, and the books say what it cost; steered by probes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from imagejobs.app.attempt import run_job
from imagejobs.app.identifiers import new_id
from imagejobs.app.stopping import notice_cancels
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import Job, JobStatus, Outcome, ResumeClass
from imagejobs.errors import ContentRefused, OutcomeUnknown, ProviderOverloaded, ProviderThrottled
from imagejobs.imaging import Decoder
from imagejobs.ports import Answer, Call, Submitted
from tests.support.deaths import DeadlyProbe, Death
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted
from tests.support.world import SOON, World, open_world

pytestmark = pytest.mark.database


@dataclass
class Stoppable(Scripted):
    """Bills a `lookup` purchase when it is answered; until then it can be stopped, if `obeys`."""

    obeys: bool = True
    polls_before_answer: int = 1
    stops: int = 0

    async def submit(self, call: Call) -> Answer | Submitted:
        submitted = await super().submit(call)
        if isinstance(submitted, Submitted):
            del self.bill[submitted.remote_id]
            return Submitted(remote_id=call.idempotency_key, poll_after_seconds=0.0)
        return submitted

    async def poll(self, remote_id: str, call: Call) -> Answer | Submitted:
        if self.polls_before_answer > 0:
            self.polls_before_answer -= 1
            return Submitted(remote_id=remote_id, poll_after_seconds=3600.0)
        self.bill[remote_id] = PRICE
        return await super().poll(remote_id, call)

    async def cancel(self, remote_id: str) -> bool:
        self.stops += 1
        return self.obeys and remote_id not in self.bill


@pytest.fixture(params=list(ResumeClass), ids=lambda resume: resume.value)
async def paid(
    request: pytest.FixtureRequest, dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> AsyncIterator[tuple[World, Stoppable]]:
    provider = Stoppable(resume_class=request.param)
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as opened:
        yield opened, provider


async def cancel(world: World, job_id: str) -> dict[str, Any]:
    answer = await world.client.post(f"/api/images/jobs/{job_id}/cancel")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["receipt"]["detail"]
    return body


async def truth(world: World, provider: Scripted, job_id: str, receipt: dict[str, Any]) -> Job:
    """The job as it stands, its receipt kept, its books and the provider's bill equal."""
    job = await world.job(job_id)
    bill, books = sum(provider.bill.values()), await billed(world.deps.database)
    assert await broken_invariants(world.deps.database) == {}
    assert books >= bill
    if receipt["outcome"] == "stopped_before_spend":
        assert job.status is JobStatus.CANCELED
        assert bill == books == 0
        assert job.cost_micros == 0
    if receipt["outcome"] == "too_late":
        assert job.status is JobStatus.COMPLETED
    if job.status is JobStatus.COMPLETED:
        assert bill == books == PRICE
    assert books / 1_000_000 <= receipt["mayCost"]
    return job


POINTS = [
    "claim.before",
    "claim.after_commit",
    "budget.after_reserve",
    "dispatch.after_intent",
    "async.after_submit",
    "async.after_id_commit",
    "async.between_polls",
    "stage.before_commit",
    "stage.after_commit",
    "upload.before",
    "upload.after_put",
    "upload.after_commit",
]
BEFORE_THE_INTENT = ("claim.before", "claim.after_commit")
CASES = [
    pytest.param(resume, point, id=f"{resume.value}-{point}")
    for resume in ResumeClass
    for point in POINTS
    if resume is ResumeClass.LOOKUP or not point.startswith("async.")
]


@pytest.mark.parametrize(("paid", "point"), CASES, indirect=["paid"])
async def test_a14_a_cancel_at_any_point_ends_in_one_truth(paid: tuple[World, Stoppable], point: str) -> None:
    world, provider = paid
    provider.polls_before_answer = 0
    job_id = (await world.generate()).json()["jobId"]
    job = await world.job(job_id)
    world.probe.hold(point)
    worker = asyncio.create_task(run_job(world.deps, job.id, job.delivery_no))
    async with asyncio.timeout(SOON):
        await world.probe.reached[point].wait()
        canceling = asyncio.create_task(cancel(world, job_id))
        if point == "budget.after_reserve":  # the worker's transaction holds the row: the cancel waits for it
            await asyncio.sleep(0)
        else:
            await canceling
        world.probe.let_go(point)
        await worker
        receipt = (await canceling)["receipt"]
    after = await truth(world, provider, job_id, receipt)
    assert after.status in (JobStatus.COMPLETED, JobStatus.CANCELED)
    assert (receipt["outcome"] == "stopped_before_spend") == (point in BEFORE_THE_INTENT)
    again = (await cancel(world, job_id))["receipt"]
    assert again["outcome"] == ("too_late" if after.status is JobStatus.COMPLETED else "stopped_before_spend")
    assert again["publicUrl"] == after.public_url
    assert (await world.job(job_id)).event_seq == after.event_seq
    in_time = POINTS.index(point) <= POINTS.index("async.between_polls") and point != "budget.after_reserve"
    if provider.resume_class is ResumeClass.LOOKUP and in_time:  # at the other points the worker may be faster
        assert after.status is JobStatus.CANCELED
    assert not provider.sends or point not in BEFORE_THE_INTENT


async def test_a14_twenty_cancels_at_once_against_the_worker(paid: tuple[World, Stoppable]) -> None:
    world, provider = paid
    for _ in range(5):
        provider.bill.clear()
        provider.polls_before_answer = 1
        before = await billed(world.deps.database)
        job_id = (await world.generate()).json()["jobId"]
        async with asyncio.timeout(SOON):
            noticing = asyncio.create_task(notice_cancels(world.deps))
            working = asyncio.create_task(world.work_off(job_id))
            answers = await asyncio.gather(*(cancel(world, job_id) for _ in range(20)))
            job = await working
            noticing.cancel()
        said = {answer["receipt"]["outcome"] for answer in answers}
        assert said <= {"stopped_before_spend", "stop_requested", "too_late"}
        assert await broken_invariants(world.deps.database) == {}
        assert await billed(world.deps.database) - before == sum(provider.bill.values())
        if "stopped_before_spend" in said:
            assert job.status is JobStatus.CANCELED
            assert not provider.bill
        if "too_late" in said:
            assert job.status is JobStatus.COMPLETED


@pytest.mark.parametrize("obeys", [True, False])
async def test_a14_a_provider_that_works_for_long_is_stopped_at_once_and_its_refusal_keeps_the_picture(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path, *, obeys: bool
) -> None:
    provider = Stoppable(resume_class=ResumeClass.LOOKUP, obeys=obeys)
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        async with world.working(), asyncio.timeout(SOON):
            job_id = (await world.generate()).json()["jobId"]
            while provider.polls_before_answer:
                await asyncio.sleep(0.01)
            receipt = (await cancel(world, job_id))["receipt"]
            job = await world.finished(job_id)
        assert receipt == {**receipt, "outcome": "stop_requested", "mayCost": PRICE / 1_000_000, "publicUrl": None}
        assert provider.stops == 1
        assert job["status"] == ("canceled" if obeys else "completed")
        assert job["cost"]["actual"] == (0 if obeys else PRICE / 1_000_000)
        assert await billed(database) == sum(provider.bill.values())
        outcome = await world.scalar("SELECT outcome FROM imagejobs.attempts WHERE job_id = $1", job_id)
        assert outcome == (Outcome.CANCELED if obeys else Outcome.SUCCEEDED)
        assert await broken_invariants(database) == {}
        kinds = [event["kind"] for event in await world.events(job_id)]
        assert kinds[-2:] == (["job.cancel_requested", "job.canceled"] if obeys else ["job.uploading", "job.completed"])


@pytest.mark.parametrize(
    "error",
    [ProviderThrottled("wait", 1.0), ProviderOverloaded("busy"), OutcomeUnknown("gone")],
    ids=lambda error: error.reason,
)
async def test_a14_after_a_cancel_nothing_is_bought_again(paid: tuple[World, Stoppable], error: Any) -> None:
    world, provider = paid
    provider.errors.append(error)
    job_id = (await world.generate(onUnknownOutcome="retry_once")).json()["jobId"]
    world.probe.hold("dispatch.after_intent")
    worker = asyncio.create_task(world.run(await world.job(job_id)))
    async with asyncio.timeout(SOON):
        await world.probe.reached["dispatch.after_intent"].wait()
        receipt = (await cancel(world, job_id))["receipt"]
        world.probe.let_go("dispatch.after_intent")
        await worker
    job = await truth(world, provider, job_id, receipt)
    assert job.status is JobStatus.CANCELED
    assert len(provider.sends) == 1
    is_unknown = isinstance(error, OutcomeUnknown)
    assert (await world.read(job_id))["cost"]["actual"] == (None if is_unknown else 0)
    again = (await cancel(world, job_id))["receipt"]
    assert (again["outcome"], again["mayCost"]) == (
        ("stop_requested", PRICE / 1_000_000) if is_unknown else ("stopped_before_spend", 0)
    )
    if is_unknown:
        resolved = await world.client.post(f"/api/images/jobs/{job_id}/resolve", json={"billed": False})
        assert resolved.status_code == 200
        assert (await cancel(world, job_id))["receipt"]["outcome"] == "stopped_before_spend"
        assert await broken_invariants(world.deps.database) == {}


@pytest.mark.parametrize("paid", [ResumeClass.NONE], indirect=True, ids=["none"])
async def test_a3_after_a_cancel_an_unknown_outcome_is_no_cost_of_zero_though_an_earlier_run_was_free(
    paid: tuple[World, Stoppable],
) -> None:
    world, provider = paid
    provider.errors.append(ContentRefused("Not that."))
    job_id = (await world.generate()).json()["jobId"]
    await world.work_off(job_id)
    assert (await world.read(job_id))["cost"]["actual"] == 0
    assert (await world.client.post(f"/api/images/jobs/{job_id}/retry")).status_code == 202
    with suppress(Death):
        deps = replace(world.deps, probe=DeadlyProbe(point="stage.before_commit"), worker_id=new_id())
        job = await world.job(job_id)
        await run_job(deps, job.id, job.delivery_no)
    await cancel(world, job_id)
    assert (await world.work_off(job_id)).status is JobStatus.CANCELED
    assert (await world.read(job_id))["cost"]["actual"] is None
    assert await broken_invariants(world.deps.database) == {}


@pytest.mark.parametrize(
    ("paid", "point"),
    [(ResumeClass.KEY, "stage.before_commit"), (ResumeClass.LOOKUP, "async.after_id_commit")],
    indirect=["paid"],
    ids=["key", "lookup"],
)
async def test_a14_a_lost_answer_that_waits_to_be_asked_for_again_is_not_sent_again(
    paid: tuple[World, Stoppable], point: str
) -> None:
    world, provider = paid
    job_id = (await world.generate()).json()["jobId"]
    job = await world.job(job_id)
    with suppress(Death):
        await run_job(replace(world.deps, probe=DeadlyProbe(point=point), worker_id=new_id()), job.id, job.delivery_no)
    receipt = (await cancel(world, job_id))["receipt"]
    assert receipt["outcome"] == "stop_requested"
    job = await world.work_off(job_id)
    await truth(world, provider, job_id, receipt)
    assert job.status is JobStatus.CANCELED
    assert len(provider.sends) == 1


@pytest.mark.parametrize(
    ("resume", "obeys"),
    [(ResumeClass.KEY, False), (ResumeClass.LOOKUP, False), (ResumeClass.LOOKUP, True), (ResumeClass.NONE, False)],
)
async def test_a14_a_worker_killed_at_any_point_after_a_cancel_leaves_a_job_that_ends(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path, resume: ResumeClass, *, obeys: bool
) -> None:
    """The cancel comes while the purchase is in flight; the worker dies at each point after it, and another ends the job."""
    provider = Stoppable(resume_class=resume, obeys=obeys)
    died: list[str] = []
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        for turn in range(1, 20):
            provider.polls_before_answer = 0
            provider.bill.clear()
            before = await billed(database)
            job_id = (await world.generate()).json()["jobId"]
            point = await _cancel_in_flight_then_die(world, job_id, turn)
            job = await world.work_off(job_id)
            assert job.status in (JobStatus.CANCELED, JobStatus.COMPLETED), point
            assert await broken_invariants(database) == {}, point
            assert await billed(database) - before >= sum(provider.bill.values()), point
            if point is None:
                break
            died.append(point)
    assert "dispatch.after_intent" in died
    assert obeys or {"stage.before_commit", "upload.after_put"} <= set(died)
    assert resume is not ResumeClass.LOOKUP or "cancel.after_stop" in died


async def _cancel_in_flight_then_die(world: World, job_id: str, turn: int) -> str | None:
    deadly = DeadlyProbe(turn)

    async def probe(point: str) -> None:
        if point == "dispatch.after_intent" and not deadly.passed:
            assert (await cancel(world, job_id))["receipt"]["outcome"] == "stop_requested"
        if "dispatch.after_intent" in (point, *deadly.passed):
            await deadly(point)

    job = await world.job(job_id)
    try:
        await run_job(replace(world.deps, probe=probe, worker_id=new_id()), job.id, job.delivery_no)
    except Death:
        return deadly.passed[-1]
    return None


async def test_a14_a_picture_that_comes_after_the_end_is_kept_and_a_retry_is_free(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> None:
    """A worker hangs with a paid answer; its successor learns of the cancel, does not send again, and ends the job."""
    provider = Stoppable(resume_class=ResumeClass.KEY)
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        job_id = (await world.generate()).json()["jobId"]
        job = await world.job(job_id)
        world.probe.hold("stage.before_commit")
        late = asyncio.create_task(run_job(world.deps, job.id, job.delivery_no))
        async with asyncio.timeout(SOON):
            await world.probe.reached["stage.before_commit"].wait()
            await cancel(world, job_id)
            await run_job(world.twin().deps, job.id, job.delivery_no)
            assert (await world.job(job_id)).status is JobStatus.CANCELED
            world.probe.let_go("stage.before_commit")
            await late
        receipt = (await cancel(world, job_id))["receipt"]
        assert (receipt["outcome"], receipt["mayCost"]) == ("stop_requested", PRICE / 1_000_000)
        assert await broken_invariants(database) == {}
        retried = await world.client.post(f"/api/images/jobs/{job_id}/retry")
        assert retried.json()["isPaidAlready"] is True
        assert (await world.work_off(job_id)).status is JobStatus.COMPLETED
        assert len(provider.sends) == 1
        assert await billed(database) == PRICE
        assert await broken_invariants(database) == {}
