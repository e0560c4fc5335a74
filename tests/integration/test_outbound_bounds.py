"""Whatever comes back, it is bounded: in bytes, in time, and in how much of it at once."""

import asyncio
import gzip
import resource
import sys
from collections.abc import Callable
from typing import Any

import pytest

from imagejobs.net.http import AnswerTooLarge, Outbound, OutboundAnswer
from tests.support.sockets import GOOD, Talk, a_request, a_thousand, read_request, says, silent, talking, until


async def stream_forever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    while True:
        writer.write(chunk)
        await writer.drain()


def bomb(size: int) -> bytes:
    packed = gzip.compress(b"\0" * size)
    return b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed


@pytest.mark.parametrize(
    "talk",
    [
        stream_forever,
        says(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\nx"),
        says(bomb(200_000_000)),
    ],
    ids=["endless", "announced", "gzip bomb"],
)
async def test_a_huge_success_is_refused_while_memory_stays_flat(outbound: Outbound, talk: Talk) -> None:
    await warm_up(outbound)
    before = peak_bytes()
    async with talking(talk) as server:
        with pytest.raises(AnswerTooLarge):
            await outbound.send(a_request(server.url, max_body_bytes=8_000_000))
    assert peak_bytes() - before < 60_000_000


async def warm_up(outbound: Outbound) -> None:
    async with talking(says(GOOD)) as server:
        await outbound.send(a_request(server.url))


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


async def test_a_body_of_just_the_allowed_size_comes_through(outbound: Outbound) -> None:
    body = b"y" * 1_000_000
    async with talking(says(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + body)) as server:
        assert (await outbound.send(a_request(server.url, max_body_bytes=1_000_000))).body == body
        with pytest.raises(AnswerTooLarge):
            await outbound.send(a_request(server.url, max_body_bytes=999_999))


async def test_a_compressed_body_that_nobody_asked_for_is_read_all_the_same(outbound: Outbound) -> None:
    packed = gzip.compress(b"hello")
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    async with talking(says(head + packed)) as server:
        assert (await outbound.send(a_request(server.url))).body == b"hello"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 429 Too Many\r\ncontent-length: 100\r\nretry-after: 7\r\n\r\n" + b"x" * 50,
        b"HTTP/1.1 429 Too Many\r\ncontent-length: 10000000000\r\nretry-after: 7\r\n\r\n" + b"x" * 200_000,
        b"HTTP/1.1 429 Too Many\r\nretry-after: 7\r\ncontent-encoding: gzip\r\n\r\nno gzip",
    ],
    ids=["cut", "huge", "undecodable"],
)
async def test_an_error_is_an_answer_even_if_its_body_breaks_off(outbound: Outbound, answer: bytes) -> None:
    async with talking(says(answer)) as server:
        found = await outbound.send(a_request(server.url))
    assert (found.status, found.headers["retry-after"]) == (429, "7")
    assert len(found.body) <= 65_536


async def test_an_errors_words_are_read_however_small_a_success_may_be(outbound: Outbound) -> None:
    async with talking(says(b"HTTP/1.1 403 No\r\ncontent-length: 100\r\n\r\n" + b"x" * 100)) as server:
        found = await outbound.send(a_request(server.url, max_body_bytes=10))
    assert found.body == b"x" * 100


class Told(Outbound):
    """Tells what the deadline of its last call has come to."""

    limit: asyncio.Timeout | None = None

    async def _exchange(self, *wanted: Any) -> OutboundAnswer:
        self.limit = wanted[-1]
        return await super()._exchange(*wanted)


async def test_an_error_whose_body_never_comes_is_an_answer_even_at_the_deadline(
    put_forward: Callable[[float], None],
) -> None:
    outbound = Told()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 402 Pay\r\ncontent-length: 100\r\n\r\n")
        await silent(reader, writer)

    async with talking(talk) as server:
        call = asyncio.create_task(outbound.send(a_request(server.url, deadline_seconds=60.0)))
        await until(lambda: outbound.limit is not None and outbound.limit.when() is None)  # its head is there
        put_forward(60.0)
        assert (await call).status == 402


async def test_only_so_many_bodies_are_received_at_once() -> None:
    outbound = Outbound(bodies_at_once=1)
    rest = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(GOOD[:-1])
        await rest.wait()
        writer.write(GOOD[-1:])

    async with talking(slow) as slow_server, talking(says(GOOD)) as quick_server:
        first = asyncio.create_task(outbound.send(a_request(slow_server.url)))
        await until(outbound._receiving.locked)
        second = asyncio.create_task(outbound.send(a_request(quick_server.url)))
        done, _ = await asyncio.wait({second}, timeout=0.2)
        assert not done
        rest.set()
        answers = await asyncio.gather(first, second)
    assert [answer.body for answer in answers] == [b"hello", b"hello"]
    await outbound.close()


async def test_a_thousand_calls_wait_at_once(outbound: Outbound) -> None:
    waiting, all_there = [0], asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        waiting[0] += 1
        if waiting[0] == 1000:
            all_there.set()
        await all_there.wait()
        writer.write(GOOD)
        await writer.drain()

    async with talking(talk) as server:
        request = a_request(server.url, deadline_seconds=30)
        calls = await a_thousand(outbound, request, lambda: waiting[0])
        answers = await asyncio.gather(*calls)
    assert {answer.body for answer in answers} == {b"hello"}
