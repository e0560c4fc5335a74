"""Asking a service whether it takes jobs."""

import http.client
from urllib.parse import urlsplit

READY = http.client.OK


def readiness(url: str) -> int | None:
    """The status that `/readyz` answers; None where nothing answers within five seconds."""
    address = urlsplit(url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=5)
    try:
        connection.request("GET", f"{address.path.rstrip('/')}/readyz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
