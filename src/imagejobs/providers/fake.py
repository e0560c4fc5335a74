"""The fake provider as a provider: real HTTP to an `imagejobs fake-provider`, in each of the three resume classes.

It is there for tests of an installation, and it is how an adapter for a paid service is written.
"""

import binascii
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from imagejobs.domain.jobs import ResumeClass
from imagejobs.domain.money import Cost, Quote
from imagejobs.domain.requests import GenerationRequest
from imagejobs.errors import (
    Billed,
    ConfigurationError,
    ContentRefused,
    ModelUnavailable,
    NoImageReturned,
    OutcomeUnknown,
    ProviderError,
    ProviderFailed,
    ProviderRejected,
    ProviderUnreachable,
)
from imagejobs.net.http import Outbound, OutboundAnswer, OutboundRequest
from imagejobs.net.retry_after import retry_after_seconds
from imagejobs.ports import Answer, Call, Capabilities, Health, ModelCapability, Plan, Provider, ProviderConfig, Submitted
from imagejobs.providers.remote import Complaint, ask, document_in, error_of, is_storable, quoted

NAME = "fake"
PRICE_MICROS = 40_000
PRICE_VERSION = "fake-1"

_CALL_DEADLINE_SECONDS = 180.0
_POLL_DEADLINE_SECONDS = 60.0
_SHORT_DEADLINE_SECONDS = 10.0
_POLL_SECONDS = 1.0
_PATIENT_POLL_SECONDS = 2.0
_LONGEST_POLL_SECONDS = 60.0
_MOST_MICROS = 10**12
_MODELS = tuple(ModelCapability(name=resume_class.value, takes_seed=True) for resume_class in ResumeClass)
_KEY = re.compile(r"[\x21-\x7e]+")

logger = logging.getLogger(__name__)


def provider(config: ProviderConfig) -> Provider | None:
    """The entry point: None unless `IMAGEJOBS_FAKE_BASE_URL` names a fake provider; any key will do."""
    if config.base_url is None:
        return None
    parts = urlsplit(config.base_url)
    problems = []
    if parts.scheme not in ("http", "https") or not parts.hostname:
        problems.append("IMAGEJOBS_FAKE_BASE_URL must be the address that the command printed, like http://127.0.0.1:8900.")
    if config.api_key is not None and not _KEY.fullmatch(config.api_key):
        problems.append("IMAGEJOBS_FAKE_API_KEY has characters that a key cannot have; was a line end copied with it?")
    if problems:
        raise ConfigurationError(problems)
    return FakeProviderAdapter(
        outbound=Outbound(),
        base_url=config.base_url.rstrip("/"),
        api_key=config.api_key or "any-key",
        call_deadline_seconds=config.timeout_seconds or _CALL_DEADLINE_SECONDS,
    )


