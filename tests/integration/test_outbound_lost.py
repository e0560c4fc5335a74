"""Lost: something went out, so nobody may say that nothing did; and nothing goes out twice."""

import asyncio
from collections.abc import Callable

import pytest

from imagejobs import __version__
from imagejobs.net.http import AnswerLost, Outbound
from tests.conftest import free_port
from tests.support.sockets import (
    GOOD,
    Scissors,
    a_request,
    cutting_proxy,
    read_request,
    recording,
    reset,
    says,
    silent,
    talking,
    until,
)


async def assert_lost(outbound: Outbound, url: str) -> None:
    with pytest.raises(AnswerLost):
        await outbound.send(a_request(url))


@pytest.mark.parametrize("by_reset", [True, False], ids=["RST", "FIN"])
async def test_a_request_cut_at_any_byte_is_lost_once_its_first_byte_is_out(outbound: Outbound, by_reset: bool) -> None:
    async with recording(says(GOOD)) as server:
        await outbound.send(a_request(server.url))
        whole = len(server.received[0])
        scissors = Scissors(by_reset=by_reset)
        async with cutting_proxy(server.url, scissors) as proxy:
            for scissors.to_server in range(whole):
                await assert_lost(outbound, proxy.url)


@pytest.mark.parametrize("by_reset", [True, False], ids=["RST", "FIN"])
async def test_an_answer_cut_at_any_byte_is_lost(outbound: Outbound, by_reset: bool) -> None:
    scissors = Scissors(by_reset=by_reset)
    async with talking(says(GOOD)) as server, cutting_proxy(server.url, scissors) as proxy:
        for scissors.to_client in range(len(GOOD)):
            with pytest.raises(AnswerLost):
                await outbound.send(a_request(proxy.url))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0" * 100,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: minus one\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: tls\r\n\r\n",
    ],
    ids=lambda answer: repr(answer[:60]),
)
async def test_an_answer_that_cannot_be_read_is_lost(outbound: Outbound, answer: bytes) -> None:
    async with talking(says(answer)) as server:
        with pytest.raises(AnswerLost):
            await outbound.send(a_request(server.url))


async def test_no_answer_within_the_deadline_is_lost(outbound: Outbound, put_forward: Callable[[float], None]) -> None:
    async with recording(silent) as server:
        call = asyncio.create_task(outbound.send(a_request(server.url, deadline_seconds=60.0)))
        await until(lambda: bool(server.received and server.received[0]))
        put_forward(60.0)
        with pytest.raises(AnswerLost, match="within 60 s"):
            await call


async def test_a_server_that_reads_no_further_ends_at_the_deadline_as_lost(
    outbound: Outbound, put_forward: Callable[[float], None]
) -> None:
    is_deaf = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        is_deaf.set()
        await asyncio.Event().wait()

    async with talking(deaf) as server:
        call = asyncio.create_task(outbound.send(a_request(server.url, body=b"x" * 30_000_000, deadline_seconds=60.0)))
        await until(is_deaf.is_set)
        put_forward(60.0)
        with pytest.raises(AnswerLost, match="within 60 s"):
            await call


async def test_a_reset_in_the_middle_of_a_large_request_is_lost(outbound: Outbound) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100_000)
        reset(writer)

    async with talking(talk) as server:
        with pytest.raises(AnswerLost):
            await outbound.send(a_request(server.url, body=b"x" * 30_000_000))


async def test_one_byte_after_the_other_ends_at_the_deadline(
    outbound: Outbound, put_forward: Callable[[float], None]
) -> None:
    drops = 0

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        nonlocal drops
        while True:
            writer.write(b"x")
            await writer.drain()
            drops += 1
            await asyncio.sleep(0.02)

    async with talking(drip) as server:
        call = asyncio.create_task(outbound.send(a_request(server.url, deadline_seconds=60.0)))
        await until(lambda: drops > 3)
        put_forward(60.0)
        with pytest.raises(AnswerLost, match="within 60 s"):
            await call
    assert drops < 1000


async def test_a_canceled_call_leaves_nothing_behind(outbound: Outbound) -> None:
    async with recording(silent) as server:
        call = asyncio.create_task(outbound.send(a_request(server.url)))
        await until(lambda: bool(server.received))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    async with talking(says(GOOD)) as server:
        assert (await outbound.send(a_request(server.url))).body == b"hello"


@pytest.mark.parametrize("status", [b"500", b"503", b"429"])
async def test_nothing_is_sent_again_by_itself(outbound: Outbound, status: bytes) -> None:
    async with recording(says(b"HTTP/1.1 " + status + b" No\r\ncontent-length: 0\r\nretry-after: 0\r\n\r\n")) as server:
        answer = await outbound.send(a_request(server.url))
        assert answer.status == int(status)
        assert len(server.received) == 1
    async with recording(says(b"")) as server:
        with pytest.raises(AnswerLost):
            await outbound.send(a_request(server.url, is_repeatable=True))
        assert len(server.received) == 1


async def test_a_purchase_never_travels_on_a_used_connection(outbound: Outbound) -> None:
    async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(GOOD)

    async with recording(patient) as server:
        for _ in range(3):
            await outbound.send(a_request(server.url, is_repeatable=True))
        assert len(server.received) == 1
        for _ in range(3):
            await outbound.send(a_request(server.url))
        assert len(server.received) == 4
        assert b"connection: close" in server.received[-1].lower()


async def test_redirects_are_answers_and_cookies_are_forgotten(outbound: Outbound) -> None:
    headers = b"location: /elsewhere\r\nset-cookie: a=b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    moved = b"HTTP/1.1 302 Found\r\n" + headers
    async with recording(says(moved)) as server:
        for _ in range(2):
            answer = await outbound.send(a_request(server.url, is_repeatable=True))
            assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")
        assert len(server.received) == 2
        assert b"cookie" not in server.received[1].lower()


async def test_it_says_who_it_is_and_ignores_the_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    outbound = Outbound()
    async with recording(says(GOOD)) as server:
        await outbound.send(a_request(server.url, headers={"x-more": "yes"}))
    sent = server.received[0].lower()
    assert f"user-agent: imagejobs/{__version__}".encode() in sent
    assert b"accept-encoding: identity" in sent
    assert b"x-more: yes" in sent
    await outbound.close()
