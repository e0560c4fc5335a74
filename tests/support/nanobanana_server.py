"""A service with the generic Nano Banana contract, over real HTTP on this machine, which keeps its own bill.

The prompt says how it answers: `link`, `data link`, `job`, `job by id`, `at work`, `data url`, `picture`, `status 429`,
`unsafe`, `nothing`, `cut`, `slow`, `failed`, `failed free`, `muddled`; whatever else as base64.
"""

import base64
import io
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zlib import crc32

from PIL import Image

from imagejobs.ports import Provider, ProviderConfig
from imagejobs.providers.nanobanana import NanoBanana, provider

API_KEY = "nb-s3cret"
DOLLARS = 0.05
MICROS = 50_000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    authorization: str | None
    body: dict[str, Any]


@dataclass
class NanoBananaServer:
    """The service. `bill` holds what it charged, in dollars; `trouble` a status for that many next polls and downloads."""

    bill: list[float] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)
    trouble: list[int] = field(default_factory=list)
    running_polls: int = 1
    stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> str:
        """Its base URL."""
        handler = type("Handler", (_Handler,), {"shop": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def stop(self) -> None:
        self.stopping.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    shop: NanoBananaServer

    def do_GET(self) -> None:
        self._note({})
        kind, _, name = self.path.removeprefix("/v1/").partition("/")
        if self.shop.trouble and kind in ("jobs", "pictures"):
            self._answer(self.shop.trouble.pop(0), {})
        elif kind == "pictures":
            self._send(200, picture(name), "image/png")
        elif kind == "jobs" and name in self.shop.jobs:
            self._poll(name)
        else:
            self._answer(200 if kind == "" else 404, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._note(body)
        word, status = body["prompt"], body["prompt"].removeprefix("status ")
        if self.headers["authorization"] != f"Bearer {API_KEY}":
            self._answer(401, {"error": {"message": f"bad key {self.headers['authorization']}"}})
        elif status.isdecimal():
            self._answer(int(status), {"error": {"code": "some_code", "message": f"told to say {status}"}})
        elif word == "unsafe":
            self._answer(400, {"error": {"code": "content_policy_violation", "message": "no"}})
        elif word == "slow":
            self.shop.stopping.wait(60)
            self.close_connection = True
        else:
            self.shop.bill += [DOLLARS] if word != "failed free" else []
            self._sell(word, body)

    def _sell(self, word: str, body: dict[str, Any]) -> None:
        named = f"{crc32(json.dumps(body).encode()):08x}-{body['width']}-{body['height']}"
        data, rest = picture(named), {"id": named, "seed": body.get("seed"), "cost": DOLLARS}
        encoded = base64.b64encode(data).decode()
        documents: dict[str, Any] = {
            "link": {"image_url": f"/v1/pictures/{named}", **rest},
            "data url": {"base64": f"data:image/png;base64,{encoded}", "id": named},
            "data link": {"image_url": f"data:image/png;base64,{encoded}", **rest},
            "muddled": {"image_data": encoded, "content_type": "image/png\0", "id": "\0", "cost": DOLLARS},
            "muddled link": {"image_url": f"/v1/pictures/{named}", **rest, "id": "\ud800"},
            "nothing": {"id": named},
            "at work": {"status": "processing"},
            "failed": {"status": "failed", "message": "the GPU caught fire"},
            "failed free": {"status": "failed", "error": "the GPU caught fire", "cost": 0},
        }
        if word in ("job", "job failed"):
            self.shop.jobs[named] = word
            self._answer(202, {"job_id": named, "status": "queued"})
        elif word == "job by id":
            self.shop.jobs[named] = word
            self._answer(202, {"id": named, "status": "Processing"})
        elif word == "picture":
            self._send(200, data, "image/png; charset=binary")
        elif word == "cut":
            self._send(200, b'{"image_data": "', "application/json", missing=100)
        else:
            self._answer(200, documents.get(word, {"image_data": encoded, "content_type": "image/png", **rest}))

    def _poll(self, name: str) -> None:
        if self.shop.running_polls > 0:
            self.shop.running_polls -= 1
            self._answer(200, {"job_id": name, "status": "processing"})
        elif self.shop.jobs[name] == "job failed":
            self._answer(200, {"job_id": name, "status": "failed", "error": {"code": "gpu", "message": "broke"}})
        else:
            self._answer(200, {"status": "done", "url": f"/v1/pictures/{name}", "cost": str(DOLLARS)})

    def _note(self, body: dict[str, Any]) -> None:
        authorization = self.headers["authorization"]
        self.shop.asked.append(Asked(method=self.command, path=self.path, authorization=authorization, body=body))

    def _answer(self, status: int, document: object) -> None:
        self._send(status, json.dumps(document).encode(), "application/json")

    def _send(self, status: int, data: bytes, media_type: str, missing: int = 0) -> None:
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(data) + missing))
        self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = bool(missing)

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - http.server's name


def picture(name: str) -> bytes:
    """A picture of one color, of the size that its name says."""
    color, width, height = name.split("-")
    out = io.BytesIO()
    Image.new("RGB", (int(width), int(height)), f"#{color[:6]}").save(out, "PNG")
    return out.getvalue()


def an_adapter(url: str, api_key: str = API_KEY, **options: str) -> NanoBanana:
    """The adapter, set up as the environment would."""
    made = provider(ProviderConfig(api_key=api_key, base_url=url, options=options))
    assert isinstance(made, NanoBanana)
    return made


def nanobanana_with_its_server() -> Provider:
    """An adapter and a service of its own, which ends when the adapter is closed."""
    server = NanoBananaServer()
    made = an_adapter(server.start())
    close = made.close

    async def close_both() -> None:
        await close()
        server.stop()

    made.close = close_both  # type: ignore[method-assign]
    return made
