"""Every provider adapter, and what to ask of it; the contract runs on each. A new adapter adds one case."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace

from imagejobs.domain.jobs import JobType
from imagejobs.domain.requests import GenerationRequest
from imagejobs.errors import (
    ContentRefused,
    ModelUnavailable,
    NoImageReturned,
    OutcomeUnknown,
    ProviderCreditExhausted,
    ProviderError,
    ProviderKeyRejected,
    ProviderOverloaded,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnreachable,
)
from imagejobs.ports import Provider, ProviderConfig
from imagejobs.providers.gemini import provider as gemini
from imagejobs.providers.sketch import provider as sketch
from tests.support.gemini_server import KEY, MODEL, Reply, refusal, running_gemini
from tests.support.nanobanana_server import nanobanana_with_its_server


@dataclass(frozen=True, kw_only=True)
class ProviderCase:
    """One adapter against something that plays its service, which runs inside `around`.

    `plain` brings a picture; each of `failing` raises that error when it is submitted; `slow` takes many seconds.
    `failing_within_seconds` is the deadline of the failing calls: short where a timeout is among them.
    """

    open: Callable[[], Provider]
    plain: GenerationRequest
    failing: tuple[tuple[GenerationRequest, type[ProviderError]], ...]
    slow: GenerationRequest
    around: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    failing_within_seconds: float = 0.05


_PLAIN = GenerationRequest(
    job_type=JobType.GENERATE, prompt="a heron in the reeds", width=96, height=64, model="sketch-1", seed=7
)

_SKETCH = ProviderCase(
    open=lambda: sketch(ProviderConfig(timeout_seconds=5.0)),
    plain=_PLAIN,
    failing=(
        (replace(_PLAIN, prompt="[429]"), ProviderThrottled),
        (replace(_PLAIN, prompt="[429 60s]"), ProviderThrottled),
        (replace(_PLAIN, prompt="[503]"), ProviderOverloaded),
        (replace(_PLAIN, prompt="[offline]"), ProviderUnreachable),
        (replace(_PLAIN, prompt="[timeout]"), ProviderTimeout),
        (replace(_PLAIN, prompt="[unknown]"), OutcomeUnknown),
        (replace(_PLAIN, prompt="[refuse]"), ContentRefused),
        (replace(_PLAIN, prompt="[auth]"), ProviderKeyRejected),
        (replace(_PLAIN, prompt="[credit]"), ProviderCreditExhausted),
        (replace(_PLAIN, width=4097), ProviderRejected),
        (replace(_PLAIN, height=63), ProviderRejected),
        (replace(_PLAIN, model="another-model"), ModelUnavailable),
    ),
    slow=replace(_PLAIN, prompt="[slow 60s]"),
)

_BANANA = replace(_PLAIN, model="nanobanana")

_NANOBANANA = ProviderCase(
    open=nanobanana_with_its_server,
    plain=_BANANA,
    failing=(
        (replace(_BANANA, prompt="status 400"), ProviderRejected),
        (replace(_BANANA, prompt="status 401"), ProviderKeyRejected),
        (replace(_BANANA, prompt="status 402"), ProviderCreditExhausted),
        (replace(_BANANA, prompt="status 429"), ProviderThrottled),
        (replace(_BANANA, prompt="status 500"), OutcomeUnknown),
        (replace(_BANANA, prompt="status 503"), ProviderOverloaded),
        (replace(_BANANA, prompt="unsafe"), ContentRefused),
        (replace(_BANANA, prompt="nothing"), NoImageReturned),
        (replace(_BANANA, prompt="cut"), OutcomeUnknown),
    ),
    slow=replace(_BANANA, prompt="slow"),
    failing_within_seconds=30.0,
)


@dataclass
class _Google:
    """The fake of Google for one test, and the adapter that buys from it."""

    refuses_background: bool
    url: str = "http://127.0.0.1:1"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with running_gemini(refuses_background=self.refuses_background, by_prompt=_BY_PROMPT) as service:
            self.url = service.url
            yield

    def open(self) -> Provider:
        made = gemini(ProviderConfig(api_key=KEY, base_url=self.url))
        assert made is not None
        return made


_BY_PROMPT = {
    "slow": Reply(delay_seconds=60.0),
    "429": refusal(429, "RESOURCE_EXHAUSTED", "Slow down."),
    "503": refusal(503, "UNAVAILABLE", "The model is overloaded."),
    "500": refusal(500, "INTERNAL", "An internal error has occurred."),
    "400": refusal(400, "INVALID_ARGUMENT", "Bad."),
    "403": refusal(403, "PERMISSION_DENIED"),
    "lost": Reply(hang_up=True),
}
_GEMINI_PLAIN = replace(_PLAIN, model=MODEL)


def _gemini(*, refuses_background: bool) -> ProviderCase:
    google = _Google(refuses_background=refuses_background)
    return ProviderCase(
        open=google.open,
        around=google.running,
        plain=_GEMINI_PLAIN,
        failing=tuple(
            (replace(_GEMINI_PLAIN, prompt=prompt), error)
            for prompt, error in {
                "429": ProviderThrottled,
                "503": ProviderOverloaded,
                "500": OutcomeUnknown,
                "400": ProviderRejected,
                "403": ProviderKeyRejected,
                "lost": OutcomeUnknown,
            }.items()
        ),
        slow=replace(_GEMINI_PLAIN, prompt="slow"),
        failing_within_seconds=30.0,
    )


CASES: dict[str, ProviderCase] = {
    "sketch": _SKETCH,
    "nanobanana": _NANOBANANA,
    "gemini": _gemini(refuses_background=False),
    "gemini without background": _gemini(refuses_background=True),
}
