"""What we send is what Google's own client sends for the same job, and what our fake answers that client understands."""

import asyncio
import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from google import genai
from google.genai import types

from imagejobs.domain.jobs import JobType
from imagejobs.domain.requests import GenerationRequest, Picture, ReferenceRole
from imagejobs.ports import Answer, Call, ProviderConfig, Submitted
from imagejobs.providers.gemini import provider
from tests.support.gemini_server import KEY, MODEL, GeminiServer, camel

IDENTITY = Picture(data=bytes(range(256)), media_type="image/png", role=ReferenceRole.IDENTITY)
STYLE = Picture(data=b"\xfb\xef\xff style", media_type="image/jpeg", role=ReferenceRole.STYLE)
SOURCE = Picture(data=b"source", media_type="image/webp")
TEXT_ONLY = GenerationRequest(job_type=JobType.GENERATE, prompt="a cat, “für” 猫", width=1024, height=1024, model=MODEL)
JOBS: Mapping[str, tuple[GenerationRequest, str, str | None, int | None]] = {
    "text only": (TEXT_ONLY, "1:1", "1K", None),
    "references": (replace(TEXT_ONLY, references=(STYLE, IDENTITY), source_image=SOURCE), "1:1", "1K", None),
    "ratio and size": (replace(TEXT_ONLY, width=1920, height=1080), "16:9", "2K", None),
    "seed": (replace(TEXT_ONLY, seed=2**31 + 7), "1:1", "1K", 7),
    "one size only": (replace(TEXT_ONLY, model="gemini-2.5-flash-image"), "1:1", None, None),
}


@pytest.fixture
def client(google: GeminiServer) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=google.url, retry_options=types.HttpRetryOptions(attempts=1))
    made = genai.Client(api_key=KEY, http_options=options)
    yield made
    made.close()


def inputs(request: GenerationRequest) -> list[Picture]:
    """In the order that we promise: identity, style, source."""
    return [IDENTITY, STYLE, SOURCE] if request.references else []


async def ours(google: GeminiServer, request: GenerationRequest) -> Answer | Submitted:
    adapter = provider(ProviderConfig(api_key=KEY, base_url=google.url))
    assert adapter is not None
    answer = await adapter.submit(Call(request=request, idempotency_key="k", deadline_seconds=30))
    await adapter.close()
    return answer


def plain(value: Any) -> Any:
    """The two documented differences gone: snake case, and the other base64 alphabet."""
    if isinstance(value, dict):
        return {name: decoded(item) if name == "data" else plain(item) for name, item in camel(value).items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def decoded(data: str) -> bytes:
    return base64.b64decode(data.translate(str.maketrans("-_", "+/")), validate=True)


@pytest.mark.parametrize("job", JOBS)
async def test_generate_content_as_googles_client_sends_it(google: GeminiServer, client: genai.Client, job: str) -> None:
    request, ratio, size, seed = JOBS[job]
    google.refuses_background = True
    await ours(google, request)
    sent = google.asked[-1]
    contents: list[Any] = [types.Part.from_bytes(data=p.data, mime_type=p.media_type) for p in inputs(request)]
    config = types.GenerateContentConfig(
        response_modalities=["IMAGE"],
        candidate_count=1,
        seed=seed,
        image_config=types.ImageConfig(aspect_ratio=ratio, image_size=size),
    )
    theirs = await asyncio.to_thread(
        client.models.generate_content, model=request.model, contents=[*contents, request.prompt], config=config
    )
    assert (sent.method, sent.path) == (google.asked[-1].method, google.asked[-1].path)
    assert sent.headers["x-goog-api-key"] == google.asked[-1].headers["x-goog-api-key"]
    assert plain(sent.body) == plain(google.asked[-1].body)
    assert theirs.parts is not None
    assert theirs.parts[0].inline_data is not None
    assert theirs.parts[0].inline_data.data == b"".join(google.bill[-1].file.pieces())
    assert theirs.usage_metadata is not None
    assert theirs.usage_metadata.candidates_token_count == google.bill[-1].usage["image"]


@pytest.mark.parametrize("job", JOBS)
async def test_interactions_as_googles_client_sends_them(google: GeminiServer, client: genai.Client, job: str) -> None:
    request, ratio, size, seed = JOBS[job]
    answer = await ours(google, request)
    assert isinstance(answer, Submitted)
    sent = google.asked[-1]
    pictures = [
        {"type": "image", "mime_type": p.media_type, "data": base64.b64encode(p.data).decode()} for p in inputs(request)
    ]
    image: dict[str, Any] = {"type": "image", "aspect_ratio": ratio, "delivery": "inline"}
    interactions: Any = client.interactions
    wanted: dict[str, Any] = {} if seed is None else {"generation_config": {"seed": seed}}
    theirs = await asyncio.to_thread(
        interactions.create,
        model=request.model,
        background=True,
        store=True,
        input=[{"type": "user_input", "content": [*pictures, {"type": "text", "text": request.prompt}]}],
        response_format=image | ({} if size is None else {"image_size": size}),
        **wanted,
    )
    assert (sent.method, sent.path) == (google.asked[-1].method, google.asked[-1].path)
    assert plain(sent.body) == plain(google.asked[-1].body)
    while theirs.status != "completed":
        theirs = await asyncio.to_thread(interactions.get, theirs.id)
    assert base64.b64decode(theirs.steps[-1].content[0].data) == b"".join(google.bill[-1].file.pieces())
    assert google.asked[-1].path == f"/v1/interactions/{theirs.id}"
    await asyncio.to_thread(interactions.cancel, theirs.id)
    assert google.asked[-1].path == f"/v1/interactions/{theirs.id}/cancel"