class FakeProviderAdapter:
    """Three models, `key`, `lookup` and `none`, one for each resume class.

    A poll never says that nothing was bought: whatever hinders it, it is made again, until the core's deadline.
    """

    def __init__(self, *, outbound: Outbound, base_url: str, api_key: str, call_deadline_seconds: float) -> None:
        self._outbound = outbound
        self._base_url = base_url
        self._api_key = api_key
        self._call_deadline_seconds = call_deadline_seconds

    @property
    def name(self) -> str:
        return NAME

    def capabilities(self) -> Capabilities:
        return Capabilities(models=_MODELS)

    def quote(self, request: GenerationRequest) -> Quote:
        del request
        return Quote(micros=PRICE_MICROS, price_version=PRICE_VERSION)

    def plan(self, request: GenerationRequest) -> Plan:
        return Plan(resume_class=_class_of(request), call_deadline_seconds=self._call_deadline_seconds)

    async def submit(self, call: Call) -> Answer | Submitted:
        path = f"/v1/{_class_of(call.request).value}/images"
        outbound_request = self._request("POST", path, call.deadline_seconds, _body(call.request), call.idempotency_key)
        answer = await ask(self._outbound, replace(outbound_request, before_body=call.room.enter), NAME)
        if answer.status >= 300:
            raise error_of(answer, self._complaint(document_in(answer)), NAME)
        document = document_in(answer)
        if document is None:
            raise OutcomeUnknown(f"{NAME} answered {answer.status} with no document of its own; it may have charged.")
        return self._result(document)

    async def poll(self, remote_id: str, call: Call) -> Answer | Submitted:
        seconds = min(call.deadline_seconds, _POLL_DEADLINE_SECONDS)
        try:
            request = replace(self._request("GET", _path_of(remote_id), seconds), before_body=call.room.enter)
            answer = await ask(self._outbound, request, NAME)
        except (ProviderUnreachable, OutcomeUnknown) as error:
            return _asked_in_vain(remote_id, error.detail)
        if answer.status >= 300:
            return self._asked_again(answer, remote_id)
        document = document_in(answer)
        if document is None:
            return _asked_in_vain(remote_id, f"answered {answer.status} with no document of its own")
        return self._result(document, remote_id)

    async def cancel(self, remote_id: str) -> bool:
        request = self._request("POST", f"{_path_of(remote_id)}/cancel", _SHORT_DEADLINE_SECONDS)
        try:
            answer = await ask(self._outbound, request, NAME)
        except ProviderError:
            return False
        document = document_in(answer) or {}
        return answer.status == 200 and document.get("status") == "canceled" and document.get("billed") is False

    async def check(self) -> Health:
        try:
            answer = await ask(self._outbound, self._request("GET", "/v1/account", _SHORT_DEADLINE_SECONDS), NAME)
        except ProviderError as error:
            return Health(ok=False, detail=error.detail)
        if answer.status == 200:
            return Health(ok=True, detail=f"Answers at {self._base_url}.")
        return Health(ok=False, detail=error_of(answer, self._complaint(document_in(answer)), NAME).detail)

    async def close(self) -> None:
        await self._outbound.close()

    def _request(
        self, method: str, path: str, seconds: float, body: bytes = b"", idempotency_key: str | None = None
    ) -> OutboundRequest:
        headers = {"authorization": f"Bearer {self._api_key}", "accept": "application/json"}
        if body:
            headers["content-type"] = "application/json"
        if idempotency_key is not None:
            headers["idempotency-key"] = idempotency_key
        return OutboundRequest(
            method=method,
            url=self._base_url + path,
            headers=headers,
            body=body,
            deadline_seconds=seconds,
            is_repeatable=method == "GET",
        )

    def _result(self, document: Mapping[str, Any], remote_id: str | None = None) -> Answer | Submitted:
        """What a success says: a picture, a task that goes on, or one that came to nothing."""
        match document.get("status"):
            case "queued" | "running":
                return Submitted(remote_id=remote_id or _id_in(document), poll_after_seconds=_POLL_SECONDS)
            case "failed" | "canceled":
                raise self._ended_badly(document)
            case _:
                return _picture(document)

    def _ended_badly(self, document: Mapping[str, Any]) -> ProviderError:
        """The error of a task that ended without a picture; what it does not say it cost stays unknown."""
        said = self._complaint(document) or Complaint(billed=_flag(document.get("billed")))
        words = f"{NAME} could not make the picture" + (f" (“{said.text}”)" if said.text else "")
        if said.billed is None:
            return OutcomeUnknown(f"{words} and does not say whether it charged. Look at its own usage page.")
        if said.kind == "content_refused":
            refused = ContentRefused(f"{words}: its safety rules forbid it. Change the prompt or the pictures.")
            refused.billed = Billed.YES if said.billed else Billed.NO
            return refused
        if said.billed:
            return NoImageReturned(f"{words}, but charged for it.")
        if document.get("status") == "canceled":
            return ProviderRejected(f"{words}: somebody canceled it there. It was not charged; retry the job.")
        return ProviderFailed(f"{words} and did not charge. Try again later.")

    def _asked_again(self, answer: OutboundAnswer, remote_id: str) -> Submitted:
        """After a poll that was refused: ask again, unless that cannot help."""
        words = error_of(answer, self._complaint(document_in(answer)), NAME).detail
        if answer.status == 429 or answer.status >= 500:
            return _asked_in_vain(remote_id, words, retry_after_seconds(answer.headers, datetime.now(UTC)))
        if answer.status == 404:
            raise OutcomeUnknown(f"{NAME} does not know the task {quoted(remote_id)} any more; it may have charged for it.")
        raise OutcomeUnknown(f"The task was accepted, but cannot be asked for: {words}")

    def _complaint(self, document: Mapping[str, Any] | None) -> Complaint | None:
        error = (document or {}).get("error")
        if not isinstance(error, dict):
            return None
        kind, text = error.get("type"), error.get("message")
        return Complaint(
            kind=kind if isinstance(kind, str) else None,
            text=quoted(text, self._api_key) if isinstance(text, str) else None,
            billed=_flag(error.get("billed")),
        )


