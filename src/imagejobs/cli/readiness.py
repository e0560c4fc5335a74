"""Asking a service, without a key, whether it takes jobs and whom it lets in."""

import http.client
from collections.abc import Mapping
from http.client import HTTPResponse
from urllib.parse import urlsplit

READY = http.client.OK


def readiness(url: str) -> int | None:
    """The status that `/readyz` answers; None where nothing answers within five seconds."""
    answer = _answer(url, "GET", "/readyz", {})
    return None if answer is None else answer.status


def lets_in(url: str, origin: str) -> bool:
    """Whether a browser would let a page of that origin ask for pictures: the answer to its preflight."""
    wish = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    answer = _answer(url, "OPTIONS", "/api/images/generate", {"origin": origin, **wish})
    return answer is not None and answer.status == READY and answer.getheader("access-control-allow-origin") == origin


def _answer(url: str, method: str, path: str, headers: Mapping[str, str]) -> HTTPResponse | None:
    address = urlsplit(url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=5)
    try:
        connection.request(method, address.path.rstrip("/") + path, headers=dict(headers))
        return connection.getresponse()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
