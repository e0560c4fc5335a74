"""Limits that refuse before they lose: requests a minute by key and by address, and the depth of the queue."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send

from imagejobs.app.caches import Memory
from imagejobs.app.keys import create_key
from imagejobs.domain.access import KeyText
from imagejobs.web.rates import RateLimit, Rates
from imagejobs.web.server import create_app
from tests.support.serving import serving
from tests.support.tokens import as_user, tokens_by_secret
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
    began = time.monotonic()
    first = await limited.get("/api/images/jobs")
    assert first.headers["ratelimit-policy"] == '"address";q=5;w=60, "key";q=3;w=60'
    assert first.headers["ratelimit"] == '"address";r=4;t=12, "key";r=2;t=20'
    others = [await limited.get("/api/images/jobs") for _ in range(3)]
    assert [answer.status_code for answer in others] == [200, 200, 429]
    refused = others[-1]
    assert (refused.json()["code"], refused.json()["reason"]) == ("RATE_LIMIT", "too_many_requests")
    assert 20 - (time.monotonic() - began) <= int(refused.headers["retry-after"]) <= 20
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


@pytest.fixture
async def guarded(world: World) -> AsyncIterator[tuple[httpx2.AsyncClient, Clock]]:
    """An API that looks at three bad keys of an address in a minute."""
    clock = Clock()
    app = RateLimit(create_app(world.deps, tokens=tokens_by_secret()), Rates(failures_per_address=3), clock)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE) as client:
        yield client, clock


async def test_x5_after_too_many_bad_keys_an_address_gets_no_more_looked_at_but_its_good_callers_go_on(
    world: World, guarded: tuple[httpx2.AsyncClient, Clock]
) -> None:
    client, clock = guarded

    async def ask(token: object, **request: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        return await client.request(**{"method": "GET", "url": "/api/images/jobs", "headers": headers, **request})

    good, fresh = [await create_key(world.deps.database, name) for name in ("good", "fresh")]
    user = as_user("a-user")["authorization"][7:]
    assert [(await ask(token)).status_code for token in (good, user)] == [200, 200]
    unread = await ask("guess-0", method="POST", url="/api/images/generate", content=b"{")
    assert unread.status_code == 400  # which proves nothing of its key
    guesses = [await ask(f"guess-{number}") for number in range(5)]
    assert [answer.status_code for answer in guesses] == [401, 401, 401, 429, 429]
    refused = guesses[-1]
    assert (refused.json()["reason"], refused.headers["retry-after"]) == ("too_many_requests", "20")
    assert "refused keys" in refused.json()["detail"]
    assert (await ask("guess-0")).status_code == 429
    assert [(await ask(token)).status_code for token in (good, user, good)] == [200, 200, 200]
    assert (await ask(fresh)).status_code == 429
    assert (await client.get("/api/images/jobs")).status_code == 401  # no key, nothing guessed
    clock.now += 20.01
    assert [(await ask(token)).status_code for token in (fresh, "guess-7", "guess-8", fresh)] == [200, 401, 429, 200]
    await world.scalar("UPDATE imagejobs.api_keys SET revoked_at = now() WHERE id = $1 RETURNING id", good.id)
    world.deps.keys.clear()
    assert [(await ask(good)).status_code for _ in range(2)] == [401, 429]


async def test_x5_guesses_that_come_all_at_once_are_no_more_than_one_after_the_other(
    guarded: tuple[httpx2.AsyncClient, Clock],
) -> None:
    guesses = [{"authorization": f"Bearer {KeyText(id=f'{number:08}', secret='A' * 43)}"} for number in range(20)]
    answers = await asyncio.gather(*(guarded[0].get("/api/images/jobs", headers=guess) for guess in guesses))
    assert sorted(answer.status_code for answer in answers) == [401] * 3 + [429] * 17


async def test_c20_x5_only_a_proxy_that_is_trusted_says_who_sends(world: World) -> None:
    """The rate is that of the address that connects; what a stranger says of it counts for nothing."""
    key = world.client.headers["authorization"]
    rated = create_app(world.deps, rates=Rates(per_address=2))
    async with serving(world.deps, world.client.headers, rated) as api:
        for peer, statuses in (("127.0.0.2", [200, 200, 429, 429]), ("127.0.0.1", [200, 200, 200, 200])):
            transport = httpx2.AsyncHTTPTransport(local_address=peer)
            async with httpx2.AsyncClient(transport=transport, base_url=api.client.base_url) as client:
                told = [{"authorization": key, "x-forwarded-for": f"198.51.100.{number}"} for number in range(4)]
                answers = [await client.get("/api/images/jobs", headers=headers) for headers in told]
            assert [answer.status_code for answer in answers] == statuses, peer


async def test_a_full_queue_refuses_new_jobs_but_knows_old_ones(world: World) -> None:
    policy = replace(world.deps.policy, max_queued=4, max_queued_per_project=3)
    deps = replace(world.deps, policy=policy, depths=Memory(60.0))  # until the test has it count again
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
