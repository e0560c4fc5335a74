"""Clients that are slow on purpose, or greedy, on real sockets: each has its time, is let go, and nothing of it stays."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import httpx2
import pytest

from imagejobs.app.keys import create_key
from imagejobs.cli import api as api_command
from imagejobs.web.limits import BODY_SECONDS, HEAD_SECONDS, INPUT_SECONDS, STALLED_SECONDS, BoundedProtocol
from tests.support.serving import Serving, serving, told
from tests.support.sockets import reset, until
from tests.support.world import SOON, World

pytestmark = pytest.mark.database

BODY = b'{"projectId":"film","jobType":"generate","prompt":"a fox","width":64,"height":64}'
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(autouse=True)
def clock_outlives_the_rest(put_forward: Callable[[float], None]) -> None:
    """Whatever was put off by a clock that is ahead would else wait until that time has really come."""


@pytest.fixture
async def api(world: World, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Serving]:
    """The API on a real socket; afterwards it must be well, and have met no fault of its own."""
    async with serving(world.deps, world.client.headers) as opened:
        yield opened
        assert (await opened.client.get("/healthz")).status_code == 200
    assert not [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]


class Caller:
    """One connection, and what the server makes of it."""

    def __init__(self, api: Serving, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._api = api
        self._address = writer.get_extra_info("sockname")
        self._was_served = False

    @property
    def at_server(self) -> BoundedProtocol | None:
        """The server's side of this connection, None before it is there and once it is over."""
        open_ones = self._api.server.server_state.connections
        found = next((one for one in open_ones if isinstance(one, BoundedProtocol) and one.client == self._address), None)
        self._was_served = self._was_served or found is not None
        return found

    @property
    def is_over(self) -> bool:
        """The server, which looks each second too, has hung up."""
        return self.at_server is None and self._was_served

    def send(self, *lines: bytes) -> None:
        self.writer.write(b"\r\n".join(lines))

    async def until_served(self, condition: Callable[[BoundedProtocol], object]) -> None:
        await until(lambda: self.at_server is not None and bool(condition(self.at_server)))

    async def drip(self) -> None:
        """Send byte by byte until the server has taken one that ends nothing, or has hung up."""
        before = self.at_server._idle_bytes if self.at_server is not None else 0
        async with asyncio.timeout(SOON):
            while not self.is_over and (self.at_server is None or self.at_server._idle_bytes <= before):
                self.send(b"x")
                await asyncio.sleep(0.002)

    async def look(self) -> None:
        """Have the server look at this connection, as it does each second."""
        await until(lambda: self.at_server is not None or self.is_over)
        if (served := self.at_server) is not None:
            served.hang_up_if_late()

    async def rest(self) -> bytes:
        """All that comes until the server hangs up."""
        async with asyncio.timeout(SOON):
            return await self.reader.read()

    async def until_over(self) -> None:
        await until(lambda: self.at_server is None)


@asynccontextmanager
async def calling(api: Serving) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(str(api.client.base_url)).port)
    try:
        yield Caller(api, reader, writer)
    finally:
        reset(writer)


def a_post(target: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"POST " + target + b" HTTP/1.1", b"Host: a", *headers, b"", b""])


def key_of(world: World) -> bytes:
    return b"Authorization: " + world.client.headers["authorization"].encode()


async def test_whoever_connects_and_says_nothing_is_let_go(api: Serving, put_forward: Callable[[float], None]) -> None:
    async with calling(api) as silent, calling(api) as blank:
        blank.send(b"", b"", b"")  # line ends before a request mean nothing, and keep nothing open
        await blank.until_served(lambda one: one._idle_bytes)
        await silent.look()
        await blank.look()
        put_forward(HEAD_SECONDS)
        assert [await silent.rest(), await blank.rest()] == [b"", b""]


