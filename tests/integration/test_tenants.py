"""What a stranger, a demoted member and a lapsed credential can no longer do, see, hold up or find out."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from imagejobs.app import users
from imagejobs.app.follow import follow_job
from imagejobs.app.keys import create_key
from imagejobs.db import ownership
from imagejobs.db.pool import Database
from imagejobs.domain.access import Caller, KeyText, Role, Scope
from imagejobs.domain.money import Quote
from imagejobs.domain.requests import GenerationRequest
from imagejobs.errors import ContentRefused, ModelUnavailable, SignInUnavailable
from imagejobs.imaging import Decoder
from imagejobs.web.server import create_app
from tests.support.providers import Scripted, a_png
from tests.support.serving import serving, told
from tests.support.tokens import as_user, tokens_by_secret
from tests.support.world import SOON, World, open_world

pytestmark = pytest.mark.database


async def bound_key(world: World, *scopes: Scope, project: str = "mine") -> dict[str, str]:
    key = await create_key(world.deps.database, "bound", scopes=scopes, project_ids=(project,))
    return {"authorization": f"Bearer {key}"}


async def member(world: World, user_id: str, role: Role, project: str = "film") -> dict[str, str]:
    async with world.deps.database.transaction() as tx:
        await tx.execute("INSERT INTO imagejobs.members VALUES ($1, $2, $3)", project, user_id, role.value)
    return as_user(user_id)


async def revoke_all(world: World) -> None:
    await world.scalar("UPDATE imagejobs.api_keys SET revoked_at = now() RETURNING id")
    world.deps.keys.clear()


async def remove_members(world: World) -> None:
    await world.scalar("DELETE FROM imagejobs.members RETURNING user_id")


async def test_a12_a_key_is_used_by_whoever_has_its_secret_and_by_nobody_else(world: World) -> None:
    key = await create_key(world.deps.database, "film back end")
    used = "SELECT last_used_at FROM imagejobs.api_keys WHERE id = $1"
    forged = {"authorization": f"Bearer {KeyText(id=key.id, secret='A' * 43)}"}
    assert (await world.client.get("/api/images/jobs", headers=forged)).status_code == 401
    assert await world.scalar(used, key.id) is None
    assert (await world.client.get("/api/images/jobs", headers={"authorization": f"Bearer {key}"})).status_code == 200
    assert await world.scalar(used, key.id) is not None


@pytest.mark.parametrize("method_and_path", ["PATCH ", "POST /cancel", "POST /retry", "POST /resolve"])
async def test_p7_a_stranger_neither_takes_nor_awaits_the_lock_of_anothers_job(world: World, method_and_path: str) -> None:
    job_id = (await world.generate()).json()["jobId"]
    stranger = await bound_key(world, Scope.READ, Scope.WRITE)
    method, _, path = method_and_path.partition(" ")
    body = {"PATCH ": {"priority": 1}, "POST /resolve": {"billed": True}}.get(method_and_path)
    async with world.deps.database.transaction() as tx, asyncio.timeout(SOON):
        await tx.execute("SELECT FROM image_generation_jobs WHERE id = $1 FOR UPDATE", UUID(job_id))
        answer = await world.client.request(method, f"/api/images/jobs/{job_id}{path}", json=body, headers=stranger)
    assert answer.status_code == 404


@pytest.mark.parametrize(("lapse", "status"), [(revoke_all, 401), (remove_members, 404)])
async def test_x15_a_request_that_waits_is_answered_by_the_rights_of_its_end(
    world: World, lapse: Callable[[World], Awaitable[None]], status: int
) -> None:
    job_id = (await world.generate()).json()["jobId"]
    key = {"authorization": world.client.headers["authorization"]}
    headers = key if status == 401 else await member(world, "viewer", Role.VIEWER)
    path = f"/api/images/jobs/{job_id}"
    waiting = asyncio.create_task(world.client.get(path, headers={**headers, "prefer": "wait=60"}))
    async with asyncio.timeout(SOON):
        while not world.deps.waiters.job_ids:
            await asyncio.sleep(0)
        await lapse(world)
        await world.work_off(job_id)
        answer = await waiting
    assert (answer.status_code, "publicUrl" in answer.text) == (status, False)


class Later(datetime):
    """A clock that is two hours ahead, as the library for tokens reads it."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Later":
        return super().now(tz) + timedelta(hours=2)


