"""Whatever is sent, the answer is a problem that names field and limit, never a 500, and nothing is half written."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from imagejobs.app.authenticate import authenticate
from imagejobs.app.keys import create_key
from imagejobs.domain.access import KeyText, Scope
from imagejobs.domain.jobs import JobStatus
from imagejobs.errors import Unauthenticated
from tests.integration.test_walker import Watched
from tests.support.world import World

pytestmark = pytest.mark.database

GOOD = {"projectId": "film", "jobType": "generate", "prompt": "a fox", "width": 64, "height": 64}
URL = "/api/images/generate"


async def rows(world: World) -> int:
    return int(
        await world.scalar(
            "SELECT (SELECT count(*) FROM public.image_generation_jobs) + (SELECT count(*) FROM imagejobs.pgqueuer) + "
            "(SELECT count(*) FROM imagejobs.reservations) + (SELECT count(*) FROM imagejobs.projects)"
        )
    )


FIELDS: list[tuple[dict[str, Any], str, str]] = [
    ({"prompt": ""}, "prompt", "must not be empty: at least 1 character."),
    ({"prompt": "   "}, "prompt", "empty"),
    ({"prompt": "x" * 100_000}, "prompt", "at most 32000 characters"),
    ({"prompt": "a\x00b"}, "prompt", "NUL"),
    ({"prompt": "\ud800"}, "prompt", "Unicode"),
    ({"prompt": 7}, "prompt", "string"),
    ({"prompt": None}, "prompt", "string"),
    ({"width": 0}, "width", "1"),
    ({"width": -5}, "width", "1"),
    ({"width": 32}, "width", "64 to 4096"),
    ({"width": 5_000}, "width", "64 to 4096"),
    ({"height": 100_000}, "height", "16384"),
    ({"height": 512.5}, "height", "integer"),
    ({"height": "512"}, "height", "integer"),
    ({"height": True}, "height", "integer"),
    ({"jobType": "portrait"}, "jobType", "master_asset"),
    ({"jobType": None}, "jobType", "master_asset"),
    ({"projectId": ""}, "projectId", "at least 1"),
    ({"projectId": "p" * 201}, "projectId", "200"),
    ({"projectId": "p\x00"}, "projectId", "NUL"),
    ({"idempotencyKey": "k" * 256}, "idempotencyKey", "255"),
    ({"idempotencyKey": ""}, "idempotencyKey", "at least 1"),
    ({"n": 0}, "n", "1"),
    ({"n": 10_000}, "n", "100"),
    ({"seed": 2**63}, "seed", "9223372036854775807"),
    ({"seed": -1}, "seed", "0"),
    ({"priority": 11}, "priority", "10"),
    ({"deadlineSeconds": 0}, "deadlineSeconds", "1"),
    ({"maxCost": -1}, "maxCost", "0"),
    ({"maxCost": "1.5"}, "maxCost", "must be a number."),
    ({"maxCost": True}, "maxCost", "must be a number."),
    ({"tags": ["t"] * 33}, "tags", "at most 32 items"),
    ({"tags": "t"}, "tags", "list"),
    ({"referenceImages": [{"role": "style"}]}, "referenceImages.0", "url"),
    ({"referenceImages": [{"url": "file:///etc/passwd"}]}, "referenceImages.0.url", "http://"),
    ({"sourceImage": {"url": "http://a", "inputId": "b"}}, "sourceImage", "exactly one"),
    ({"model": "dall-e-3"}, "model", "sketch:sketch-1"),
    ({"model": "sketch:other"}, "model", "sketch:sketch-1"),
    ({"fallback": ["nope"]}, "fallback", "sketch:sketch-1"),
    ({"sourceImage": 7}, "sourceImage", "object"),
    ({"status": "completed"}, "status", "not a known field"),
    ({"costCredits": 0}, "costCredits", "not a known field"),
    ({"seed": -1, "width": 0, "project_id": "film"}, "width", "Wrong too: seed, project_id."),
    ({f"x{number}": 1 for number in range(7)}, "x0", "Wrong too: x1, x2, x3, x4 and 2 more."),
]


@pytest.mark.parametrize(("change", "field", "limit"), FIELDS, ids=lambda value: str(value)[:40])
async def test_a16_a_bad_field_is_named_with_its_limit(world: World, change: dict[str, Any], field: str, limit: str) -> None:
    answer = await world.client.post(
        URL, content=json.dumps({**GOOD, **change}), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["field"] == field
    assert limit in body["detail"]
    assert (body["code"], body["status"]) == ("PERMANENT", 422)
    assert body["error"]["message"] == body["detail"]
    assert await rows(world) == 0


@pytest.mark.parametrize(
    "word", ["yesterday", "2026-11-26", "2026-11-26T00:00:00", "1764115200", "", "2026-13-01T00:00:00Z"]
)
@pytest.mark.parametrize("name", ["createdAfter", "createdBefore"])
async def test_a16_an_instant_is_told_with_its_form(world: World, name: str, word: str) -> None:
    answer = await world.client.get("/api/images/jobs", params={name: word})
    body = answer.json()
    assert (answer.status_code, body["field"]) == (422, name)
    assert body["detail"] == f"{name}: must be an instant with its zone, like 2026-11-26T00:00:00Z."


JSON = {"content-type": "application/json"}
BODIES: list[tuple[bytes, dict[str, str], int, str]] = [
    (b"", JSON, 400, "malformed_request"),
    (b"{", JSON, 400, "malformed_request"),
    (b"[]", JSON, 400, "malformed_request"),
    (b"null", JSON, 400, "malformed_request"),
    (b"\xff\xfe{}", JSON, 400, "malformed_request"),
    (b'{"prompt": NaN}', JSON, 422, "invalid_field"),
    (b'{"width": 1e999}', JSON, 422, "invalid_field"),
    (b'{"width": ' + b"9" * 5000 + b"}", JSON, 400, "malformed_request"),
    (b"[" * 100_000, JSON, 400, "malformed_request"),
    (json.dumps(GOOD).encode(), {"content-type": "text/plain"}, 415, "unsupported_media_type"),
    (json.dumps(GOOD).encode(), {}, 415, "unsupported_media_type"),
    (b"projectId=film", {"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    (b"x" * 300_000, JSON, 413, "body_too_large"),
    (json.dumps(GOOD).encode(), {**JSON, "content-length": "99999999999999999999"}, 413, "body_too_large"),
    (json.dumps(GOOD).encode(), {**JSON, "idempotency-key": "k" * 256}, 400, "malformed_request"),
    (json.dumps(GOOD).encode(), {**JSON, "idempotency-key": " "}, 400, "malformed_request"),
]


@pytest.mark.parametrize(("body", "headers", "status", "reason"), BODIES, ids=range(len(BODIES)))
async def test_a16_a_body_that_cannot_be_read_is_refused_whole(
    world: World, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = await world.client.post(URL, content=body, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert await rows(world) == 0


async def test_a16_a_body_without_an_announced_length_is_cut_at_the_limit(world: World) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 4096

    answer = await world.client.post(URL, content=endless(), headers=JSON)
    assert (answer.status_code, answer.json()["reason"]) == (413, "body_too_large")


async def test_a_key_sent_twice_is_refused(world: World) -> None:
    headers = [("content-type", "application/json"), ("idempotency-key", "a"), ("idempotency-key", "b")]
    answer = await world.client.post(URL, content=json.dumps(GOOD), headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (400, "malformed_request")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a16_other_methods_and_addresses_are_problems_too(world: World, method: str) -> None:
    answer = await world.client.request(method, URL)
    assert (answer.status_code, answer.json()["reason"]) == (405, "method_not_allowed")
    nowhere = await world.client.get("/api/nowhere")
    assert (nowhere.status_code, nowhere.json()["reason"]) == (404, "not_found")


@pytest.mark.parametrize("token", [None, "", "x", "ij_00000000_" + "0" * 49, "é" * 10, "Bearer", "ij_" + "a" * 10_000])
async def test_a16_a_bad_token_is_refused_with_the_same_words(world: World, token: str | None) -> None:
    headers = {} if token is None else {b"authorization": f"Bearer {token}".encode()}
    del world.client.headers["authorization"]
    answer = await world.client.post(URL, json=GOOD, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "AUTH_ERROR"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert await rows(world) == 0


async def test_a12_a_bound_key_reads_and_writes_its_own_project_only(world: World) -> None:
    theirs = (await world.generate(projectId="theirs")).json()["jobId"]
    key = await create_key(world.deps.database, "bound", project_ids=["mine"])
    world.client.headers["authorization"] = f"Bearer {key}"
    assert (await world.generate(projectId="mine")).status_code == 202
    refused = await world.generate(projectId="theirs")
    unknown = await world.generate(projectId="never-made")
    assert refused.status_code == unknown.status_code == 404
    assert refused.json() == unknown.json()
    hidden = await world.client.get(f"/api/images/jobs/{theirs}")
    absent = await world.client.get("/api/images/jobs/01890000-0000-7000-8000-000000000000")
    assert (hidden.status_code, hidden.json()) == (404, absent.json())
    assert (await world.client.get(f"/api/images/jobs/{theirs}/events")).json() == absent.json()
    listed = (await world.client.get("/api/images/jobs", params={"projectId": "theirs"})).json()
    assert listed["jobs"] == []
    everything = (await world.client.get("/api/images/jobs")).json()
    assert {job["projectId"] for job in everything["jobs"]} == {"mine"}


async def test_a_key_without_the_scope_or_revoked_is_refused(world: World) -> None:
    reader = await create_key(world.deps.database, "reader", scopes=[Scope.READ])
    world.client.headers["authorization"] = f"Bearer {reader}"
    assert (await world.generate()).status_code == 403
    maker = await create_key(world.deps.database, "maker", scopes=[Scope.READ, Scope.WRITE])
    world.client.headers["authorization"] = f"Bearer {maker}"
    lacking = await world.generate(projectId="not-made-yet")
    quoted = await world.client.post("/api/images/quote", json={**GOOD, "projectId": "not-made-yet"})
    assert lacking.status_code == 404
    assert "this key lacks the scope projects:create" in lacking.json()["detail"]
    assert lacking.json() == quoted.json()
    await world.scalar("UPDATE imagejobs.api_keys SET revoked_at = now() WHERE id = $1", maker.id)
    world.deps.keys.clear()
    assert (await world.generate()).status_code == 401


async def test_x4_a_wrong_secret_leaves_no_more_trace_than_an_unknown_key(world: World) -> None:
    known, other = [await create_key(world.deps.database, name) for name in ("known", "other")]
    guesses = [KeyText(id=known.id, secret=other.secret), KeyText(id="00000000", secret=known.secret)]
    watched: Any = Watched(world.deps.database)
    asked, answers = [], []
    for guess in guesses:
        watched.statements.clear()
        with pytest.raises(Unauthenticated) as refused:
            await authenticate(replace(world.deps, database=watched), str(guess))
        answers.append(refused.value.detail)
        asked.append([*watched.statements])
    assert (answers[0], asked[0]) == (answers[1], asked[1])
    assert len(asked[0]) == 1
    assert await world.scalar("SELECT last_used_at FROM imagejobs.api_keys WHERE id = $1", known.id) is None
    world.client.headers["authorization"] = f"Bearer {known}"
    assert (await world.client.get("/api/images/jobs")).status_code == 200
    assert await world.scalar("SELECT last_used_at FROM imagejobs.api_keys WHERE id = $1", known.id) is not None


async def test_c13_whatever_people_write_is_kept_as_they_wrote_it(world: World) -> None:
    words = "\U0001f98a\U0001f468\u200d\U0001f469 e\u0301 \u0130 \ufdfa \u202e\u05e9\u202c \u200b <b>&amp;</b> \\u0000"
    made = await world.generate(projectId=words[:200], prompt=words, tags=[words], sceneId=words)
    body = await world.read(made.json()["jobId"])
    assert (body["projectId"], body["prompt"], body["tags"], body["sceneId"]) == (words, words, [words], words)
    found = (await world.client.get("/api/images/jobs", params={"tag": words, "sceneId": words})).json()["jobs"]
    assert [job["jobId"] for job in found] == [body["jobId"]]
    assert (await world.generate(tags=["\U0001f98a" * 64])).status_code == 202  # characters are counted, not bytes
    assert (await world.work_off(body["jobId"])).status is JobStatus.COMPLETED


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(list(GOOD)), inner, max_size=5)
        ),
        max_leaves=12,
    )
)
async def test_a16_no_json_whatever_makes_a_500(world: World, body: object) -> None:
    answer = await world.client.post(URL, content=json.dumps(body), headers=JSON)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