def _class_of(request: GenerationRequest) -> ResumeClass:
    try:
        return ResumeClass(request.model)
    except ValueError as error:
        raise ModelUnavailable(f"{NAME} has no model {request.model[:100]!r}; ask for key, lookup or none.") from error


def _asked_in_vain(remote_id: str, why: str, stated_seconds: float | None = None) -> Submitted:
    logger.warning("fake.poll_failed", extra={"remote_id": remote_id, "detail": why})
    seconds = min(max(stated_seconds or 0.0, _PATIENT_POLL_SECONDS), _LONGEST_POLL_SECONDS)
    return Submitted(remote_id=remote_id, poll_after_seconds=seconds)


def _body(request: GenerationRequest) -> bytes:
    """The same bytes for every send of one purchase."""
    wanted = {
        "prompt": request.prompt,
        "width": request.width,
        "height": request.height,
        "seed": request.seed,
        "model": request.model,
    }
    return json.dumps(wanted, sort_keys=True).encode()


def _path_of(remote_id: str) -> str:
    return f"/v1/lookup/images/{quote(remote_id, safe='')}"


def _id_in(document: Mapping[str, Any]) -> str:
    found = document.get("id")
    if not isinstance(found, str) or not 1 <= len(found) <= 200 or not is_storable(found):
        raise OutcomeUnknown(f"{NAME} took the request without saying under which id; it may have charged.")
    return found


def _picture(document: Mapping[str, Any]) -> Answer:
    """The bytes as they came. What is no base64 is handed on as text, for the decoder to refuse: it is paid for."""
    image = document.get("image")
    if not image:
        raise NoImageReturned(f"{NAME} answered without a picture, and charged. Retry, perhaps with another prompt.")
    fields = image if isinstance(image, dict) else {"data": image}
    data, media_type, remote_id = fields.get("data"), fields.get("media_type"), document.get("id")
    if data in (None, ""):
        raise NoImageReturned(f"{NAME} answered with an empty picture, and charged. Retry, perhaps with another prompt.")
    return Answer(
        data=_decoded(data),
        media_type=media_type if isinstance(media_type, str) and is_storable(media_type) else "application/octet-stream",
        cost=_cost(document),
        remote_id=remote_id if isinstance(remote_id, str) and is_storable(remote_id) else None,
    )


def _decoded(data: object) -> bytes:
    try:
        return binascii.a2b_base64(data, strict_mode=True) if isinstance(data, str) else json.dumps(data).encode()
    except ValueError:
        return str(data).encode("utf-8", "surrogatepass")


def _cost(document: Mapping[str, Any]) -> Cost:
    """The provider's own figure; its list price, marked as an estimate, where it gives none that makes sense."""
    cost = document.get("cost")
    micros = cost.get("micros") if isinstance(cost, dict) else None
    if type(micros) is int and 0 <= micros <= _MOST_MICROS:
        return Cost(micros=micros, price_version=PRICE_VERSION, estimated=False)
    return Cost(micros=PRICE_MICROS, price_version=PRICE_VERSION, estimated=True)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
