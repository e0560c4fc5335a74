"""A page of another origin may call the API, and read whatever it answers (A15); a page of a third may not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from imagejobs.errors import DatabaseUnavailable
from imagejobs.web.cors import EXPOSED_HEADERS, METHODS, REQUEST_HEADERS
from imagejobs.web.server import create_app
from tests.support.world import BASE, World

pytestmark = pytest.mark.database

PAGE = "http://localhost:5173"


@pytest.fixture
async def page(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    """What a browser's page sends, and sees."""
    app = create_app(world.deps, cors_origins=[PAGE])
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    headers = {"origin": PAGE, "authorization": world.client.headers["authorization"]}
    async with httpx2.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        yield client


def may_read(answer: httpx2.Response) -> bool:
    return answer.headers.get("access-control-allow-origin") == PAGE and "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("method", METHODS)
async def test_a15_preflight_allows_each_method_with_all_headers(page: httpx2.AsyncClient, method: str) -> None:
    wanted = {
        "access-control-request-method": method,
        "access-control-request-headers": ", ".join(name.lower() for name in REQUEST_HEADERS),
    }
    answer = await page.options("/api/images/jobs/x", headers=wanted)
    assert answer.status_code == 200
    assert may_read(answer)
    assert method in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert all(name.lower() in allowed for name in REQUEST_HEADERS)
    assert int(answer.headers["access-control-max-age"]) > 0


async def test_a15_answers_and_all_errors_can_be_read(
    world: World, page: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await page.post(
        "/api/images/generate", json={"projectId": "film", "jobType": "generate", "prompt": "x", "width": 64, "height": 64}
    )
    calls: list[tuple[int, str, str, dict[str, Any]]] = [
        (200, "GET", f"/api/images/jobs/{made.json()['jobId']}", {}),
        (400, "POST", "/api/images/generate", {"content": b"{", "headers": {"content-type": "application/json"}}),
        (401, "GET", "/api/images/jobs", {"headers": {"authorization": ""}}),
        (404, "GET", "/api/images/jobs/x", {}),
        (404, "GET", "/nowhere", {}),
        (405, "DELETE", "/api/images/generate", {}),
        (413, "POST", "/api/images/generate", {"content": b"x" * 300_000}),
        (422, "POST", "/api/images/generate", {"json": {"projectId": "film"}}),
    ]
    answers = [(made, 202)]
    for status, method, path, content in calls:
        answers.append((await page.request(method, path, **content), status))
    with monkeypatch.context() as patch:
        patch.setattr(type(world.deps.database), "connection", _away)
        answers.append((await page.get("/api/images/jobs"), 503))
        patch.setattr(type(world.deps.database), "connection", _broken)
        answers.append((await page.get("/api/images/jobs"), 500))
    for answer, status in answers:
        assert (answer.status_code, may_read(answer)) == (status, True), answer.request.url
        exposed = answer.headers["access-control-expose-headers"]
        assert all(name in exposed for name in EXPOSED_HEADERS)


def _away(_: object) -> object:
    raise DatabaseUnavailable("away")


def _broken(_: object) -> object:
    raise RuntimeError("a fault of ours")


async def test_a15_other_origins_get_nothing_and_caches_are_told(world: World, page: httpx2.AsyncClient) -> None:
    answer = await page.get("/api/images/jobs", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert "Origin" in answer.headers["vary"]
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    refused = await page.options("/api/images/generate", headers=asked)
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
    plain = await world.client.get("/api/images/jobs")
    assert "access-control-allow-origin" not in plain.headers
    transport = httpx2.ASGITransport(create_app(replace(world.deps), cors_origins=[PAGE]))
    async with httpx2.AsyncClient(transport=transport, base_url=BASE, headers=world.client.headers) as same_origin:
        assert "Origin" in (await same_origin.get("/api/images/jobs")).headers["vary"]


async def test_a15_a_stream_can_be_read(world: World, page: httpx2.AsyncClient) -> None:
    job_id = (await world.generate()).json()["jobId"]
    await world.work_off(job_id)
    answer = await page.get(f"/api/images/jobs/{job_id}/events", headers={"accept": "text/event-stream"})
    assert may_read(answer)
    assert answer.text.count("\nid: ") == len(await world.events(job_id))
