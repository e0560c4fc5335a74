"""Hostile words at every place of every request that the OpenAPI document knows, and hostile bytes on the wire: never a 500.

Rows C10, C11, C12, C14, C17, C20, X13 and X14 of the table of faults.
"""

import asyncio
import json
import logging
import re
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from imagejobs.web.limits import MAX_HEAD_BYTES
from tests.integration.test_walker import SCHEMAS, Ids, Route, filled, theirs, value_for
from tests.support.declared import DOCUMENT
from tests.support.serving import Serving, serving
from tests.support.world import SOON, World

pytestmark = pytest.mark.database

ROUTES = [
    Route(method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
JSON = {"content-type": "application/json"}
NUL, SURROGATE = "a\x00b", "\ud800"
REFUSED = [
    NUL,
    SURROGATE,
    "\ud83d",
    float("nan"),
    float("inf"),
    "RAW:1e999",
    "RAW:" + "[" * 3_000 + "]" * 3_000,
    {"a": {NUL: 1}},
]
ANY: list[Any] = [
    *("'; DROP TABLE projects; --", "' OR '1'='1", "%", "_", "$1", "\\", '"', "../../etc/passwd", "\r\nset-cookie: a=b", ""),
    *("\u202egnp.exe", "e\u0301\u200d\U0001f98a", "x" * 40_000, "\x7f\x1b[31m", "0", "-1", "null", None, True, -1, 0, 1.5),
    *(2**63, -(2**63) - 1, "RAW:" + "9" * 4_000, "RAW:-0", [], {}, [[]], [None], {"a": 1}),
]


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema behind references, and that of what may be null."""
    while "$ref" in schema or "anyOf" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema["anyOf"][0]
    return schema


def with_each_place(schema: Mapping[str, Any], value: Any, ids: Ids, name: str = "body") -> Iterator[tuple[str, Any]]:
    """The least that the schema takes, again and again, with `value` in another place each time."""
    yield name, value
    schema = resolved(schema)
    if schema.get("type") == "array":
        for place, inner in with_each_place(schema["items"], value, ids, name):
            yield f"{place}[]", [inner]
    if schema.get("type") != "object":
        return
    least = value_for(schema, ids, name)
    for member, described in schema.get("properties", {}).items():
        for place, inner in with_each_place(described, value, ids, member):
            yield f"{name}.{place}", {**least, member: inner}


def text_of(document: Any) -> str:
    return re.sub(r'"RAW:([^"]*)"', r"\1", json.dumps(document))


def body_schema(route: Route) -> Mapping[str, Any] | None:
    schema: Mapping[str, Any] | None = (
        route.operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    )
    return schema


def with_bodies() -> list[Route]:
    """One route for each kind of body."""
    return list({str(body_schema(route)): route for route in ROUTES if body_schema(route)}.values())


@pytest.mark.parametrize("route", with_bodies(), ids=str)
async def test_c10_c11_c12_c14_x13_no_word_in_any_member_of_a_body_makes_a_500(world: World, route: Route) -> None:
    ids = await theirs(world)
    request = filled(route, ids)
    schema = body_schema(route)
    assert schema is not None
    sent = 0
    for value in (*REFUSED, *ANY):
        for place, document in with_each_place(schema, value, ids):
            answer = await world.client.request(
                route.method, request["url"], params=request["params"], content=text_of(document), headers=JSON
            )
            said = f"{place} = {str(value)[:40]!r}: {answer.status_code} {answer.text[:200]}"
            assert answer.status_code < 500, said
            assert value not in REFUSED or answer.is_client_error, said
            assert answer.is_success or answer.headers["content-type"] == "application/problem+json", said
            sent += 1
    assert sent >= 2 * len([*REFUSED, *ANY])
    assert (await world.client.get(f"/api/projects/{ids.project_id}")).status_code == 200


WRONG: Mapping[str, list[Any]] = {
    "boolean": ["yes", "no", "true", "", 1, 0, 1.0, [], {}],
    "integer": ["1", 1.0, 1.5, True, [], {}],
    "number": ["1", "1.5", True, [], {}],
    "string": [1, 1.5, True, [], {}],
    "array": ["x", 1, True, {}, {"0": "x"}],
    "object": ["x", 1, True, []],
}


def of_another_type(schema: Mapping[str, Any], ids: Ids, name: str = "body") -> Iterator[tuple[str, Any]]:
    """The least that the schema takes, again and again, with something of another type in another place each time."""
    schema = resolved(schema)
    kind = schema.get("type", "string")
    for value in WRONG[kind]:
        yield f"{name} = {value!r}", value
    if kind == "array":
        yield from ((place, [inner]) for place, inner in of_another_type(schema["items"], ids, f"{name}[]"))
    if kind == "object":
        least = value_for(schema, ids, name)
        for member, described in schema.get("properties", {}).items():
            for place, inner in of_another_type(described, ids, member):
                yield f"{name}.{place}", {**least, member: inner}


@pytest.mark.parametrize("route", with_bodies(), ids=str)
async def test_a16_nothing_of_another_type_is_taken_for_what_it_resembles(world: World, route: Route) -> None:
    """No "yes" for true, no "1" and no 1.0 for 1: what a caller did not say is not guessed, least of all about money."""
    ids = await theirs(world)
    url, params = filled(route, ids)["url"], filled(route, ids)["params"]
    for place, document in of_another_type(body_schema(route) or {}, ids):
        answer = await world.client.request(route.method, url, params=params, json=document)
        assert answer.status_code == 422 or (answer.status_code, place[:6]) == (400, "body ="), (place, answer.text)


@pytest.mark.parametrize("route", with_bodies(), ids=str)
async def test_x14_no_body_takes_a_member_that_is_not_described(world: World, route: Route) -> None:
    ids = await theirs(world)
    request = filled(route, ids)
    schema = resolved(body_schema(route) or {})
    known = {*schema["properties"]}
    for member in ("status", "costCredits", "id", "jobId", "createdBy", "isAdmin", "scopes", "project_id", "__proto__", ""):
        answer = await world.client.request(**{**request, "json": {**request["json"], member: "admin"}})
        assert member in known or (answer.status_code, answer.json()["reason"]) == (422, "invalid_field"), member


PATH_WORDS = [
    "%00",
    "a%00b",
    "%ff",
    "%c0%80",
    "..%2f..%2fetc",
    "%0d%0aset-cookie:%20a=b",
    "%27;--",
    "{}",
    "%E2%80%AE",
    "a" * 5_000,
]
QUERY_WORDS = [
    *PATH_WORDS,
    "",
    "1e999",
    "-1",
    str(2**70),
    "NaN",
    "%20",
    "%25",
    "2026-13-45T99:99:99Z",
    "-292277-01-27T08:29:52Z",
    "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-14:00",
]


async def test_c12_c17_c19_x13_no_word_in_a_path_or_query_makes_a_500(world: World) -> None:
    ids = await theirs(world)
    await world.work_off(ids.job_id)  # so that its stream has an end
    for route in ROUTES:
        for place, word, request in with_each_word(route, ids):
            answer = await world.client.request(route.method, **request)
            told = f"{route} {place} = {word[:40]}: {answer.status_code} {answer.text[:200]}"
            assert answer.status_code < 500, told
            assert "%00" not in word or answer.is_client_error, told
            assert "set-cookie" not in answer.headers, told


def with_each_word(route: Route, ids: Ids) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """A request that the owner may make, again and again, with a word at another place of its address each time."""
    request: dict[str, Any] = {"url": route.path, "params": {}}
    request |= filled(route, ids) if "security" in route.operation else {}
    further: dict[str, Any] = {name: request[name] for name in ("content", "json", "headers") if name in request}
    for parameter in route.operation.get("parameters", ()):
        name, is_path = parameter["name"], parameter["in"] == "path"
        if parameter["in"] == "header":
            continue  # see the test of headers
        if name == "last_event_id":
            further["headers"] = {"accept": "text/event-stream"}
        for word in PATH_WORDS if is_path else QUERY_WORDS:
            url = _with(route.path, name, word, ids) if is_path else request["url"]
            query = {other: quote(str(value)) for other, value in request["params"].items()} | (
                {} if is_path else {name: word}
            )
            yield name, word, {"url": url + "?" + "&".join(f"{other}={value}" for other, value in query.items()), **further}


def _with(path: str, parameter: str, word: str, ids: Ids) -> str:
    """The path with the word at one place and what exists at the others."""
    path = path.replace(f"{{{parameter}}}", word)
    return re.sub(r"\{(\w+)\}", lambda found: quote(ids.of(found[1]) or "x"), path)


async def test_c10_giants_are_refused_at_once(world: World) -> None:
    good = {"projectId": "film", "jobType": "generate", "prompt": "a fox"}
    many = json.dumps({**good, **{f"k{number}": 0 for number in range(20_000)}})
    twice = '{"projectId": "film", "jobType": "generate", "prompt": "first", "prompt": "last", "width": 64, "height": 64}'
    began = asyncio.get_running_loop().time()
    answer = await world.client.post("/api/images/generate", content=many, headers=JSON)
    assert (answer.status_code, "and 19995 more" in answer.json()["detail"]) == (422, True)
    answer = await world.client.post(
        "/api/images/generate", content=json.dumps({**good, "prompt": "x" * 10_000_000}), headers=JSON
    )
    assert answer.status_code == 413
    assert asyncio.get_running_loop().time() - began < SOON
    made = await world.client.post("/api/images/generate", content=twice, headers=JSON)
    assert (await world.read(made.json()["jobId"]))["prompt"] == "last"  # as every reader of JSON that we know of


@pytest.fixture
async def api(world: World, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Serving]:
    """The API on a real socket; afterwards it must be well, and have met no fault of its own."""
    async with serving(world.deps, world.client.headers) as opened:
        yield opened
        assert (await opened.client.get("/healthz")).status_code == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def said(api: Serving, raw: bytes, address: str = "127.0.0.1") -> bytes:
    """All that the server says to these bytes and the end of the sending, from an address of this machine."""
    port = urlsplit(str(api.client.base_url)).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    answer = b""
    try:
        writer.write(raw)
        async with asyncio.timeout(SOON):
            while part := await reader.read(65_536):
                answer += part
    except TimeoutError:
        raise AssertionError(f"no end of the answer {answer!r} to {raw[:200]!r}") from None
    except ConnectionError:
        pass
    writer.close()
    return answer


def a_get(path: bytes = b"/api/images/jobs", *headers: bytes) -> bytes:
    return b"\r\n".join([b"GET " + path + b" HTTP/1.1", b"Host: a", b"Connection: close", *headers, b"", b""])


HEADERS = (
    *(b"Authorization", b"Idempotency-Key", b"If-None-Match", b"Prefer", b"Last-Event-ID", b"Accept", b"Range", b"If-Range"),
    *(b"Origin", b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host", b"Content-Type", b"Cookie", b"Expect"),
    *(b"Upgrade", b"Access-Control-Request-Method", b"Content-Length", b"Transfer-Encoding", b"Host"),
)
WORDS = (
    b"\xff\xfe",
    b"\x80",
    b"x" * 10_000,
    b"wait=" + b"9" * 5_000,
    b"Bearer \xc3\x28.\xff.x",
    b",,;;==",
    b'"',
    b"-1",
    b"",
    b"a\x00b",
)


async def test_c11_c12_c20_no_word_in_any_header_makes_a_500(world: World, api: Serving) -> None:
    key = b"Authorization: " + world.client.headers["authorization"].encode()
    job_id = (await world.generate()).json()["jobId"]
    await world.work_off(job_id)  # so that nobody waits for it
    job = f"/api/images/jobs/{job_id}".encode()
    body = b'{"projectId":"film","jobType":"generate","prompt":"a fox","width":64,"height":64}'
    post = [b"Content-Length: %d" % len(body), b"Content-Type: application/json"]
    for name in HEADERS:
        for word in WORDS:
            further = [b": ".join((name, word)), *([] if name == b"Authorization" else [key])]
            for path in (b"/api/images/jobs", job, b"/files/a"):
                answer = await said(api, a_get(path, *further))
                assert re.match(rb"HTTP/1.1 (200|204|304|4\d\d) ", answer), (name, word[:20], answer[:300])
            kept = [line for line in post if not line.startswith(name)]
            answer = await said(api, a_get(b"/api/images/generate", *further, *kept).replace(b"GET", b"POST", 1) + body)
            assert re.match(rb"HTTP/1.1 (100|200|202|4\d\d) ", answer), (name, word[:20], answer[:300])


CHUNKED = b"Transfer-Encoding: chunked"
SECOND = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SMUGGLED = {
    "two lengths": (b"Content-Length: 0", b"Content-Length: %d" % len(SECOND)),
    "length and chunks": (b"Content-Length: %d" % len(SECOND), CHUNKED),
    "chunks and length": (CHUNKED, b"Content-Length: 4"),
    "a space before the colon": (b"Transfer-Encoding : chunked",),
    "chunks by another name": (b"Transfer-Encoding: xchunked",),
    "a folded header": (b"Content-Length: 1", b" 2"),
    "a signed length": (b"Content-Length: +5",),
    "a length in two parts": (b"Content-Length: 0, %d" % len(SECOND),),
    "a bare line end": (b"X: a\nTransfer-Encoding: chunked",),
    "a bare return": (b"X: a\rContent-Length: 5",),
    "no name": (b": x",),
    "a name with a space": (b"Content Length: 5",),
    "a name with NUL": (b"Con\x00tent-Length: 5",),
}


@pytest.mark.parametrize("headers", SMUGGLED.values(), ids=list(SMUGGLED))
async def test_c20_what_can_be_read_two_ways_is_not_read(api: Serving, headers: tuple[bytes, ...]) -> None:
    raw = b"\r\n".join([b"POST /api/images/quote HTTP/1.1", b"Host: a", *headers, b"", b""])
    answer = await said(api, raw + b"0\r\n\r\n" + SECOND)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b'"ok"' not in answer


NO_HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /\r\n\r\n",
    b"\x00" * 1_000,
    b"FOO BAR BAZ\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
]


@pytest.mark.parametrize(
    "raw", [*NO_HTTP, a_get(b"/api/\xff\xfe"), a_get(b"/a b"), a_get(b"/\x00")], ids=range(len(NO_HTTP) + 3)
)
async def test_c20_what_is_no_http_is_refused(api: Serving, raw: bytes) -> None:
    assert (await said(api, raw))[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ",
        b"GET /",
        b"POST /api/images/quote HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"\r\n\r\n0\r\nX: ",
    ],
    ids=["header", "target", "trailer"],
)
async def test_c20_a_head_without_an_end_is_cut_off(api: Serving, begun: bytes) -> None:
    port = urlsplit(str(api.client.base_url)).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sent, answer = 0, asyncio.create_task(reader.read(1_000))
    with suppress(ConnectionError):
        async with asyncio.timeout(SOON):
            writer.write(begun)
            while not writer.transport.is_closing() and not answer.done() and sent < 64 * MAX_HEAD_BYTES:
                writer.write(b"x" * 16_384)
                await writer.drain()
                sent += 16_384
                await asyncio.sleep(0)
    assert sent < 64 * MAX_HEAD_BYTES
    answer.cancel()
    await asyncio.gather(answer, return_exceptions=True)
    writer.close()


async def test_c20_a_large_head_that_ends_is_read_whatever_its_body(world: World, api: Serving) -> None:
    key = b"Authorization: " + world.client.headers["authorization"].encode()
    assert (await said(api, a_get(b"/api/images/jobs", key, b"X: " + b"x" * 30_000))).startswith(b"HTTP/1.1 200 ")
    body = b'{"projectId":"film","jobType":"generate","prompt":"a fox","tags":["' + b"x" * 200_000 + b'"]}'
    head = a_get(b"/api/images/generate", key, b"Content-Type: application/json", b"Content-Length: %d" % len(body))
    assert b"tags.0" in await said(api, head.replace(b"GET", b"POST", 1) + body)


async def test_c20_x10_another_host_is_never_repeated(api: Serving) -> None:
    for path in (
        b"/api/images/jobs/",
        b"/healthz/",
        b"/files",
        b"//evil.example/a",
        b"http://evil.example/healthz",
        b"/api/images/jobs",
    ):
        answer = await said(api, a_get(path, b"X-Forwarded-Host: evil.example").replace(b"Host: a", b"Host: evil.example"))
        assert not re.match(rb"HTTP/1.1 3", answer), answer
        assert b"evil.example" not in answer
