"""A job's events as a stream over real HTTP: whole, in order, woken from elsewhere, and ended when they have to."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from imagejobs.app import follow
from imagejobs.app.caches import KEY_SECONDS
from imagejobs.app.news import hear, tell
from imagejobs.app.waiters import Waiters
from imagejobs.db import news
from imagejobs.db.pool import Database
from imagejobs.errors import ProviderOverloaded
from imagejobs.imaging import Decoder
from tests.support.providers import Scripted
from tests.support.proxy import Cut, proxied
from tests.support.serving import Serving, serving, told
from tests.support.tokens import as_user
from tests.support.world import SOON, HastyClock, World, open_world

pytestmark = pytest.mark.database


@pytest.fixture
async def api(world: World) -> AsyncIterator[Serving]:
    async with serving(world.deps, world.client.headers) as opened:
        yield opened


@asynccontextmanager
async def hearing(dsn: str, waiters: Waiters) -> AsyncIterator[None]:
    """Hear what other processes tell, until the block ends, well or not."""
    task = asyncio.create_task(hear(dsn, waiters))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_nobody_waits(waiters: Waiters) -> None:
    async with asyncio.timeout(SOON):
        while waiters.job_ids:
            await asyncio.sleep(0.01)


async def until_listening(waiters: Waiters, *, expected: bool) -> None:
    while waiters.is_listening is not expected:
        await asyncio.sleep(0.01)


async def test_a14_a_stream_tells_every_event_to_the_end_and_from_any_on(world: World, api: Serving) -> None:
    job_id = (await world.generate()).json()["jobId"]
    async with asyncio.timeout(SOON), api.stream(job_id) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-store", "no")
        async with world.working():
            found = [event async for event in told(answer)]
    assert found == await world.events(job_id)
    assert found[-1]["data"]["status"] == "completed"
    async with api.stream(job_id) as answer:
        assert re.match(rb"retry: [123]\d\d\d\n\nid: 1\nevent: job.queued\n", await answer.aread())
    async with api.stream(job_id, last_event_id="2") as answer:
        assert [event async for event in told(answer)] == found[2:]
    last = str(found[-1]["seq"])
    async with api.stream(job_id, last_event_id=last) as answer:
        assert answer.status_code == 204
    by_query = await api.client.get(
        f"/api/images/jobs/{job_id}/events?last_event_id={last}", headers={"accept": "text/event-stream"}
    )
    assert by_query.status_code == 204
    await until_nobody_waits(world.deps.waiters)


@pytest.mark.parametrize("word", ["x", "-1", "1.5", "9" * 40, "\uff11"])
async def test_a14_a_last_event_id_that_is_none_is_refused(world: World, word: str) -> None:
    job_id = (await world.generate()).json()["jobId"]
    path = f"/api/images/jobs/{job_id}/events"
    answer = await world.client.get(path, params={"last_event_id": word}, headers={"accept": "text/event-stream"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "malformed_request")


async def test_a12_nobody_else_may_follow_a_job(world: World, api: Serving) -> None:
    job_id = (await world.generate()).json()["jobId"]
    async with api.stream(job_id, authorization="") as answer:
        assert answer.status_code == 401
    async with api.stream(str(UUID(int=1))) as answer:
        assert answer.status_code == 404


async def test_p8_readers_that_reconnect_at_random_see_every_event_once(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> None:
    provider = Scripted()
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        provider.errors.extend([ProviderOverloaded("busy")] * 3)
        job_id = (await world.generate()).json()["jobId"]
        async with serving(world.deps, world.client.headers) as api, asyncio.timeout(SOON):
            reading = [asyncio.create_task(_read_in_pieces(api, job_id, random.Random(seed))) for seed in range(12)]
            for priority in range(1, 6):
                assert (await world.client.patch(f"/api/images/jobs/{job_id}", json={"priority": priority})).is_success
            async with world.working():
                await world.finished(job_id)
            expected = [event["seq"] for event in await world.events(job_id)]
            assert len(expected) > 15
            assert await asyncio.gather(*reading) == [expected] * len(reading)


async def _read_in_pieces(api: Serving, job_id: str, chance: random.Random) -> list[int]:
    seen: list[int] = []
    while True:
        async with api.stream(job_id, last_event_id=str(seen[-1] if seen else 0)) as answer:
            if answer.status_code == 204:
                return seen
            seen += await _some_of(answer, chance)


async def _some_of(answer: httpx2.Response, chance: random.Random) -> list[int]:
    taken = []
    async for event in told(answer):
        taken += [event["seq"]] if event else []
        if chance.random() < 0.5:
            break
    return taken


async def test_p8_a_stream_is_woken_by_another_process_also_after_its_session_was_cut(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader's process shares nothing with the writer but the database, and never looks without news."""
    monkeypatch.setattr(follow, "_LOOK_SECONDS", 10 * SOON)
    apart = replace(world.deps, waiters=Waiters(), policy=replace(world.deps.policy, ping_seconds=10 * SOON))
    job_id = (await world.generate()).json()["jobId"]
    heard = hearing(world.dsn, apart.waiters)
    async with heard, serving(apart, world.client.headers) as api, asyncio.timeout(SOON):
        for turn in range(2):
            await until_listening(apart.waiters, expected=True)
            await _tell_elsewhere(world, api, job_id, turn + 1)
            await world.scalar(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' "
                "AND query LIKE '%imagejobs_news%' AND datname = current_database()"
            )
            await until_listening(apart.waiters, expected=False)


