"""Calls of the adapter `gemini` to a fake of Google."""

from typing import Any

import pytest

from imagejobs.domain.jobs import JobType
from imagejobs.domain.requests import GenerationRequest
from imagejobs.errors import ProviderError
from imagejobs.ports import Answer, Call, Submitted
from imagejobs.providers.gemini.adapter import Gemini
from tests.support.gemini_server import MODEL, Reply

WEB_PAGE: dict[str, Any] = {"content": b"<html>Error</html>", "headers": {"content-type": "text/html"}}


def a_call(seconds: float = 30.0, **changes: Any) -> Call:
    wanted = {"prompt": "a red fox", "width": 1024, "height": 1024, "model": MODEL, **changes}
    return Call(
        request=GenerationRequest(job_type=JobType.GENERATE, **wanted), idempotency_key="k", deadline_seconds=seconds
    )


async def error_of(asked: Any) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await asked
    return raised.value


async def submitted(gemini: Gemini) -> str:
    answer = await gemini.submit(a_call())
    assert isinstance(answer, Submitted)
    return answer.remote_id


async def polled(gemini: Gemini, remote_id: str) -> Answer:
    while True:
        answer = await gemini.poll(remote_id, a_call())
        if isinstance(answer, Answer):
            return answer


def generation(reason: str | None, **more: Any) -> Reply:
    """An answer of `generateContent` without a picture."""
    candidates = [] if reason is None else [{"index": 0, "finishReason": reason, "finishMessage": "because"}]
    return Reply(document={"candidates": candidates, **more})