async def test_x15_a_removed_member_and_an_ended_token_end_their_streams(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deps = replace(world.deps, policy=replace(world.deps.policy, ping_seconds=0.05))
    job_id = (await world.generate()).json()["jobId"]
    lasting = await member(world, "viewer", Role.VIEWER)
    await member(world, "other", Role.VIEWER)
    world.deps.waiters.is_listening = True  # so that only every fifteen seconds a look is due without news
    ending = as_user("other")  # in an hour
    began = time.time()
    async with serving(deps, world.client.headers) as api, asyncio.timeout(SOON):
        async with api.stream(job_id, **ending) as answer:
            assert answer.status_code == 200
            events = told(answer)
            assert (await anext(events))["seq"] == 1
            with monkeypatch.context() as later:
                later.setattr(time, "time", lambda: began + 7200)
                later.setattr("jwt.api_jwt.datetime", Later)
                assert [event async for event in events if event] == []
        async with api.stream(job_id, **lasting) as answer:
            events = told(answer)
            assert (await anext(events))["seq"] == 1
            await remove_members(world)
            assert [event async for event in events if event] == []


async def test_a14_a_stream_ends_in_order_where_its_users_token_cannot_be_checked_again(world: World) -> None:
    job = await world.job((await world.generate()).json()["jobId"])

    async def ask_again() -> Caller:
        raise SignInUnavailable("away")

    async with asyncio.timeout(SOON):
        assert [batch async for batch in follow_job(world.deps, ask_again, job, 0)] == []


async def test_a12_what_another_project_has_is_no_style_input_or_source_of_this_one(world: World) -> None:
    """Named in a request for their own project: the same answer as for what nobody made, but for the id."""
    key = await bound_key(world, Scope.READ, Scope.WRITE)
    theirs = (await world.generate()).json()["jobId"]
    await world.work_off(theirs)
    input_id = await world.upload(a_png())
    style = {"name": "Noir", "referenceImages": [input_id]}
    assert (await world.client.put("/api/projects/film/styles/noir", json=style)).status_code == 201
    nobodys = str(UUID(int=7))
    mine = {"projectId": "mine", "jobType": "generate", "prompt": "x", "width": 64, "height": 64, "branchId": "main"}
    for theirs_named, nobodys_named in (
        ({"visualStyleCapsuleId": "noir"}, {"visualStyleCapsuleId": "none"}),
        ({"referenceImages": [{"inputId": input_id}]}, {"referenceImages": [{"inputId": nobodys}]}),
        ({"sourceImage": {"inputId": input_id}}, {"sourceImage": {"inputId": nobodys}}),
        ({"sourceImage": {"jobId": theirs}}, {"sourceImage": {"jobId": nobodys}}),
    ):
        answers = [
            await world.client.post("/api/images/generate", json={**mine, **named}, headers=key)
            for named in (theirs_named, nobodys_named)
        ]
        assert answers[0].status_code == 422
        assert answers[0].content == answers[1].content, theirs_named
    bodies = [
        await world.client.put("/api/projects/mine/styles/s", json={"name": "n", "referenceImages": [one]}, headers=key)
        for one in (input_id, nobodys)
    ]
    assert (bodies[0].status_code, bodies[0].content) == (422, bodies[1].content)
    for query in (f"batchId={nobodys}", "projectId=film", ""):
        listed = await world.client.get(f"/api/images/jobs?{query}", headers=key)
        assert listed.json() == {"jobs": [], "nextCursor": None}


async def test_a7_a_replay_is_for_whoever_may_make_it_and_a_key_means_nothing_elsewhere(world: World) -> None:
    first = (await world.generate(idempotencyKey="k", n=2)).json()
    again = {"projectId": "film", "jobType": "generate", "prompt": "a red fox", "width": 64, "height": 64, "n": 2}
    callers = [
        (await member(world, "editor", Role.EDITOR), 200),
        (await member(world, "viewer", Role.VIEWER), 403),
        (await bound_key(world, Scope.READ, project="film"), 403),
        (await bound_key(world, Scope.WRITE), 404),
        (as_user("nobody"), 404),
    ]
    for headers, status in callers:
        replayed = await world.client.post("/api/images/generate", json={**again, "idempotencyKey": "k"}, headers=headers)
        assert replayed.status_code == status, replayed.text
        assert (first["jobId"] in replayed.text) is (status == 200)
    elsewhere = await world.client.post(
        "/api/images/generate", json={**again, "projectId": "mine", "idempotencyKey": "k"}, headers=callers[3][0]
    )
    assert elsewhere.status_code == 202
    assert first["jobId"] not in elsewhere.text


@pytest.mark.parametrize("path", ["/api/images/jobs/", "/api/projects/film/", "/api/images/inputs/?projectId=film"])
async def test_an_address_with_a_slash_too_many_is_not_there_and_leads_nowhere(world: World, path: str) -> None:
    """A redirect would name this service as its proxy calls it: over plain HTTP, and with the credential."""
    answer = await world.client.get(path, headers={"host": "other.test"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "location" not in answer.headers


@contextmanager
def asked_of(world: World, query: str) -> Iterator[httpx2.AsyncClient]:
    """The API with this ownership query."""
    deps = replace(world.deps, policy=replace(world.deps.policy, ownership_query=query))
    transport = httpx2.ASGITransport(create_app(deps, tokens=tokens_by_secret()), raise_app_exceptions=False)
    yield httpx2.AsyncClient(transport=transport, base_url="http://x.test")


async def test_a12_an_owner_among_any_number_is_found(world: World) -> None:
    with asked_of(world, "SELECT 'u' || n FROM generate_series(1, 2500) AS n WHERE $1::text = 'film'") as client:
        assert (await client.get("/api/projects/film", headers=as_user("u2500"))).status_code == 200
        assert (await client.get("/api/projects/film", headers=as_user("u2501"))).status_code == 404


async def test_a12_a_number_too_large_for_the_column_is_nobodys(world: World) -> None:
    with asked_of(world, "SELECT 'u' WHERE $1::int4 > 0") as client:
        for project_id, status in (("7", 200), ("4294967303", 404), (f"{2**64}", 404), ("07", 404), ("-7", 404)):
            answer = await client.get(f"/api/projects/{project_id}", headers=as_user("u"))
            assert answer.status_code == status, project_id


async def test_a12_a_slow_ownership_query_holds_up_those_only_who_need_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "STATEMENT_MILLISECONDS", 60_000)  # none is given up before the test has looked
    monkeypatch.setattr(users, "_ANSWER_SECONDS", 60.0)
    await world.generate()
    await world.scalar("CREATE TABLE public.owners (project text, owner text)")
    with asked_of(world, "SELECT owner FROM public.owners WHERE project = $1") as client:
        async with world.deps.database.transaction() as tx:
            await tx.execute("LOCK TABLE public.owners IN ACCESS EXCLUSIVE MODE")
            paths = [f"/api/projects/p{number}" for number in range(20)]
            asking = [asyncio.create_task(client.get(path, headers=as_user("u"))) for path in paths]
            while await tx.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'") < 4:
                await asyncio.sleep(0)
            answer = await client.get("/api/images/jobs", headers=dict(world.client.headers))
            assert (answer.status_code, any(task.done() for task in asking)) == (200, False)
        assert {answer.status_code for answer in await asyncio.gather(*asking)} <= {404, 503}


async def test_a12_who_is_admin_by_the_query_cannot_make_that_last_beyond_it(world: World) -> None:
    await world.generate()
    async with world.deps.database.transaction() as tx:
        await tx.execute("CREATE TABLE public.owners (project text, owner text)")
        await tx.execute("INSERT INTO public.owners VALUES ('film', 'owner')")
    with asked_of(world, "SELECT owner FROM public.owners WHERE project = $1") as client:
        path = "/api/projects/film/members/owner"
        pinned = await client.put(path, json={"role": "admin"}, headers=as_user("owner"))
        assert pinned.status_code == 403
        await world.scalar("DELETE FROM public.owners RETURNING 1")
        await world.scalar("UPDATE imagejobs.members SET confirmed_at = now() - interval '1 hour' RETURNING 1")
        assert (await client.get("/api/projects/film", headers=as_user("owner"))).status_code == 404


async def test_x16_a_pictures_tag_follows_from_its_key_so_that_no_stranger_has_whole_pictures_hashed(world: World) -> None:
    """Under a key the bytes never change; ten megabytes would stop the API for twenty milliseconds with each request."""
    job = await world.work_off((await world.generate()).json()["jobId"])
    tags = [(await world.client.get(str(job.public_url), headers={"range": "bytes=0-0"})).headers["etag"]]
    await world.deps.storage.put(str(job.storage_path), a_png(), "image/png")
    tags.append((await world.client.get(str(job.public_url), headers={"range": "bytes=0-0"})).headers["etag"])
    other = await world.work_off((await world.generate()).json()["jobId"])
    tags.append((await world.client.get(str(other.public_url))).headers["etag"])
    assert tags[0] == tags[1] != tags[2]


class Leaving(Scripted):
    """A provider that takes its model away."""

    is_gone = False

    def quote(self, request: GenerationRequest) -> Quote:
        if self.is_gone:
            raise ModelUnavailable("scripted-1 was shut down; name another.")
        return super().quote(request)


async def test_a16_a_retry_with_a_model_that_is_gone_is_refused_like_a_new_job_with_it(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> None:
    provider = Leaving(errors=deque([ContentRefused("no")]))
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        job_id = (await world.generate()).json()["jobId"]
        assert (await world.work_off(job_id)).status == "failed"
        provider.is_gone = True
        answer = await world.client.post(f"/api/images/jobs/{job_id}/retry")
        assert (answer.status_code, answer.json()["reason"], answer.json()["code"]) == (422, "unknown_model", "PERMANENT")
        assert (await world.job(job_id)).status == "failed"
