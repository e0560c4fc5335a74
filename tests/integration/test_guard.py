"""The guard: whatever leads inside is refused without one connection; what is left is fetched within its bounds."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from imagejobs.errors import AddressRefused, AddressUnreachable, DownloadRejected
from imagejobs.net.guard import Guard, Resolve, is_public
from imagejobs.net.http import NotSent, Outbound, OutboundAnswer, OutboundRequest
from tests.support.scripted_server import Reply, Script, scripted_server
from tests.support.sockets import GOOD, Talk, recording, says, silent, talking, until

TLS = ssl.create_default_context()  # read once: it takes a part of a second
PUBLIC = "93.184.215.14"
PICTURE = Reply(content=b"picture", headers={"content-type": "Image/PNG; charset=x"})


def answering(*answers: Sequence[str]) -> Resolve:
    """A name server with these answers in order, the last of them for ever."""
    left = list(answers)

    async def resolve(host: str) -> Sequence[str]:
        del host
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


class Rerouted(Outbound):
    """Takes connections to one public address to a port of this machine instead, and notes what was asked of it."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls or TLS)
        self.asked: list[OutboundRequest] = []
        self._port = port

    async def send(self, request: OutboundRequest) -> OutboundAnswer:
        self.asked.append(request)
        if f"//{PUBLIC}" not in request.url:
            raise NotSent("no way there from here")
        return await super().send(replace(request, url=request.url.replace(PUBLIC, f"127.0.0.1:{self._port}")))


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A port of this machine that counts, in its backlog, whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def nobody_came(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return True
    return False


@asynccontextmanager
async def guarding(allow: Sequence[str] = (), **parts: object) -> AsyncIterator[Guard]:
    guard = Guard(allow, **{"tls": TLS, **parts})  # type: ignore[arg-type]
    try:
        yield guard
    finally:
        await guard.close()


HOSTILE = [
    "http://127.0.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[::1%25lo]:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST.:{port}/",
    "http://any.localhost:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/",
    "http://１２７.0.0.1:{port}/",  # noqa: RUF001 - the point
    "http://pictures.example@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@pictures.example/",
    "http://user:secret@pictures.example/",
    "http://127.0.0.1:{port}\\@pictures.example/",
    "http://pictures.example\\@127.0.0.1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://pictures.example:{port}/",
    "http://pictures.example:0/",
    "http://pictures.example:99999/",
    "http://pictures.example/\r\nx: y",
    " http://127.0.0.1:{port}/",
    "http:///{port}",
    "//127.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://[fd00:ec2::254]/",
    "http://192.0.0.192/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "ftp://pictures.example/",
    "data:image/png;base64,AAAA",
    "",
]


@pytest.mark.parametrize("form", HOSTILE)
async def test_c15_each_hostile_form_is_refused_in_the_same_words_before_any_connection(form: str) -> None:
    with listening() as listener:
        port = listener.getsockname()[1]
        async with guarding(resolve=answering(["127.0.0.1"])) as guard:
            with pytest.raises(AddressRefused, match=r"^This address is not fetched: .* IMAGEJOBS_OUTBOUND_ALLOW\.$"):
                await guard.fetch(form.format(port=port), max_bytes=100)
        assert nobody_came(listener)


async def test_a_listener_would_have_noticed_a_connection() -> None:
    with listening() as listener:
        allowed = f"127.0.0.1:{listener.getsockname()[1]}"
        async with guarding([allowed]) as guard:
            fetching = asyncio.create_task(guard.fetch(f"http://{allowed}/", max_bytes=100))
            await until(lambda: not nobody_came(listener))
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)


@pytest.mark.parametrize(
    "inside",
    [
        "127.0.0.1", "10.1.2.3", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0.1.2.3",
        "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "192.88.99.1", "::1", "::", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1",
        "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:a00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "3fff::1", "2001:10::1", "100::1", "fe80::1%lo",
    ],
)  # fmt: skip
async def test_c15_one_address_inside_among_public_ones_is_enough_to_refuse(inside: str) -> None:
    assert not is_public(ip_address(inside))
    outbound = Rerouted(0)
    for answer in ([PUBLIC, inside], [inside, PUBLIC], [inside]):
        async with guarding(resolve=answering(answer), outbound=outbound) as guard:
            with pytest.raises(AddressRefused):
                await guard.fetch("http://pictures.example/", max_bytes=100)
    assert outbound.asked == []


