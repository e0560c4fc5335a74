"""S3 on loopback: moto as a whole server, and one that answers every request alike."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request as HttpRequest, urlopen
from uuid import uuid4

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of moto; one request at a time, for its memory is not made for two that write the same key."""
    with _serving(DomainDispatcherApplication(create_backend_app)) as url:
        yield url


def make_bucket(url: str, *, public: bool) -> str:
    """A new bucket on moto, whose objects everyone may read where it is public; its name."""
    name = f"b-{uuid4().hex}"
    rule = {"x-amz-acl": "public-read" if public else "private"}
    urlopen(HttpRequest(f"{url}/{name}", method="PUT", headers=rule)).close()  # noqa: S310 - loopback
    return name


@dataclass
class Alike:
    """A server that gives every request the same answer, but refuses these methods, and keeps methods and headers."""

    status: int
    content: bytes = b""
    refused: frozenset[str] = frozenset()
    url: str = ""
    asked: list[Request] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator["Alike"]:
        @Request.application
        def answer(request: Request) -> Response:
            request.get_data()
            self.asked.append(request)
            status = 403 if request.method in self.refused else self.status
            return Response(self.content, status, {"etag": '"1"'})

        with _serving(answer) as self.url:
            yield self


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None: ...  # noqa: A002 - werkzeug's name


@contextmanager
def _serving(app: Callable[..., Any]) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=False, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