@pytest.mark.parametrize("begun", [b"GET /", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX"], ids=["target", "header"])
@pytest.mark.parametrize("before", [b"", GET], ids=["first", "second"])
async def test_a_head_that_is_sent_slowly_is_let_go(
    api: Serving, put_forward: Callable[[float], None], before: bytes, begun: bytes
) -> None:
    async with calling(api) as slow:
        slow.send(before)
        if before:
            assert await slow.reader.readuntil(b"}")
        slow.send(begun)
        await slow.drip()
        await slow.look()
        put_forward(HEAD_SECONDS / 2)
        await slow.drip()
        await slow.look()
        put_forward(HEAD_SECONDS / 2)
        assert await slow.rest() == b""


INPUTS = b"/api/images/inputs?projectId=film"
TIMES = {"generate": (b"/api/images/generate", BODY_SECONDS), "inputs": (INPUTS, INPUT_SECONDS)}


@pytest.mark.parametrize("length", [b"Content-Length: 100", b"Transfer-Encoding: chunked"], ids=["by length", "in chunks"])
@pytest.mark.parametrize(("target", "seconds"), TIMES.values(), ids=list(TIMES))
async def test_c18_a_body_that_is_sent_slowly_is_refused(
    world: World, api: Serving, put_forward: Callable[[float], None], target: bytes, seconds: float, length: bytes
) -> None:
    await world.generate()
    kind = b"application/json" if b"generate" in target else b"image/png"
    async with calling(api) as slow:
        slow.send(a_post(target, key_of(world), b"Content-Type: " + kind, b"Expect: 100-continue", length))
        assert b" 100 Continue" in await slow.reader.readuntil(b"\r\n\r\n")  # said just when the body is asked for
        slow.send(b"1\r\n{\r\n")
        put_forward(seconds)
        answer = await slow.rest()
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert b"\r\nconnection: close\r\n" in answer
    assert b'"reason": "request_too_slow"' in answer
    await until(lambda: not api.server.server_state.tasks)
    assert await world.scalar("SELECT count(*) FROM image_generation_jobs") == 1


async def test_a_body_that_goes_on_behind_its_answer_is_not_read_for_ever(
    api: Serving, put_forward: Callable[[float], None]
) -> None:
    async with calling(api) as endless, calling(api) as late:
        chunked = a_post(INPUTS, b"Content-Type: image/png", b"Transfer-Encoding: chunked")
        endless.send(chunked)
        assert b" 401 " in await endless.reader.readuntil(b"}}")
        endless.send(b"1\r\nx\r\n")
        late.send(a_post(INPUTS, b"Content-Type: image/png", b"Content-Length: 3"))
        assert b" 401 " in await late.reader.readuntil(b"}}")
        late.send(b"abc")
        for caller in (endless, late):
            await caller.until_served(lambda one: one.cycle.response_complete)
            await caller.look()
        put_forward(BODY_SECONDS)
        assert [await endless.rest(), await late.rest()] == [b"", b""]


async def test_whoever_takes_nothing_of_a_picture_is_let_go(
    world: World, api: Serving, put_forward: Callable[[float], None]
) -> None:
    key = "project_film/branch_main/misc/large.png"
    await world.deps.files.put(key, bytes(40_000_000), "image/png")
    async with calling(api) as lazy:
        lazy.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.reader._transport.pause_reading()  # type: ignore[attr-defined]
        lazy.send(b"GET /files/" + key.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        await lazy.until_served(lambda one: one.transport.get_write_buffer_size())
        await lazy.look()
        put_forward(STALLED_SECONDS)
        await lazy.until_over()


async def test_whoever_takes_a_picture_slowly_gets_it_whole(
    world: World, api: Serving, put_forward: Callable[[float], None]
) -> None:
    key = "project_film/branch_main/misc/large.png"
    await world.deps.files.put(key, bytes(40_000_000), "image/png")
    async with calling(api) as steady:
        steady.send(b"GET /files/" + key.encode() + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        got = 0
        while part := await asyncio.wait_for(steady.reader.read(8_000_000), SOON):
            is_due = (got + len(part)) // 8_000_000 > got // 8_000_000
            got += len(part)
            if is_due and (served := steady.at_server) is not None:
                put_forward(STALLED_SECONDS / 3)
                served.hang_up_if_late()
        assert got > 40_000_000


async def test_more_connections_than_there_are_descriptors_for_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_command, "most_connections", lambda _: 3)
    async with serving(world.deps, world.client.headers) as api, calling(api) as first, calling(api) as second:
        await first.until_served(lambda _: True)
        await second.until_served(lambda _: True)
        async with calling(api) as third:
            third.send(GET)
            assert (await third.rest()).startswith(b"HTTP/1.1 503 ")
            await third.until_over()
        second.send(GET)
        assert b" 200 " in await second.reader.readuntil(b"}")


async def test_a_client_that_asked_for_more_behind_its_stream_leaves_nothing_behind(world: World, api: Serving) -> None:
    job_id = (await world.generate()).json()["jobId"]
    stream = f"GET /api/images/jobs/{job_id}/events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n".encode()
    async with calling(api) as caller:
        caller.send(stream + key_of(world), b"", GET)
        assert await caller.reader.readuntil(b"job.queued")
    await until(lambda: not world.deps.waiters.job_ids and not api.server.server_state.tasks)


@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("length", [b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked"])
async def test_c20_an_offer_of_another_protocol_is_declined_and_its_body_read(
    world: World, api: Serving, length: bytes, is_late: bool
) -> None:
    """As Java's own client offers it with its first request."""
    offer = (
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAEAAEAAAAIAAAAB",
    )
    head = a_post(b"/api/images/generate", *offer, b"Content-Type: application/json", key_of(world), length)
    body = BODY if length.startswith(b"Content") else b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    async with calling(api) as java:
        if is_late:
            java.send(head)
            await java.until_served(lambda one: one.cycle is not None)
            java.send(body + GET)
        else:
            java.send(head + body + GET)
        assert (await java.reader.readuntil(b"HTTP/1.1 200 ")).startswith(b"HTTP/1.1 202 ")
    assert await world.scalar("SELECT count(*) FROM image_generation_jobs") == 1


async def test_c18_many_offers_at_once_are_no_work(api: Serving) -> None:
    async with calling(api) as caller:
        caller.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n" * 800)
        answers = await caller.rest()
    assert answers.startswith(b"HTTP/1.1 ")
    assert b"HTTP/1.1 400 " in answers
    assert b"Too many offers of another protocol." in answers


async def test_c20_this_is_no_proxy(api: Serving) -> None:
    for target in (b"evil.example:443", b"/healthz", b"*"):
        async with calling(api) as caller:
            caller.send(b"CONNECT " + target + b" HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            assert (await caller.rest()).startswith(b"HTTP/1.1 400 ")


@pytest.fixture
async def narrow(world: World) -> AsyncIterator[tuple[World, Serving]]:
    """An API that lets each caller follow two jobs at once, and looks often."""
    policy = replace(world.deps.policy, streams_per_caller=2, ping_seconds=0.05)
    deps = replace(world.deps, policy=policy)
    async with serving(deps, world.client.headers) as opened:
        yield replace(world, deps=deps), opened
    assert not deps.waiters._taken
    assert not deps.waiters.job_ids


async def test_one_caller_streams_and_waits_for_few_jobs_at_once_and_others_have_their_own_places(
    narrow: tuple[World, Serving],
) -> None:
    world, api = narrow
    job_id = (await world.generate()).json()["jobId"]
    path, wait = f"/api/images/jobs/{job_id}", {"prefer": "wait=60"}
    other = {"authorization": f"Bearer {await create_key(world.deps.database, 'tests')}"}  # of the same name
    async with asyncio.timeout(SOON), api.stream(job_id) as first:
        events = told(first)
        await anext(events)
        waiting = asyncio.create_task(api.client.get(path, headers=wait))
        await until(lambda: sum(world.deps.waiters._taken.values()) == 2)
        async with api.stream(job_id) as refused:
            document = httpx2.Response(200, content=await refused.aread()).json()
        assert (refused.status_code, document["reason"], document["code"]) == (429, "too_many_streams", "RATE_LIMIT")
        assert refused.headers["retry-after"] == "10"
        assert refused.headers["content-type"] == "application/problem+json"
        assert (await api.client.get(path, headers=wait)).status_code == 429
        assert (await api.client.get(path)).status_code == 200
        assert (await api.client.get(path + "/events")).status_code == 200
        async with api.stream(job_id, **other) as theirs:
            await anext(told(theirs))
        async with world.working():
            assert (await waiting).json()["status"] == "completed"
            assert [event async for event in events if event][-1]["kind"] == "job.completed"
        assert (await api.client.get(path, headers=wait)).status_code == 200


async def test_a_place_is_given_back_whenever_a_connection_is_cut(narrow: tuple[World, Serving]) -> None:
    world, api = narrow
    job_id = (await world.generate()).json()["jobId"]
    ways = (b"/events HTTP/1.1\r\nAccept: text/event-stream\r\n", b" HTTP/1.1\r\nPrefer: wait=60\r\n")
    for turn in range(12):
        async with calling(api) as one, calling(api) as two:
            for caller in (one, two):
                caller.send(f"GET /api/images/jobs/{job_id}".encode() + ways[turn % 2] + key_of(world), b"Host: a", b"", b"")
            await until(lambda: sum(world.deps.waiters._taken.values()) == 2)
            if turn % 3:
                one.writer.close()
        await until(lambda: not world.deps.waiters._taken)


async def test_a_place_is_given_back_when_the_database_goes(narrow: tuple[World, Serving]) -> None:
    world, api = narrow
    job_id = (await world.generate()).json()["jobId"]
    async with asyncio.timeout(SOON):
        waiting = asyncio.create_task(api.client.get(f"/api/images/jobs/{job_id}", headers={"prefer": "wait=60"}))
        await until(lambda: bool(world.deps.waiters._taken))
        await world.deps.database.close()
        assert (await waiting).status_code == 503
    await until(lambda: not world.deps.waiters._taken)
