"""A fake provider in the test's own process, and the adapter that buys from it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from imagejobs.domain.jobs import JobType
from imagejobs.domain.requests import GenerationRequest
from imagejobs.ports import Call, Provider, ProviderConfig
from imagejobs.providers import fake as adapter
from imagejobs.providers.fake_server import FakeProvider, Options, running
from imagejobs.providers.fake_server.script import Rules

API_KEY = "s3cret-key"


def script(fake: FakeProvider, *rules: dict[str, Any]) -> None:
    """Put these rules in force."""
    fake.script.replace(Rules.model_validate({"rules": rules}).rules)


def always(**action: Any) -> dict[str, Any]:
    """A rule for every submission."""
    return {"then": action}


def on(what: str, **action: Any) -> dict[str, Any]:
    """A rule for every request of that kind."""
    return {"when": {"on": what}, "then": action}


def once(**action: Any) -> dict[str, Any]:
    """A rule for the next submission that reaches it."""
    return {"then": action, "times": 1}


def a_call(model: str = "none", *, key: str = "purchase-1", seconds: float = 30.0, **changes: Any) -> Call:
    """One send of a small picture."""
    wanted = {"prompt": "a red fox", "width": 64, "height": 48, "model": model, **changes}
    request = GenerationRequest(job_type=JobType.GENERATE, **wanted)
    return Call(request=request, idempotency_key=key, deadline_seconds=seconds)


def an_adapter(url: str) -> Provider:
    """The adapter, set up as the environment would."""
    made = adapter.provider(ProviderConfig(base_url=url, api_key=API_KEY))
    assert made is not None
    return made


@asynccontextmanager
async def fake_and_adapter(options: Options | None = None) -> AsyncIterator[tuple[FakeProvider, Provider]]:
    """Both, for as long as the block lasts."""
    async with running(options or Options()) as fake:
        made = an_adapter(fake.url)
        try:
            yield fake, made
        finally:
            await made.close()
