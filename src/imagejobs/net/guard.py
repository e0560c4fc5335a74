"""The guard: fetches from addresses that users and providers give, and opens no connection to where they should not lead.

`http` and `https`, on ports 80 and 443, without a user name, to hosts whose every address is public. A name is asked for
once, and the connection goes to the very addresses that were judged, so that a second answer of the name server changes
nothing; TLS and `Host` still speak of the name. Redirects are followed by hand, each judged anew. Cookies, credentials and
proxies play no part.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx2

from imagejobs.errors import AddressRefused, AddressUnreachable, DownloadRejected
from imagejobs.net.http import AnswerLost, AnswerTooLarge, NotSent, Outbound, OutboundAnswer, OutboundRequest
from imagejobs.ports import Room, Unlimited

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a name, in the order to try them; `OSError` where there are none."""

MAX_REDIRECTS = 5

_ADDRESSES_TRIED = 4
_PORTS = {"http": 80, "https": 443}
_REFUSED = (
    "This address is not fetched: only http and https from public hosts, on ports 80 and 443 and without a user name. "
    "Upload the file instead, or have the operator allow the host by IMAGEJOBS_OUTBOUND_ALLOW."
)
# RFC 6890 and its registry of special-purpose addresses; `is_global` of Python 3.11 lets some of them through.
_NOT_PUBLIC = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/3", "168.63.129.16/32",  # the last one: Azure's host, as its machines see it
    )
]  # fmt: skip
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = [IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]  # 2002: 6to4
_NAT64 = IPv6Network("64:ff9b::/96")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))+")
_LOCAL_NAME = re.compile(r".*\.(localhost|local|internal|home\.arpa|lan)")
_MEANS_AN_ADDRESS = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)")  # by the WHATWG rule: 127.1, 2130706433, 0x7f.1, 0177.0.0.1


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file from outside: untrusted. `media_type` is what its server says, without parameters."""

    data: bytes = field(repr=False)
    media_type: str


class Guard:
    """Fetches files that others name. `allow` holds hosts, or `host:port`, that may be private and on any port.

    `resolve` and `outbound` replace the machine's resolver and the client, `tls` its certificates.
    """

    def __init__(
        self,
        allow: Sequence[str] = (),
        *,
        resolve: Resolve | None = None,
        outbound: Outbound | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow = frozenset(entry.lower() for entry in allow)
        self._outbound = outbound or Outbound(tls=tls)
        # Threads of its own: a name server that is slow on purpose must not hold up whatever else waits for threads.
        self._threads = ThreadPoolExecutor(8, "resolve")
        self._resolve = resolve or self._ask_the_machine

    async def fetch(self, url: str, *, max_bytes: int, deadline_seconds: float = 30.0, room: Room | None = None) -> Fetched:
        """The file at the address; at most `max_bytes` are read. Waiting for `room` does not count against the deadline.

        Raises `AddressRefused`, `AddressUnreachable` or `DownloadRejected`. A repeat does no harm.
        """
        ends = asyncio.get_running_loop().time() + deadline_seconds
        place = _parsed(url)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._get(place, max_bytes, ends, room or Unlimited())
            if answer.status not in (301, 302, 303, 307, 308):
                return _fetched(answer)
            place = _redirected(place, answer.headers.get("location"))
        raise DownloadRejected(f"The address leads on through more than {MAX_REDIRECTS} redirects.")

    def require_plausible(self, url: str) -> None:
        """Raise `AddressRefused` for what `fetch` would refuse without asking a name server."""
        self._require_plausible(_parsed(url))

    async def close(self) -> None:
        """Let go of its threads and connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._outbound.close()

    async def _get(self, place: httpx2.URL, max_bytes: int, ends: float, room: Room) -> OutboundAnswer:
        """One exchange with the first address of the host that takes a connection."""
        for address in await self._judged(place, ends):
            request = OutboundRequest(
                method="GET",
                url=str(place.copy_with(host=str(address), fragment=None)),
                headers={"host": place.netloc.decode("ascii"), "accept": "*/*"},
                deadline_seconds=_left(ends),
                max_body_bytes=max_bytes,
                server_name=None if _literal(_host(place)) else _host(place),
                is_raw=True,
                before_body=room.enter,
            )
            try:
                return await self._outbound.send(request)
            except NotSent:
                continue
            except AnswerTooLarge as error:
                raise DownloadRejected(f"The file is larger than {max_bytes} bytes.") from error
            except AnswerLost as error:
                raise AddressUnreachable("The address did not give the whole file in time.") from error
        raise AddressUnreachable("No connection to the host of this address could be made.")

    async def _judged(self, place: httpx2.URL, ends: float) -> Sequence[IPv4Address | IPv6Address]:
        """Where to connect: each of the host's addresses, if all of them may be."""
        self._require_plausible(place)
        literal = _literal(_host(place))
        found = [literal] if literal else await self._addresses(_host(place), ends)
        if not self._is_allowed(place) and not all(is_public(address) for address in found):
            raise AddressRefused(_REFUSED)
        return found[:_ADDRESSES_TRIED]

    def _require_plausible(self, place: httpx2.URL) -> None:
        literal = _literal(_host(place))
        is_plausible = is_public(literal) if literal else _is_public_name(_host(place))
        if not self._is_allowed(place) and not (is_plausible and (place.port or _PORTS[place.scheme]) in _PORTS.values()):
            raise AddressRefused(_REFUSED)

    def _is_allowed(self, place: httpx2.URL) -> bool:
        host = f"[{_host(place)}]" if ":" in _host(place) else _host(place)
        return not self._allow.isdisjoint((host, f"{host}:{place.port or _PORTS[place.scheme]}"))

    async def _addresses(self, host: str, ends: float) -> list[IPv4Address | IPv6Address]:
        try:
            async with asyncio.timeout(_left(ends)):
                return [ip_address(text) for text in dict.fromkeys(await self._resolve(host))]
        except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
            raise AddressUnreachable("The name of the host in this address is not known.") from error

    async def _ask_the_machine(self, host: str) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        return [str(address[0]) for *_, address in found]


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """True for an address of the open internet, which is nobody's own network, machine or cloud."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _NOT_PUBLIC)
    if address in _NAT64:  # an IPv6-only network reaches IPv4 hosts so
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_PUBLIC_6)


def _parsed(url: str) -> httpx2.URL:
    """The address, read once, by the parser that also connects."""
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise AddressRefused(_REFUSED)
    try:
        place = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError, TypeError) as error:
        raise AddressRefused(_REFUSED) from error
    if place.scheme not in _PORTS or place.userinfo or not place.raw_host or not 1 <= (place.port or 1) <= 65_535:
        raise AddressRefused(_REFUSED)
    if place.port == 0 or "%" in _host(place):
        raise AddressRefused(_REFUSED)
    return place


def _redirected(place: httpx2.URL, location: str | None) -> httpx2.URL:
    if location is None:
        raise DownloadRejected("The address answers with a redirect that does not say where to.")
    try:
        target = _parsed(str(place.join(location)))
    except (httpx2.InvalidURL, ValueError) as error:
        raise AddressRefused(_REFUSED) from error
    if (place.scheme, target.scheme) == ("https", "http"):
        raise DownloadRejected("The address redirects from https to http.")
    return target


def _fetched(answer: OutboundAnswer) -> Fetched:
    if answer.status in (408, 425, 429) or answer.status >= 500:
        raise AddressUnreachable(f"The server of this address says that it cannot just now (HTTP {answer.status}).")
    if answer.status != 200:
        raise DownloadRejected(f"The address does not give a file (HTTP {answer.status}); many links expire.")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise DownloadRejected("The file came compressed, although it was asked for as it is.")
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Fetched(data=answer.body, media_type=media_type or "application/octet-stream")


def _host(place: httpx2.URL) -> str:
    return place.raw_host.decode("ascii").lower()


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address that the host is, in its one canonical spelling."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_public_name(host: str) -> bool:
    return bool(_NAME.fullmatch(host)) and not _LOCAL_NAME.fullmatch(host) and not _MEANS_AN_ADDRESS.fullmatch(host)


def _left(ends: float) -> float:
    left = ends - asyncio.get_running_loop().time()
    if left <= 0:
        raise AddressUnreachable("The address did not give the whole file in time.")
    return left
