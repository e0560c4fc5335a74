"""The adapter: which request is sent, which answer is awaited, and what is safe to send a second time.

    plan   → lookup where the model is made in the background, none where it is not
    submit → POST interactions, background, stored      → an id, which the core stores and then polls
             or, where Google refuses that,
             POST models/{model}:generateContent        → the picture in the answer, or nobody knows
    poll   → GET interactions/{id}

**The one fallback.** Whether a model may be used in the background is not documented, so it is tried. A 400 that refuses
the background came before anything was made; within the same `submit` the same wish goes to `generateContent`, once, and
from then on this process plans class none for the model. The attempt was opened as lookup, and stays safe: it has no
remote id until one is stored, and the core takes a lookup attempt without an id for one that nobody can ask for. A lost
answer of `generateContent`, or a worker's death during it, ends as `outcome_unknown` and is never sent again in silence.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from urllib.parse import quote as quoted_for_path, urlsplit

from imagejobs.domain.jobs import ResumeClass
from imagejobs.domain.money import Quote
from imagejobs.domain.requests import GenerationRequest
from imagejobs.errors import (
    ConfigurationError,
    OutcomeUnknown,
    ProviderError,
    ProviderKeyRejected,
    ProviderRejected,
    ProviderThrottled,
    ProviderUnreachable,
)
from imagejobs.net.http import Outbound, OutboundAnswer, OutboundRequest
from imagejobs.ports import Answer, Call, Capabilities, Health, Plan, Provider, ProviderConfig, Submitted
from imagejobs.providers.gemini.answers import Reading, no_picture, read_generation, read_interaction
from imagejobs.providers.gemini.body import CutBody, read_body
from imagejobs.providers.gemini.catalogue import NAME, Catalogue, Frame, Model, load_catalogue
from imagejobs.providers.gemini.faults import error_in, refuses_background
from imagejobs.providers.gemini.prices import cost_of, quote_of
from imagejobs.providers.gemini.wire import generation_body, interaction_body, require_sendable
from imagejobs.providers.remote import ask, quoted

HOME = "https://generativelanguage.googleapis.com"

_SHORT_DEADLINE_SECONDS = 10.0
_POLL_DEADLINE_SECONDS = 60.0
_POLL_SECONDS = 2.0
_PATIENT_POLL_SECONDS = 5.0
_LONGEST_POLL_SECONDS = 60.0
_LEAST_SECONDS = 1.0
_KEY = re.compile(r"[\x21-\x7e]+")

logger = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


def provider(config: ProviderConfig) -> Provider | None:
    """The entry point: None without a key. A key is not judged at start; `check` does that, and the first call."""
    if config.api_key is None:
        return None
    url = (config.base_url or HOME).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError([f"IMAGEJOBS_GEMINI_BASE_URL must be an address like {HOME}."])
    return Gemini(
        outbound=Outbound(),
        base_url=url,
        api_key=config.api_key.strip(),
        timeout_seconds=config.timeout_seconds,
        catalogue=load_catalogue(),
    )


class Gemini:
    """Speaks to Google. Nothing is retried; the fallback above is the only second request."""

    def __init__(
        self,
        *,
        outbound: Outbound,
        base_url: str,
        api_key: str,
        timeout_seconds: float | None,
        catalogue: Catalogue,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._outbound = outbound
        self._base_url = base_url
        self._api_key = api_key
        self._timeout_seconds = timeout_seconds
        self._catalogue = catalogue
        self._capabilities = Capabilities(models=tuple(model.capability() for model in catalogue.models))
        self._now = now
        self._refused_background: set[str] = set()

    @property
    def name(self) -> str:
        return NAME

    def capabilities(self) -> Capabilities:
        return self._capabilities

    def quote(self, request: GenerationRequest) -> Quote:
        model = self._model(request)
        return quote_of(model, model.frame(request.width, request.height), request, self._catalogue.price_version)

    def plan(self, request: GenerationRequest) -> Plan:
        model = self._model(request)
        require_sendable(model, request)
        return Plan(
            resume_class=ResumeClass.LOOKUP if self._in_background(model) else ResumeClass.NONE,
            call_deadline_seconds=self._timeout_seconds or model.timeout_seconds,
        )

    async def submit(self, call: Call) -> Answer | Submitted:
        model = self._model(call.request)
        require_sendable(model, call.request)
        if not self._in_background(model):
            return await self._generate(call, model, call.deadline_seconds)
        began = asyncio.get_running_loop().time()
        body = interaction_body(call.request, _frame(model, call), model)
        answer = await self._ask("POST", "/v1/interactions", call.deadline_seconds, body, call)
        if not refuses_background(answer):
            return self._result(self._success(answer, model), model, call, None)
        left = call.deadline_seconds - (asyncio.get_running_loop().time() - began)
        return await self._generate_instead(call, model, max(left, _LEAST_SECONDS))

    async def poll(self, remote_id: str, call: Call) -> Answer | Submitted:
        """Ask for the interaction. What hinders a poll says nothing of the purchase: it is made again, to the deadline."""
        model = self._known_model(call.request)
        seconds = min(call.deadline_seconds, _POLL_DEADLINE_SECONDS)
        try:
            answer = await self._ask("GET", _path_of(remote_id), seconds, call=call)
        except (ProviderUnreachable, OutcomeUnknown) as error:
            return _asked_in_vain(remote_id, error.detail)
        if answer.status >= 300:
            return self._asked_again(answer, remote_id, model)
        body = read_body(answer.body)
        if body is None or not isinstance(body.document, dict):
            return _asked_in_vain(remote_id, f"answered {answer.status} with no document of its own")
        return self._result(body, model, call, remote_id)

    async def cancel(self, remote_id: str) -> bool:
        """Ask Google to stop. False even where it did: nothing documents that a stopped interaction is free."""
        try:
            await self._ask("POST", f"{_path_of(remote_id)}/cancel", _SHORT_DEADLINE_SECONDS)
        except ProviderError as error:
            logger.warning("gemini.cancel_failed", extra={"remote_id": remote_id, "detail": error.detail})
        return False

    async def check(self) -> Health:
        """Read the default model's entry, which is free."""
        model = self._catalogue.models[0]
        try:
            answer = await self._ask("GET", f"/v1/models/{model.name}", _SHORT_DEADLINE_SECONDS)
        except ProviderError as error:
            return Health(ok=False, detail=error.detail)
        if answer.status == 200:
            return Health(ok=True, detail=f"{self._base_url} takes the key and serves {model.name}.")
        return Health(ok=False, detail=error_in(answer, model, self._api_key, self._now()).detail)

    async def close(self) -> None:
        await self._outbound.close()

    async def _generate_instead(self, call: Call, model: Model, seconds: float) -> Answer:
        """The fallback, remembered for the model; unless Google refuses the wish here too: then that was the obstacle."""
        if self._in_background(model):
            logger.warning("gemini.no_background", extra={"model": model.name})
        self._refused_background.add(model.name)
        try:
            return await self._generate(call, model, seconds)
        except ProviderRejected:
            self._refused_background.discard(model.name)
            raise

    async def _generate(self, call: Call, model: Model, seconds: float) -> Answer:
        path = f"/v1/models/{model.name}:generateContent"
        answer = await self._ask("POST", path, seconds, generation_body(call.request, _frame(model, call)), call)
        body = self._success(answer, model)
        return self._picture(body, read_generation(body.document), model, call)

    def _result(self, body: CutBody, model: Model, call: Call, remote_id: str | None) -> Answer | Submitted:
        """An interaction as it stands: a picture, a task that goes on, or one that came to nothing."""
        reading = read_interaction(body.document)
        known_id = remote_id or reading.remote_id
        if reading.image is None and reading.goes_on:
            if known_id is None:
                raise OutcomeUnknown(f"{NAME} took the request without saying under which id; it may have charged.")
            return Submitted(remote_id=known_id, poll_after_seconds=_POLL_SECONDS)
        return self._picture(body, reading, model, call)

    def _picture(self, body: CutBody, reading: Reading, model: Model, call: Call) -> Answer:
        data = b"" if reading.image is None else body.picture(reading.image.get("data"))
        if not data:
            raise no_picture(reading, quoted(reading.words, self._api_key))
        return Answer(
            data=data,
            media_type=reading.media_type,
            cost=cost_of(model, _frame(model, call), reading.usage, self._catalogue.price_version),
            remote_id=reading.remote_id,
        )

    def _success(self, answer: OutboundAnswer, model: Model) -> CutBody:
        if answer.status >= 300:
            raise error_in(answer, model, self._api_key, self._now())
        body = read_body(answer.body)
        if body is None or not isinstance(body.document, dict):
            raise OutcomeUnknown(f"{NAME} answered {answer.status} with no document of its own; it may have charged.")
        return body

    def _asked_again(self, answer: OutboundAnswer, remote_id: str, model: Model) -> Submitted:
        """After a poll that was refused: ask again, unless that cannot help. It never says that nothing was bought."""
        error = error_in(answer, model, self._api_key, self._now())
        if answer.status in (408, 429, 499) or answer.status >= 500:
            stated = error.retry_after_seconds if isinstance(error, ProviderThrottled) else None
            return _asked_in_vain(remote_id, error.detail, stated)
        if answer.status == 404:
            raise OutcomeUnknown(f"{NAME} does not know the interaction {quoted(remote_id)} any more; it may have charged.")
        raise OutcomeUnknown(f"The request was accepted, but cannot be asked for: {error.detail}")

    async def _ask(
        self, method: str, path: str, seconds: float, body: bytes = b"", call: Call | None = None
    ) -> OutboundAnswer:
        if not _KEY.fullmatch(self._api_key):
            raise ProviderKeyRejected(
                "GOOGLE_AI_API_KEY (or IMAGEJOBS_GEMINI_API_KEY) is no key; copy it from Google AI Studio, without spaces."
            )
        headers = {"x-goog-api-key": self._api_key, "accept": "application/json"}
        request = OutboundRequest(
            method=method,
            url=self._base_url + path,
            headers={**headers, "content-type": "application/json"} if body else headers,
            body=body,
            deadline_seconds=seconds,
            is_repeatable=method == "GET",
            before_body=None if call is None else call.room.enter,
        )
        return await ask(self._outbound, request, NAME)

    def _in_background(self, model: Model) -> bool:
        return model.background and model.name not in self._refused_background

    def _model(self, request: GenerationRequest) -> Model:
        return self._catalogue.serving(request.model, self._now().date())

    def _known_model(self, request: GenerationRequest) -> Model:
        """The model of a purchase that was made already; that its last day passed meanwhile changes nothing."""
        return self._catalogue.serving(request.model, date.min)


def _frame(model: Model, call: Call) -> Frame:
    return model.frame(call.request.width, call.request.height)


def _path_of(remote_id: str) -> str:
    return f"/v1/interactions/{quoted_for_path(remote_id, safe='')}"


def _asked_in_vain(remote_id: str, why: str, stated_seconds: float | None = None) -> Submitted:
    logger.warning("gemini.poll_failed", extra={"remote_id": remote_id, "detail": why})
    seconds = min(max(stated_seconds or 0.0, _PATIENT_POLL_SECONDS), _LONGEST_POLL_SECONDS)
    return Submitted(remote_id=remote_id, poll_after_seconds=seconds)
