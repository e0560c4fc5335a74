"""What every answer says of itself, over every route of the OpenAPI document; and that the name of the host opens nothing.

Rows X7, X9, X10 and X18 of the table of faults.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import httpx2
import pytest

from imagejobs.app.keys import create_key
from imagejobs.domain.access import Scope
from imagejobs.web.server import create_app
from tests.integration.test_hostile_requests import ROUTES
from tests.integration.test_walker import OPEN, THEIRS, Ids, Route, filled, theirs
from tests.support.tokens import tokens_by_secret
from tests.support.world import BASE, World

pytestmark = pytest.mark.database

PAGE = "http://page.test"
PROBLEM = {"type", "title", "status", "detail", "code", "reason", "error"}


@pytest.fixture
async def site(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    """The API with pages of another origin allowed; nobody is signed in."""
    app = create_app(world.deps, tokens=tokens_by_secret(), cors_origins=[PAGE])
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


def require_careful(answer: httpx2.Response, *, is_picture: bool = False) -> None:
    """Nothing is to be kept by caches, framed, run, or taken for another type; and every refusal is a problem."""
    said = (str(answer.request.method), str(answer.request.url), answer.status_code, dict(answer.headers))
    assert answer.headers["x-content-type-options"] == "nosniff", said
    assert "default-src 'none'" in answer.headers["content-security-policy"], said
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], said
    assert answer.headers["referrer-policy"] == "no-referrer", said
    cached = answer.headers["cache-control"]
    assert cached.startswith("public") if is_picture else cached in ("no-store", "private, no-cache"), said
    assert not 300 <= answer.status_code < 400 or answer.status_code == 304, said
    assert "set-cookie" not in answer.headers, said
    assert answer.headers.get("location", "/").startswith("/"), said
    if answer.is_error:
        assert answer.headers["content-type"] == "application/problem+json", said
        assert answer.request.method == "HEAD" or answer.json().keys() >= PROBLEM, said


def asked(route: Route, ids: Ids) -> dict[str, Any]:
    return filled(route, ids) if "security" in route.operation else {"method": route.method, "url": route.path}


async def test_x10_every_answer_of_every_route_is_careful(world: World, site: httpx2.AsyncClient) -> None:
    ids = await theirs(world)
    await world.work_off(ids.job_id)  # so that its stream has an end
    owner = await create_key(world.deps.database, "owner", scopes=(Scope.ADMIN,), project_ids=(THEIRS,))
    stranger = await create_key(world.deps.database, "stranger", project_ids=("mine",))
    seen = set()
    for route in ROUTES:
        request = asked(route, ids)
        for headers in as_many((str(owner), str(stranger), "nonsense", None)):
            answer = await site.request(**{**request, "headers": {**request.get("headers", {}), **headers}})
            require_careful(answer)
            seen.add(answer.status_code)
        for method in ("OPTIONS", "HEAD", "TRACE", "PROPFIND"):
            require_careful(await site.request(method, request["url"]))
    assert seen >= {200, 201, 202, 204, 401, 404, 409}


def as_many(tokens: Sequence[str | None]) -> Iterator[dict[str, str]]:
    """The headers of those who send these tokens, as programs, as pages, and as readers of a stream."""
    for token in tokens:
        for further in ({}, {"accept": "text/event-stream"}, {"origin": PAGE}, {"if-none-match": "*", "range": "bytes=0-"}):
            yield {**further, **({"authorization": f"Bearer {token}"} if token else {})}


async def test_x7_x10_a_picture_may_be_kept_and_what_is_none_may_not(world: World, site: httpx2.AsyncClient) -> None:
    job_id = (await world.generate()).json()["jobId"]
    job = await world.work_off(job_id)
    picture = await site.get(f"/files/{job.storage_path}")
    assert picture.headers["content-type"] == "image/png"
    require_careful(picture, is_picture=True)
    for headers in ({"if-none-match": picture.headers["etag"]}, {"range": "bytes=0-9"}, {"range": "bytes=99999999-"}):
        answer = await site.get(f"/files/{job.storage_path}", headers=headers)
        assert answer.status_code in (304, 206, 416)
        if answer.status_code != 416:
            require_careful(answer, is_picture=True)
        assert answer.headers["x-content-type-options"] == "nosniff"
    for path in ("/files/a", f"/files/{job.storage_path}x", "/files/", "/nowhere", "/api/nowhere", "/", "/api/images/jobs/"):
        require_careful(await site.get(path))
    require_careful(await site.get("/openapi.json"))


async def test_x10_a_fault_of_ours_is_careful_too(
    world: World, site: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> object:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(type(world.deps.database), "connection", broken)
    answer = await site.get("/api/images/jobs", headers={"authorization": world.client.headers["authorization"]})
    assert answer.status_code == 500
    require_careful(answer)


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1:3001", "[::1]", "169.254.169.254", "a" * 300])
async def test_x9_x18_a_host_name_and_a_loopback_address_open_nothing(world: World, host: str) -> None:
    """A page whose name was pointed at this machine (rebinding) reads what everybody may read, and no more: nobody is let in
    for coming from here, nothing rides along that a browser would add, and no answer repeats the name.
    """
    ids = await theirs(world)
    app = create_app(world.deps, tokens=tokens_by_secret())
    transport = httpx2.ASGITransport(app, client=("127.0.0.1", 50_000))
    origin = {"host": host, "origin": f"http://{host}", "cookie": "session=1; imagejobs=1", "x-forwarded-host": host}
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
        for route in ROUTES:
            request = asked(route, ids)
            answers = [await client.request(**{**request, "headers": headers}) for headers in (origin, {})]
            assert answers[0].content == answers[1].content, route
            assert answers[0].headers.raw == answers[1].headers.raw, route
            assert (answers[0].status_code == 401) != (str(route) in OPEN), route
            assert "access-control-allow-origin" not in answers[0].headers or route.path.startswith("/files"), route
