"""A server that speaks Google's documented wire format over real HTTP, on this machine, and keeps a bill of its own.

As Google's it takes camelCase and snake_case, refuses fields that it does not know, and finishes and bills what it began
even if the customer hangs up. A script (`next`, `by_prompt`, `on_poll`) makes it answer badly.
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from imagejobs.providers.fake_server.pictures import File, Wish, picture
from imagejobs.providers.gemini.catalogue import load_catalogue

KEY = "AIza-fake-key"
MODEL = "gemini-nano-banana-2.1"
PRICES = {MODEL: (1.5, 30.0), "gemini-3-pro-image": (2.0, 120.0), "gemini-2.5-flash-image": (0.3, 30.0)}  # in, picture out
IMAGE_TOKENS = {"1K": 1120, "2K": 1680, "4K": 2520, "": 1290}
FRAMES = {(model.name, f.ratio, f.size): (f.width, f.height) for model in load_catalogue().models for f in model.frames}
FIELDS = {
    "contents": {"role", "parts"},
    "parts": {"text", "inlineData"},
    "inlineData": {"mimeType", "data"},
    "generationConfig": {"responseModalities", "candidateCount", "seed", "imageConfig"},
    "imageConfig": {"aspectRatio", "imageSize"},
    "input": {"type", "content"},
    "content": {"type", "text", "mimeType", "data"},
    "responseFormat": {"type", "aspectRatio", "imageSize", "mimeType", "delivery"},
}
GENERATION = {"contents", "generationConfig"}
INTERACTION = {"model", "background", "store", "input", "responseFormat", "generationConfig"}
PICTURE = "@the picture@"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it arrived; `body` is the JSON, None where there was none."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What to answer instead: `document` as JSON, else `content` as it is; `hang_up` closes the connection without a word.

    `makes` says that a picture is made, and billed, all the same.
    """

    status: int = 200
    document: Any = None
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_up: bool = False
    makes: bool = False
    delay_seconds: float = 0.0


def refusal(status: int, word: str, message: str = "", *details: Mapping[str, Any]) -> Reply:
    """An error in Google's form."""
    error: dict[str, Any] = {"code": status, "status": word, "message": message}
    return Reply(status=status, document={"error": error | ({"details": details} if details else {})})


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """One picture that was made and charged."""

    id: str
    micros: int
    prompt: str
    usage: Mapping[str, Any]
    file: File


