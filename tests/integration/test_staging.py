"""What is staged and can never be stored: it is kept for a look, stands in nobody's way, and goes in the end."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from imagejobs.app.sweep import sweep
from tests.support.invariants import broken_invariants
from tests.support.world import World

pytestmark = pytest.mark.database


async def swept(world: World, limit_bytes: int) -> None:
    """One sweep under this limit; no invariant is broken after it."""
    policy = replace(world.deps.policy, staged_bytes_limit=limit_bytes)
    await sweep(replace(world.deps, policy=policy))
    assert await broken_invariants(world.deps.database) == {}


async def made(world: World, *prompts: str) -> list[str]:
    jobs = [(await world.generate(prompt=prompt)).json()["jobId"] for prompt in prompts]
    for job in jobs:
        await world.work_off(job)
    return jobs


async def staged(world: World) -> set[str]:
    """The jobs with staged bytes."""
    return set(await world.scalar("SELECT coalesce(array_agg(job_id::text), '{}') FROM imagejobs.staged_bytes"))


async def size_of(world: World, jobs: Iterable[str]) -> int:
    query = "SELECT sum(size_bytes)::int8 FROM imagejobs.staged_bytes WHERE job_id = ANY($1::text[]::uuid[])"
    return int(await world.scalar(query, list(jobs)))


async def test_s14_answers_that_are_no_pictures_hold_no_purchase_up_and_go_before_what_is_to_be_stored(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    useless = await made(world, "[corrupt]", "[corrupt]", "[html]")
    (unstored,) = await made(world, "[storage]")
    whole = await size_of(world, [*useless, unstored])
    await swept(world, 2 * whole + 1)
    assert await staged(world) == {*useless, unstored}
    await swept(world, max(await size_of(world, useless), 2 * await size_of(world, [unstored]) + 1))
    assert "staging.filling" not in caplog.messages
    assert await staged(world) == {unstored}
    (later,) = await made(world, "a red fox")
    assert (await world.read(later))["status"] == "completed"
    answers = [(await world.client.post(f"/api/images/jobs/{job}/retry")).json() for job in (unstored, useless[0])]
    assert [answer["isPaidAlready"] for answer in answers] == [True, False]


async def test_a11_what_was_kept_for_its_time_is_no_broken_promise_once_it_is_gone(world: World) -> None:
    jobs = await made(world, "[storage]", "[corrupt]")
    await world.scalar("UPDATE imagejobs.staged_bytes SET staged_at = now() - interval '31 days'")
    await swept(world, 10**9)
    assert await staged(world) == set()
    answers = [(await world.client.post(f"/api/images/jobs/{job}/retry")).json() for job in jobs]
    assert [answer["isPaidAlready"] for answer in answers] == [False, False]


async def test_p4_bytes_that_may_still_become_a_picture_are_missed(world: World) -> None:
    await made(world, "[storage]", "[corrupt]")
    await world.scalar("DELETE FROM imagejobs.staged_bytes")
    (missed,) = (await broken_invariants(world.deps.database)).values()
    assert len(missed) == 1


async def test_p2_a_step_of_the_sweep_that_fails_for_good_keeps_no_other_from_being_taken(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """As where a trigger of the operator's own forbids that the overdue job is written."""
    stuck, forgotten = [(await world.generate()).json()["jobId"] for _ in range(2)]
    async with world.deps.database.connection() as connection:
        await connection.execute(
            f"UPDATE public.image_generation_jobs SET deadline_at = now() - interval '1 hour' WHERE id = '{stuck}';"  # noqa: S608 - UUIDs
            "CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;"
            "CREATE TRIGGER forbid BEFORE UPDATE ON public.image_generation_jobs FOR EACH ROW "
            f"WHEN (OLD.id = '{stuck}') EXECUTE FUNCTION forbid();"
            f"DELETE FROM imagejobs.pgqueuer WHERE dedupe_key = '{forgotten}:1'"
        )
    world.deps.staging_room.is_full = True
    await sweep(world.deps)
    assert "sweep.internal_error" in caplog.messages
    assert not world.deps.staging_room.is_full
    assert await world.scalar("SELECT count(*) FROM imagejobs.pgqueuer WHERE dedupe_key = $1", f"{forgotten}:2") == 1
