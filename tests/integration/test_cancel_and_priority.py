"""What a caller may stop and move, and what the answers say; the races are in `tests/races/test_cancel.py`."""

from typing import Any
from uuid import UUID

import pytest

from imagejobs.app.keys import create_key
from imagejobs.app.retry import retry_job
from imagejobs.domain.access import Caller, KeyText, Scope
from imagejobs.domain.jobs import JobStatus
from imagejobs.errors import InvalidTransition
from tests.support.invariants import broken_invariants
from tests.support.world import World

pytestmark = pytest.mark.database


async def post(world: World, job_id: str, verb: str = "cancel") -> Any:
    return await world.client.post(f"/api/images/jobs/{job_id}/{verb}")


@pytest.mark.parametrize("prompt", ["a fox", "a fox [429 60s]"], ids=["queued", "waiting"])
async def test_a14_a_job_that_waits_is_canceled_at_once_with_its_message(world: World, prompt: str) -> None:
    job_id = (await world.generate(prompt=prompt)).json()["jobId"]
    if "429" in prompt:
        await world.run(await world.job(job_id))
    first = await post(world, job_id)
    assert first.status_code == 200
    assert first.json() == {
        "jobId": job_id,
        "status": "canceled",
        "receipt": {
            "outcome": "stopped_before_spend",
            "mayCost": 0,
            "publicUrl": None,
            "detail": "The job is canceled, and nothing was charged.",
        },
    }
    job = await world.job(job_id)
    async with world.deps.database.connection() as connection:
        assert not await world.deps.engine.delivered(connection, [(job.id, job.delivery_no)])
    assert (await post(world, job_id)).json() == first.json()
    event = (await world.events(job_id))[-1]
    assert (event["kind"], event["data"]["canceledBy"]) == ("job.canceled", "tests")
    body = await world.read(job_id)
    assert body["completedAt"] is not None
    assert "error" not in body
    assert await broken_invariants(world.deps.database) == {}


async def test_a14_a_finished_job_says_too_late_and_a_failed_one_conflicts(world: World) -> None:
    done, failed = [(await world.generate(prompt=prompt)).json()["jobId"] for prompt in ("a fox", "a fox [refuse]")]
    url = (await world.work_off(done)).public_url
    receipt = (await post(world, done)).json()["receipt"]
    assert (receipt["outcome"], receipt["publicUrl"]) == ("too_late", url)
    await world.work_off(failed)
    refused = await post(world, failed)
    assert (refused.status_code, refused.json()["reason"]) == (409, "invalid_transition")


async def test_a14_a_paid_picture_that_waits_for_the_storage_is_not_thrown_away(world: World) -> None:
    job_id = (await world.generate(prompt="a fox [storage]")).json()["jobId"]
    await world.run(await world.job(job_id))
    waiting = await world.job(job_id)
    assert waiting.status is JobStatus.QUEUED
    assert (await post(world, job_id)).json()["receipt"]["outcome"] == "too_late"
    assert (await world.job(job_id)).event_seq == waiting.event_seq


@pytest.mark.parametrize(("method", "rest"), [("POST", "/cancel"), ("PATCH", "")])
async def test_a12_strangers_and_readers_may_neither_stop_nor_move(world: World, method: str, rest: str) -> None:
    job_id = (await world.generate()).json()["jobId"]
    stranger = await create_key(world.deps.database, "stranger", project_ids=["other"])
    reader = await create_key(world.deps.database, "reader", scopes=frozenset({Scope.READ}))

    async def ask(key: KeyText, wanted: str) -> Any:
        headers = {"authorization": f"Bearer {key}"}
        return await world.client.request(method, f"/api/images/jobs/{wanted}{rest}", json={"priority": 1}, headers=headers)

    theirs, none = await ask(stranger, job_id), await ask(stranger, str(UUID(int=7)))
    assert (theirs.status_code, theirs.content) == (404, none.content)
    assert (await ask(reader, job_id)).status_code == 403
    assert (await ask(stranger, "x")).status_code == 404
    job = await world.job(job_id)
    assert (job.status, job.priority, job.event_seq) == (JobStatus.QUEUED, 0, 1)


async def test_a14_a_priority_moves_a_job_to_the_front_and_keeps_its_wait(world: World) -> None:
    first, second = [(await world.generate()).json()["jobId"] for _ in range(2)]
    answer = await world.client.patch(f"/api/images/jobs/{second}", json={"priority": 10})
    assert (answer.status_code, answer.json()["priority"]) == (200, 10)
    order = await world.scalar("SELECT array_agg(dedupe_key ORDER BY priority DESC, id) FROM imagejobs.pgqueuer")
    assert order == [f"{second}:2", f"{first}:1"]
    stale = await world.job(second)
    await world.client.patch(f"/api/images/jobs/{second}", json={"priority": 10})
    assert (await world.job(second)).delivery_no == stale.delivery_no
    snoozed = (await world.generate(prompt="a fox [429 60s]")).json()["jobId"]
    await world.run(await world.job(snoozed))
    await world.client.patch(f"/api/images/jobs/{snoozed}", json={"priority": -10})
    due = "SELECT extract(epoch FROM max(execute_after) - now())::float8 FROM imagejobs.pgqueuer WHERE priority = -10"
    assert 30 < await world.scalar(due) <= 60
    await world.work_off(first)
    assert (await world.work_off(second)).status is JobStatus.COMPLETED
    late = await world.client.patch(f"/api/images/jobs/{second}", json={"priority": 1})
    assert late.status_code == 409
    assert [event["kind"] for event in await world.events(second)][:2] == ["job.queued", "job.priority_changed"]
    assert await broken_invariants(world.deps.database) == {}


@pytest.mark.parametrize("body", [{}, {"priority": 11}, {"priority": -11}, {"priority": "1"}, {"priority": 1, "x": 2}, []])
async def test_a14_bad_priorities_are_refused(world: World, body: Any) -> None:
    job_id = (await world.generate()).json()["jobId"]
    answer = await world.client.patch(f"/api/images/jobs/{job_id}", json=body)
    assert answer.status_code in (400, 422)
    assert (await world.job(job_id)).priority == 0


async def test_a14_a_canceled_job_is_not_retried(world: World) -> None:
    job_id = (await world.generate()).json()["jobId"]
    await post(world, job_id)
    assert (await post(world, job_id, "retry")).status_code == 409
    caller = Caller(name="t", key_id=None, scopes=frozenset({Scope.ADMIN}))
    with pytest.raises(InvalidTransition):
        await retry_job(world.deps, caller, UUID(job_id))
