"""Surely not sent: each case ends before the first byte of a request could reach anybody."""

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from imagejobs.net.http import NotSent, Outbound
from tests.support.sockets import GOOD, Talk, a_request, recording, reset, says, silent, talking, until


async def test_a_refused_connection_was_not_sent(outbound: Outbound, dead_port: int) -> None:
    with pytest.raises(NotSent):
        await outbound.send(a_request(f"http://127.0.0.1:{dead_port}"))


async def test_a_name_that_does_not_resolve_was_not_sent(outbound: Outbound) -> None:
    with pytest.raises(NotSent):
        await outbound.send(a_request("http://nobody.invalid"))


async def test_tls_on_a_port_without_tls_was_not_sent(outbound: Outbound) -> None:
    async with recording(silent_after(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        with pytest.raises(NotSent):
            await outbound.send(a_request(f"https://127.0.0.1:{server.port}"))
    assert [bytes(kept[:1]) for kept in server.received] == [b"\x16"]  # a TLS hello, and no request


def silent_after(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await writer.drain()

    return talk


async def test_a_connection_reset_during_the_tls_handshake_was_not_sent(outbound: Outbound) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        reset(writer)

    async with talking(talk) as server:
        with pytest.raises(NotSent):
            await outbound.send(a_request(f"https://127.0.0.1:{server.port}"))


async def test_a_tls_handshake_that_never_ends_was_not_sent(outbound: Outbound) -> None:
    async with talking(silent) as server:
        with pytest.raises(NotSent):
            await outbound.send(a_request(f"https://127.0.0.1:{server.port}", deadline_seconds=0.4))


async def test_a_certificate_that_nobody_vouches_for_was_not_sent(outbound: Outbound, certificate: Path) -> None:
    async with tls_server(certificate, says(GOOD)) as (port, received):
        with pytest.raises(NotSent):
            await outbound.send(a_request(f"https://127.0.0.1:{port}"))
    assert received == []


async def test_a_connection_that_is_never_accepted_was_not_sent(outbound: Outbound) -> None:
    with full_backlog() as port, pytest.raises(NotSent):
        await outbound.send(a_request(f"http://127.0.0.1:{port}", deadline_seconds=0.4))


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port whose queue is full, so that a further connection is never made."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for one in waiting:
                one.close()


async def test_a_call_that_finds_no_free_connection_was_not_sent() -> None:
    outbound = Outbound(kept_connections=1)
    async with recording(silent) as server:
        first = asyncio.create_task(outbound.send(a_request(server.url, is_repeatable=True)))
        await until(lambda: bool(server.received and server.received[0]))
        with pytest.raises(NotSent):
            await outbound.send(a_request(server.url, is_repeatable=True, deadline_seconds=0.2))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert len(server.received) == 1
    await outbound.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "ftp://127.0.0.1"},
        {"url": "nonsense"},
        {"url": "http://"},
        {"url": "http://127.0.0.1:99999"},
        {"url": "http://127.0.0.1:-1"},
        {"url": "http://a..invalid"},
        {"headers": {"authorization": "Bearer s3cret\n"}},
        {"headers": {"authorization": "Bearer s3crét"}},
        {"headers": {"author ization": "s3cret"}},
    ],
    ids=repr,
)
async def test_what_http_cannot_carry_was_not_sent_and_is_not_repeated_in_the_error(
    outbound: Outbound, changes: dict[str, Any]
) -> None:
    with pytest.raises(NotSent) as refused:
        await outbound.send(a_request(**{"url": "http://127.0.0.1:1", **changes}))
    assert "s3cr" not in repr(refused.value)
    assert "s3cr" not in repr(refused.value.__cause__)


async def test_a_certificate_that_is_trusted_works(certificate: Path) -> None:
    outbound = Outbound(tls=ssl.create_default_context(cafile=f"{certificate}.crt"))
    async with tls_server(certificate, says(GOOD)) as (port, _):
        assert (await outbound.send(a_request(f"https://127.0.0.1:{port}"))).body == b"hello"
    await outbound.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that signs itself, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    try:
        subprocess.run([*command, *names, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


class tls_server:  # noqa: N801 - used as a function
    """A TLS server for one test: its port, and the requests that came through."""

    def __init__(self, certificate: Path, talk: Talk) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._talk = talk
        self._received: list[bytes] = []

    async def __aenter__(self) -> tuple[int, list[bytes]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._received.append(b"connected")
            await self._talk(reader, writer)
            writer.close()

        self._server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self._context)
        return self._server.sockets[0].getsockname()[1], self._received

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        await self._server.wait_closed()
