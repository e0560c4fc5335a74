"""Limits that refuse before they lose: requests a minute by key and by address, and the depth of the queue."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send

from imagejobs.app.caches import DEPTH_SECONDS, Memory
from imagejobs.web.rates import RateLimit, Rates
from imagejobs.web.server import create_app
from tests.support.world import BASE, World

pytestmark = pytest.mark.database


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def limited(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(world.deps, cors_origins=["http://page.test"], rates=Rates(per_key=3, per_address=5))
    headers = {"authorization": world.client.headers["authorization"], "origin": "http://page.test"}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE, headers=headers) as client:
        yield client


async def test_a16_a_key_over_its_rate_is_told_to_wait_and_pages_can_read_it(limited: httpx2.AsyncClient) -> None:
    first = await limited.get("/api/images/jobs")
    assert first.headers["ratelimit-policy"] == '"address";q=5;w=60, "key";q=3;w=60'
    assert first.headers["ratelimit"] == '"address";r=4;t=12, "key";r=2;t=20'
    others = [await limited.get("/api/images/jobs") for _ in range(3)]
    assert [answer.status_code for answer in others] == [200, 200, 429]
    refused = others[-1]
    assert (refused.json()["code"], refused.json()["reason"]) == ("RATE_LIMIT", "too_many_requests")
    assert 18 <= int(refused.headers["retry-after"]) <= 20
    assert refused.headers["access-control-allow-origin"] == "http://page.test"
    assert "RateLimit" in refused.headers["access-control-expose-headers"]
    assert (await limited.get("/healthz")).status_code == 200
    guessed = await limited.get("/api/images/jobs", headers={"authorization": "Bearer guessed"})
    assert guessed.status_code == 401
    nobody = await limited.get("/api/images/jobs", headers={"authorization": ""})
    assert (nobody.status_code, '"address";r=0' in nobody.headers["ratelimit"]) == (429, True)


async def test_a_bucket_fills_again_with_time() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def status(sender: str) -> int:
        said: list[Message] = []

        async def send(message: Message) -> None:
            said.append(message)

        async def receive() -> Message:
            return {"type": "http.request"}

        scope = {"type": "http", "path": "/api/x", "headers": [], "client": (sender, 1)}
        await limit(scope, receive, send)
        return int(said[0]["status"])

    clock = Clock()
    limit = RateLimit(app, Rates(per_address=60), clock)
    assert [await status("a") for _ in range(61)] == [200] * 60 + [429]
    assert await status("b") == 200
    clock.now += 1.01
    assert [await status("a") for _ in range(2)] == [200, 429]
    clock.now += 3600
    assert [await status("a") for _ in range(61)] == [200] * 60 + [429]
    for number in range(20_001):
        await status(str(number))
    assert limit._by_address is not None
    assert len(limit._by_address._left) == 20_000


async def test_a_full_queue_refuses_new_jobs_but_knows_old_ones(world: World) -> None:
    policy = replace(world.deps.policy, max_queued=4, max_queued_per_project=3)
    deps = replace(world.deps, policy=policy, depths=Memory(DEPTH_SECONDS))
    transport = httpx2.ASGITransport(create_app(deps))
    async with httpx2.AsyncClient(transport=transport, base_url=BASE, headers=world.client.headers) as client:
        busy = replace(world, client=client, deps=deps)
        assert (await busy.generate(n=4)).status_code == 429
        first = await busy.generate(idempotencyKey="k", n=2)
        assert first.status_code == 202
        at_once = await asyncio.gather(*(busy.generate() for _ in range(5)))
        assert sorted(answer.status_code for answer in at_once) == [202, 429, 429, 429, 429]
        deps.depths.clear()
        refused = await busy.generate()
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
        assert "project" in refused.json()["detail"]
        again = await busy.generate(idempotencyKey="k", n=2)
        assert (again.status_code, again.json()["jobId"]) == (200, first.json()["jobId"])
        assert (await busy.generate(projectId="other")).status_code == 202
        assert "queue has room for 4" in (await busy.generate(projectId="third")).json()["detail"]
        assert await world.scalar("SELECT count(*) FROM image_generation_jobs") == 4
        await busy.work_off(first.json()["jobId"])
        deps.depths.clear()
        assert (await busy.generate()).status_code == 202