async def _tell_elsewhere(world: World, api: Serving, job_id: str, priority: int) -> None:
    """Open a stream that is told of all before, write elsewhere, and wait until the stream has its event."""
    async with api.stream(job_id) as answer:
        events = told(answer)
        for _ in range(priority):
            await anext(events)
        await world.client.patch(f"/api/images/jobs/{job_id}", json={"priority": priority})
        assert (await anext(events))["data"]["priority"] == priority


async def test_p8_whoever_listens_for_news_survives_a_black_hole_and_the_last_words_of_a_session(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither may leave the process deaf until it is started again, every wait in it a poll."""
    monkeypatch.setattr(news, "_SECONDS", 2.0)
    monkeypatch.setattr(news, "_CHECK_SECONDS", 0.1)
    waiters = Waiters()
    async with proxied(dsn) as (proxy, through), asyncio.timeout(SOON):
        proxy.arm(b"LISTEN", 1, Cut.HANG)
        async with hearing(through, waiters):
            await until_listening(waiters, expected=True)
            proxy.hides_ends = True
            async with database.connection() as connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'imagejobs news' AND datname = current_database()"
                )
            await until_listening(waiters, expected=False)
            await until_listening(waiters, expected=True)
        proxy.hides_ends = False


class Ahead(HastyClock):
    """A clock that can be put forward."""

    seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.seconds


async def test_a14_a_silent_stream_is_alive_and_ends_in_time(world: World) -> None:
    clock = Ahead()
    policy = replace(world.deps.policy, ping_seconds=0.05, stream_seconds=600.0)
    deps = replace(world.deps, policy=policy, clock=clock)
    job_id = (await world.generate()).json()["jobId"]
    async with serving(deps, world.client.headers) as api, asyncio.timeout(SOON), api.stream(job_id) as answer:
        events = told(answer)
        assert (await anext(events))["kind"] == "job.queued"
        assert await anext(events) == {}
        clock.seconds = 600.0
        assert [event async for event in events if event] == []
    await until_nobody_waits(deps.waiters)


async def test_x15_a_revoked_key_ends_its_stream(world: World) -> None:
    deps = replace(world.deps, policy=replace(world.deps.policy, ping_seconds=0.05))
    job_id = (await world.generate()).json()["jobId"]
    async with serving(deps, world.client.headers) as api, asyncio.timeout(SOON), api.stream(job_id) as answer:
        events = told(answer)
        await anext(events)
        await world.scalar("UPDATE imagejobs.api_keys SET revoked_at = now() RETURNING id")
        deps.keys.clear()
        assert [event async for event in events if event] == []


LOST = {
    "the membership": "DELETE FROM imagejobs.members WHERE user_id = 'ann' RETURNING 1",
    "its confirmation": "UPDATE imagejobs.members SET confirmed_at = now() - interval '61 seconds' RETURNING 1",
}


@pytest.mark.parametrize("lost", LOST.values(), ids=list(LOST))
async def test_x15_a_user_who_is_no_member_any_more_loses_their_stream(world: World, lost: str) -> None:
    query = "SELECT user_id::text FROM imagejobs.members WHERE project_id = $1 AND false"
    policy = replace(world.deps.policy, ping_seconds=0.05, ownership_query=query)
    job_id = (await world.generate()).json()["jobId"]
    await world.scalar("INSERT INTO imagejobs.members VALUES ('film', 'ann', 'editor', now(), now()) RETURNING 1")
    ann = serving(replace(world.deps, policy=policy), httpx2.Headers(as_user("ann")))
    async with asyncio.timeout(SOON), ann as api, api.stream(job_id) as answer:
        events = told(answer)
        assert (await anext(events))["kind"] == "job.queued"
        await world.scalar("UPDATE imagejobs.members SET role = 'viewer' RETURNING 1")
        assert await anext(events) == {}  # who may still read, reads on
        await world.scalar(lost)
        assert [event async for event in events if event] == []


def test_x15_what_is_remembered_of_a_caller_and_the_wait_between_two_looks_are_ten_seconds_at_most(
    world: World,
) -> None:
    class Latest(HastyClock):
        def chance(self) -> float:
            return 1.0

    deps = replace(world.deps, clock=Latest(), waiters=Waiters(is_listening=True))
    assert follow._patience(deps) + KEY_SECONDS <= 10


async def test_a14_a_client_that_goes_away_leaves_nothing_behind(world: World, api: Serving) -> None:
    job_id = (await world.generate()).json()["jobId"]
    for _ in range(5):
        async with asyncio.timeout(SOON), api.stream(job_id) as answer:
            await anext(told(answer))
            assert world.deps.waiters.job_ids == [UUID(job_id)]
        await until_nobody_waits(world.deps.waiters)


async def test_a14_a_draining_server_sends_its_streams_and_waits_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_DEAF_LOOK_SECONDS", 10 * SOON)
    deps = replace(world.deps, policy=replace(world.deps.policy, ping_seconds=10 * SOON))
    job_id = (await world.generate()).json()["jobId"]
    async with serving(deps, world.client.headers) as api, asyncio.timeout(SOON):
        waiting = asyncio.create_task(api.client.get(f"/api/images/jobs/{job_id}", headers={"prefer": "wait=60"}))
        async with api.stream(job_id) as answer:
            events = told(answer)
            await anext(events)
            while len(deps.waiters._of[UUID(job_id)]) < 2:
                await asyncio.sleep(0.01)
            api.server.should_exit = True
            assert [event async for event in events] == []
            assert (await waiting).json()["status"] == "queued"
            await api.task
        assert not deps.waiters._taken


async def test_prefer_wait_answers_when_the_job_is_finished_or_changed(world: World) -> None:
    job_id = (await world.generate()).json()["jobId"]
    path = f"/api/images/jobs/{job_id}"
    tag = (await world.client.get(path)).headers["etag"]
    unchanged = await world.client.get(path, headers={"prefer": "respond-async, wait=1", "if-none-match": tag})
    assert (unchanged.status_code, unchanged.headers["preference-applied"]) == (304, "wait=1")
    changing = asyncio.create_task(world.client.get(path, headers={"prefer": "wait=60", "if-none-match": tag}))
    finishing = asyncio.create_task(world.client.get(path, headers={"prefer": 'wait="600"'}))
    async with asyncio.timeout(SOON):
        while not world.deps.waiters.job_ids:
            await asyncio.sleep(0.01)
        async with world.working():
            changed, finished = await asyncio.gather(changing, finishing)
    assert changed.status_code == 200
    assert finished.json()["status"] == "completed"
    assert finished.headers["preference-applied"] == "wait=60"
    for strange in ("wait", "wait=", "wait=soon", "wait=-1", ";;=,"):
        assert "preference-applied" not in (await world.client.get(path, headers={"prefer": strange})).headers


async def test_news_of_many_jobs_goes_out_in_few_notifications(world: World) -> None:
    apart = Waiters()
    async with hearing(world.dsn, apart), asyncio.timeout(SOON):
        await until_listening(apart, expected=True)
        with apart.waiting(UUID(int=999)) as last, apart.waiting(UUID(int=1)) as first:
            for number in range(1, 1000):
                tell(world.deps, UUID(int=number))
            await asyncio.gather(first.wait(), last.wait())