@dataclass
class GeminiServer:
    """The service. `bill` has every generation it made, whether or not its answer arrived."""

    url: str = ""
    key: str = KEY
    refuses_background: bool = False
    polls_before_end: int = 1
    image_bytes: int = 0
    latency_seconds: float = 0.0
    keeps_requests: bool = True
    bill: list[Purchase] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    next: deque[Reply] = field(default_factory=deque)
    on_poll: deque[Reply] = field(default_factory=deque)
    by_prompt: dict[str, Reply] = field(default_factory=dict)
    interactions: dict[str, tuple[Purchase, int]] = field(default_factory=dict)
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def billed_micros(self) -> int:
        return sum(purchase.micros for purchase in self.bill)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self.connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        asked = Asked(method=method, path=target.partition("?")[0], headers=headers, body=json.loads(body) if body else None)
        self.asked.extend([asked] if self.keeps_requests else [])
        reply, purchase = self._answer(asked)
        await asyncio.sleep(reply.delay_seconds)
        if reply.hang_up:
            return False
        await _write(writer, reply, purchase)
        return headers.get("connection", "") != "close"

    def _answer(self, asked: Asked) -> tuple[Reply, Purchase | None]:
        if asked.headers.get("x-goog-api-key") != self.key:
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
            return refusal(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", info), None
        if found := re.fullmatch(r"/v1/models/([^/:]+):generateContent", asked.path):
            return self._generate(found[1], asked.body)
        if asked.path == "/v1/interactions":
            return self._begin(asked.body)
        if found := re.fullmatch(r"/v1/interactions/([^/]+)(/cancel)?", asked.path):
            return self._interaction(found[1], is_canceled=found[2] is not None)
        if found := re.fullmatch(r"/v1/models/([^/:]+)", asked.path):
            return (Reply(document={"name": f"models/{found[1]}"}) if found[1] in PRICES else _no_model(found[1])), None
        return Reply(status=404, content=b"<html>404</html>", headers={"content-type": "text/html"}), None

    def _generate(self, model: str, body: Mapping[str, Any]) -> tuple[Reply, Purchase | None]:
        wanted = camel(body)
        image = wanted.get("generationConfig", {}).get("imageConfig", {})
        parts = wanted["contents"][0]["parts"]
        if wrong := unknown_field(wanted, GENERATION) or self._wrong(model, image):
            return wrong, None
        prompt = " ".join(part["text"] for part in parts if "text" in part)
        scripted = self._scripted(prompt)
        if scripted is not None and not scripted.makes:
            return scripted, None
        made = self._make(model, image, prompt, sum("inlineData" in part for part in parts))
        usage = {
            "promptTokenCount": made.usage["input"],
            "candidatesTokenCount": made.usage["image"],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": made.usage["image"]}],
        }
        content = {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": PICTURE}}]}
        candidate = {"index": 0, "finishReason": "STOP", "content": content}
        document = {"candidates": [candidate], "usageMetadata": usage, "responseId": made.id, "modelVersion": model}
        return scripted or Reply(document=document, delay_seconds=self.latency_seconds), made

    def _begin(self, body: Mapping[str, Any]) -> tuple[Reply, Purchase | None]:
        wanted = camel(body)
        model, image = wanted["model"], wanted.get("responseFormat", {})
        if wrong := unknown_field(wanted, INTERACTION) or self._wrong(model, image):
            return wrong, None
        if self.refuses_background:
            return refusal(400, "INVALID_ARGUMENT", f"Model {model} does not support background interactions."), None
        content = wanted["input"][0]["content"]
        prompt = " ".join(part["text"] for part in content if part["type"] == "text")
        scripted = self._scripted(prompt)
        if scripted is not None and not scripted.makes:
            return scripted, None
        made = self._make(model, image, prompt, sum(part["type"] == "image" for part in content))
        self.interactions[made.id] = (made, self.polls_before_end)
        return scripted or Reply(document={"id": made.id, "object": "interaction", "status": "queued", "model": model}), None

    def _interaction(self, name: str, *, is_canceled: bool) -> tuple[Reply, Purchase | None]:
        if name not in self.interactions:
            return refusal(404, "NOT_FOUND", f"Interaction {name} not found."), None
        if is_canceled:
            return Reply(document={"id": name, "object": "interaction", "status": "cancelled"}), None
        if self.on_poll:
            return self.on_poll.popleft(), None
        made, polls = self.interactions[name]
        if polls > 0:
            self.interactions[name] = (made, polls - 1)
            return Reply(document={"id": name, "object": "interaction", "status": "in_progress"}), None
        image = {"type": "image", "mime_type": "image/png", "data": PICTURE}
        usage = {
            "total_input_tokens": made.usage["input"],
            "total_output_tokens": made.usage["image"],
            "output_tokens_by_modality": [{"modality": "image", "tokens": made.usage["image"]}],
        }
        steps = [{"type": "thought", "summary": []}, {"type": "model_output", "content": [image]}]
        return Reply(document={"id": name, "status": "completed", "steps": steps, "usage": usage}), made

    def _wrong(self, model: str, image: Mapping[str, Any]) -> Reply | None:
        if model not in PRICES:
            return _no_model(model)
        if (model, image.get("aspectRatio"), image.get("imageSize", "")) not in FRAMES:
            return refusal(400, "INVALID_ARGUMENT", f"Unsupported image config for {model}: {dict(image)}.")
        return None

    def _scripted(self, prompt: str) -> Reply | None:
        return self.next.popleft() if self.next else self.by_prompt.get(prompt)

    def _make(self, model: str, image: Mapping[str, Any], prompt: str, pictures: int) -> Purchase:
        tier = image.get("imageSize", "")
        usage = {"input": len(prompt) // 4 + 1 + 1120 * pictures, "image": IMAGE_TOKENS[tier]}
        width, height = FRAMES[model, image["aspectRatio"], tier]
        price_in, price_out = PRICES[model]
        name = f"made-{len(self.bill)}"
        made = Purchase(
            id=name,
            micros=int(usage["input"] * price_in + usage["image"] * price_out + 0.5),
            prompt=prompt,
            usage=usage,
            file=picture(Wish(seed=name, width=width, height=height, image_bytes=self.image_bytes)),
        )
        self.bill.append(made)
        return made


async def _write(writer: asyncio.StreamWriter, reply: Reply, purchase: Purchase | None) -> None:
    content = reply.content if reply.document is None else json.dumps(reply.document).encode()
    before, mark, after = content.partition(json.dumps(PICTURE).encode())
    file = purchase.file if purchase is not None and mark else None
    size = len(content) if file is None else len(before) + file.base64_size + 2 + len(after)
    headers = {"content-type": "application/json; charset=UTF-8", "content-length": str(size), **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} X", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    for piece in [content] if file is None else _pieces(before, file, after):
        writer.write(piece)
        await writer.drain()


def _pieces(before: bytes, file: File, after: bytes) -> Iterator[bytes]:
    yield before + b'"'
    yield from file.base64_pieces()
    yield b'"' + after


def _no_model(model: str) -> Reply:
    return refusal(404, "NOT_FOUND", f"models/{model} is not found for API version v1.")


def camel(value: Any) -> Any:
    """The document with every name in camelCase: Google takes both."""
    if isinstance(value, dict):
        return {re.sub(r"_(.)", lambda found: found[1].upper(), name): camel(item) for name, item in value.items()}
    return [camel(item) for item in value] if isinstance(value, list) else value


def unknown_field(value: Any, known: set[str]) -> Reply | None:
    """Google's complaint about the first field that it does not know."""
    for item in value if isinstance(value, list) else [value]:
        for name, inner in item.items() if isinstance(item, dict) else ():
            if name not in known:
                return refusal(400, "INVALID_ARGUMENT", f'Invalid JSON payload received. Unknown name "{name}".')
            if name in FIELDS and (found := unknown_field(inner, FIELDS[name])):
                return found
    return None


@asynccontextmanager
async def running_gemini(**settings: Any) -> AsyncIterator[GeminiServer]:
    """The server for as long as the block lasts."""
    service = GeminiServer(**settings)
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, backlog=1024)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield service
    finally:
        server.close()
        for connection in list(service.connections):
            connection.cancel()
        await asyncio.gather(*service.connections, return_exceptions=True)