@pytest.mark.parametrize("outside", ["8.8.8.8", PUBLIC, "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_what_is_public_is_not_refused(outside: str) -> None:
    assert is_public(ip_address(outside))


async def test_c15_a_name_that_leads_inside_the_second_time_is_asked_for_once_only() -> None:
    with scripted_server(PICTURE) as script, listening() as listener:
        outbound = Rerouted(int(script.url.rpartition(":")[2]))
        async with guarding(resolve=answering([PUBLIC], ["127.0.0.1"]), outbound=outbound) as guard:
            fetched = await guard.fetch("http://Pictures.example/a?b#c", max_bytes=100)
        assert nobody_came(listener)
    assert (fetched.data, fetched.media_type) == (b"picture", "image/png")
    assert [request.url for request in outbound.asked] == [f"http://{PUBLIC}/a?b"]
    (asked,) = script.asked
    assert (asked.headers["host"], asked.target) == ("pictures.example", "/a?b")
    assert not {"cookie", "authorization"} & set(asked.headers)


async def test_tls_must_prove_the_name_and_not_the_address(tmp_path: Path) -> None:
    pem = certificate(tmp_path / "server.pem", "pictures.example")
    tls, serving = ssl.create_default_context(cafile=pem), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem)
    async with talking(says(GOOD), tls=serving) as server:
        outbound = Rerouted(server.port, tls)
        async with guarding(resolve=answering([PUBLIC]), outbound=outbound) as guard:
            assert (await guard.fetch("https://pictures.example/", max_bytes=100)).data == b"hello"
            with pytest.raises(AddressUnreachable):
                await guard.fetch("https://other.example/", max_bytes=100)
            with pytest.raises(AddressUnreachable):
                await guard.fetch(f"https://{PUBLIC}/", max_bytes=100)


def certificate(path: Path, name: str) -> Path:
    """A certificate that vouches for itself under that name, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(named, named, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    formats = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*formats) + made.public_bytes(serialization.Encoding.PEM))
    return path


async def test_a_second_address_is_tried_where_the_first_takes_no_connection() -> None:
    with scripted_server(PICTURE) as script:
        outbound = Rerouted(int(script.url.rpartition(":")[2]))
        async with guarding(resolve=answering(["2606:4700::1111", PUBLIC]), outbound=outbound) as guard:
            assert (await guard.fetch("http://pictures.example/", max_bytes=100)).data == b"picture"
    assert outbound.asked[0].url == "http://[2606:4700::1111]/"


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/", "//localhost:{port}/", "http://inside.example/", "http://[::ffff:127.0.0.1]:{port}/",
        "http://169.254.169.254/", "file:///etc/passwd", "http://u@pictures.example/", "http://[/",
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_c15_p23_a_redirect_inside_is_refused_before_any_connection(target: str, status: int) -> None:
    def redirect(port: int) -> Reply:
        return Reply(status=status, headers={"location": target.format(port=port)})

    with listening() as listener, scripted_server(redirect(listener.getsockname()[1])) as script:
        outbound = Rerouted(int(script.url.rpartition(":")[2]))
        async with guarding(resolve=answering([PUBLIC], ["10.0.0.1"]), outbound=outbound) as guard:
            with pytest.raises(AddressRefused):
                await guard.fetch("http://pictures.example/", max_bytes=100)
        assert nobody_came(listener)
    assert len(outbound.asked) == 1


@contextmanager
def allowed_server(*replies: Reply) -> Iterator[tuple[Script, str]]:
    with scripted_server(*replies) as script:
        yield script, script.url.removeprefix("http://")


async def test_five_redirects_are_followed_and_a_sixth_is_not() -> None:
    on = Reply(status=302, headers={"location": "/next"})
    with allowed_server(*[on] * 5, PICTURE) as (script, host):
        async with guarding([host]) as guard:
            assert (await guard.fetch(script.url, max_bytes=100)).data == b"picture"
    with allowed_server(on) as (script, host):
        async with guarding([host]) as guard:
            with pytest.raises(DownloadRejected, match="more than 5"):
                await guard.fetch(script.url, max_bytes=100)
        assert len(script.asked) == 6


@pytest.mark.parametrize("allow", ["inside", "inside:{port}", "INSIDE"])
async def test_the_operator_may_allow_a_private_host(allow: str) -> None:
    with allowed_server(PICTURE) as (script, host):
        port = host.rpartition(":")[2]
        async with guarding([allow.format(port=port)], resolve=answering(["127.0.0.1"])) as guard:
            assert (await guard.fetch(f"http://inside:{port}/", max_bytes=7)).data == b"picture"
            with pytest.raises(AddressRefused):
                await guard.fetch(f"http://other.inside.example:{port}/", max_bytes=7)
        assert script.asked[0].headers["host"] == f"inside:{port}"


async def test_an_allowed_port_opens_no_other() -> None:
    async with guarding(["127.0.0.1:9000"]) as guard:
        with pytest.raises(AddressRefused):
            await guard.fetch("http://127.0.0.1:9001/", max_bytes=7)


async def test_no_proxy_of_the_environment_comes_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with allowed_server(PICTURE) as (script, host):
        async with guarding([host]) as guard:
            assert (await guard.fetch(script.url, max_bytes=100)).data == b"picture"


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 410])
async def test_an_answer_without_the_file_is_for_good(status: int) -> None:
    with allowed_server(Reply(status=status)) as (script, host):
        async with guarding([host]) as guard:
            with pytest.raises(DownloadRejected, match=str(status)):
                await guard.fetch(script.url, max_bytes=100)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_server_in_trouble_may_be_asked_again(status: int) -> None:
    with allowed_server(Reply(status=status)) as (script, host):
        async with guarding([host]) as guard:
            with pytest.raises(AddressUnreachable, match=str(status)):
                await guard.fetch(script.url, max_bytes=100)


def chunked_without_end(body: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"%x\r\n%s\r\n" % (len(body), body))
            await writer.drain()
            await asyncio.sleep(0.01)

    return talk


BOMB = gzip.compress(bytes(50_000_000))
OF_BOMB = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(BOMB) + BOMB


@pytest.mark.parametrize(
    ("talk", "expected", "said"),
    [
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: 100001\r\n\r\nx"), DownloadRejected, "larger than 100000 bytes"),
        (chunked_without_end(bytes(20_000)), DownloadRejected, "larger than 100000 bytes"),
        (says(OF_BOMB), DownloadRejected, "compressed"),
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"), AddressUnreachable, "whole file"),
        (says(b"SSH-2.0-OpenSSH\r\n"), AddressUnreachable, "whole file"),
    ],
    ids=["announced too large", "endless", "bomb", "cut off", "no HTTP"],
)
async def test_p10_a_body_is_bounded_in_size(talk: Talk, expected: type[Exception], said: str) -> None:
    async with talking(talk) as server, guarding(["127.0.0.1"]) as guard:
        url = f"http://127.0.0.1:{server.port}/"
        with pytest.raises(expected, match=said):
            await guard.fetch(url, max_bytes=100_000)


@pytest.mark.parametrize("talk", [chunked_without_end(b"x"), silent], ids=["dripping", "silent"])
async def test_p10_a_body_is_bounded_in_time(talk: Talk, put_forward: Callable[[float], None]) -> None:
    async with recording(talk) as server, guarding(["127.0.0.1"]) as guard:
        fetching = asyncio.create_task(guard.fetch(server.url, max_bytes=100_000, deadline_seconds=60.0))
        await until(lambda: bool(server.received and server.received[0]))
        put_forward(60.0)
        with pytest.raises(AddressUnreachable, match="in time"):
            await fetching


@pytest.mark.parametrize("answer", [OSError("no such name"), asyncio.Event()], ids=["unknown", "never answered"])
async def test_a_name_without_an_answer_is_unreachable_within_the_deadline(answer: OSError | asyncio.Event) -> None:
    async def resolve(host: str) -> Sequence[str]:
        del host
        if isinstance(answer, OSError):
            raise answer
        await answer.wait()
        return []

    async with guarding(resolve=resolve) as guard:
        with pytest.raises(AddressUnreachable):
            await guard.fetch("http://pictures.example/", max_bytes=1, deadline_seconds=0.1)


async def test_the_body_waits_for_room_outside_the_deadline(put_forward: Callable[[float], None]) -> None:
    class Full:
        async def enter(self) -> None:
            put_forward(40.0)
            await asyncio.sleep(0)

    with allowed_server(PICTURE) as (script, host):
        async with guarding([host]) as guard:
            fetched = await guard.fetch(script.url, max_bytes=100, deadline_seconds=30.0, room=Full())
    assert fetched.data == b"picture"
