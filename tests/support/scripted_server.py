"""A real HTTP server on this machine that answers by script and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it arrived."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What to answer; `document` as JSON, else `content` as it is. `hang_up` closes the connection instead."""

    status: int = 200
    document: Any = None
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_up: bool = False


@dataclass
class Script:
    """The replies in order, the last of them for ever, and every request."""

    url: str
    replies: list[Reply]
    asked: list[Asked] = field(default_factory=list)

    def next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def scripted_server(*replies: Reply) -> Iterator[Script]:
    """Serve the replies until the block ends."""
    script = Script(url="", replies=list(replies))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.asked.append(Asked(method=self.command, target=self.path, headers=headers, body=body))
            reply = script.next_reply()
            if reply.hang_up:
                self.close_connection = True
                return
            content = reply.content if reply.document is None else json.dumps(reply.document).encode()
            self.send_response(reply.status)
            for name, value in {"content-length": str(len(content)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = int(reply.headers.get("content-length", len(content))) != len(content)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - http.server's name

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
