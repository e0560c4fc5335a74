"""Every provider adapter, and what to ask of it; the contract runs on each. A new adapter adds one case."""

from collections.abc import Callable
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
from imagejobs.providers.sketch import provider as sketch
from tests.support.nanobanana_server import nanobanana_with_its_server


@dataclass(frozen=True, kw_only=True)
class ProviderCase:
    """One adapter against something that plays its service.

    `plain` brings a picture; each of `failing` raises that error when it is submitted; `slow` takes many seconds.
    `failing_seconds` is the deadline of the failing calls: short where a timeout is among them.
    """

    open: Callable[[], Provider]
    plain: GenerationRequest
    failing: tuple[tuple[GenerationRequest, type[ProviderError]], ...]
    slow: GenerationRequest
    failing_seconds: float = 0.05


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
    failing_seconds=5.0,
)

CASES: dict[str, ProviderCase] = {"sketch": _SKETCH, "nanobanana": _NANOBANANA}
