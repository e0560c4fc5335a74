"""The socket that the web API listens on: bound once, so that a restarted API keeps its port."""

import errno
import socket

from imagejobs.errors import ConfigurationError

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - told apart, not listened on


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Connections queue until somebody accepts them."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        listening = socket.create_server(found[0][4][:2], family=found[0][0], backlog=2048)
    except OSError as error:
        raise ConfigurationError([_explained(host, port, error)]) from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # for all it accepts: clients vanish without a word
    return listening


def url_of(listening: socket.socket) -> str:
    """The address under which this machine reaches the socket."""
    host, port = listening.getsockname()[:2]
    host = _ANYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _explained(host: str, port: int, error: OSError) -> str:
    ways = "Choose another with --port or PORT; --port 0 takes any free one."
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is taken by another program. {ways}"
    if error.errno == errno.EACCES:
        return f"Port {port} of {host} may not be used by this user. {ways}"
    return f"Nothing can listen on port {port} of {host}: {error.strerror or error}. See --host and --port."
