"""The generic REST contract under the name Nano Banana: `POST /generate` and `/inpaint`, a bearer key, JSON.

The service at its usual address is not documented in public; gateways and services of one's own speak this contract. So
nothing is believed that it does not say: no idempotency key is assumed, and a failure without a price is an unknown outcome.
"""

import base64
import binascii
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from imagejobs.domain.jobs import JobType, ResumeClass
from imagejobs.domain.money import MICROS, Cost, Quote
from imagejobs.domain.requests import GenerationRequest, Picture
from imagejobs.errors import (
    AddressRefused,
    AddressUnreachable,
    Billed,
    ConfigurationError,
    ContentRefused,
    DownloadRejected,
    NoImageReturned,
    OutcomeUnknown,
    ProviderError,
    ProviderFailed,
    ProviderKeyRejected,
    ProviderUnreachable,
)
from imagejobs.net.guard import Guard
from imagejobs.net.http import MEBIBYTE, Outbound, OutboundAnswer, OutboundRequest
from imagejobs.net.retry_after import retry_after_seconds
from imagejobs.ports import Answer, Call, Capabilities, Health, ModelCapability, Plan, Provider, ProviderConfig, Submitted
from imagejobs.providers.remote import Complaint, ask, document_in, error_of, is_storable, quoted

NAME = "nanobanana"
HOME = "https://api.nanobanana.ai/v1"
MODEL = ModelCapability(name=NAME, max_references=1, takes_source_image=True, takes_seed=True)

_PRICE = Decimal("0.04")
_MOST_DOLLARS = 1000
_POLL_PATH = "/jobs/{id}"
_CALL_DEADLINE_SECONDS = 180.0
_POLL_DEADLINE_SECONDS = 60.0
_SHORT_DEADLINE_SECONDS = 10.0
_POLL_SECONDS = 1.0
_PATIENT_POLL_SECONDS = 2.0
_LONGEST_POLL_SECONDS = 60.0
_MAX_PICTURE_BYTES = 32 * MEBIBYTE
_LONGEST_ID = 2000  # it is stored in an index, which takes 2.7 kB
_LINK = "link:"
_KEY = re.compile(r"[\x21-\x7e]+")
_RUNNING = {"queued", "pending", "submitted", "accepted", "created", "starting", "running", "processing", "in_progress"}
_ENDED_BADLY = {"failed", "failure", "error", "canceled", "cancelled", "expired"}
_REFUSED_KINDS = {"content_refused", "content_policy_violation", "content_filtered", "moderation_blocked", "safety", "nsfw"}

logger = logging.getLogger(__name__)


def provider(config: ProviderConfig) -> Provider | None:
    """The entry point: None without a key. Raises `ConfigurationError` for what can never work; a wrong key is not that."""
    if config.api_key is None:
        return None
    parts = urlsplit(config.base_url or HOME)
    poll_path = config.options.get("poll_path")
    problems = []
    if parts.scheme not in ("http", "https") or not parts.hostname:
        problems.append(f"NANO_BANANA_API_URL must be an address like {HOME}.")
    if poll_path is not None and not (poll_path.startswith("/") and poll_path.count("{id}") == 1):
        problems.append("IMAGEJOBS_NANOBANANA_POLL_PATH must start with / and hold {id} once, like /jobs/{id}.")
    price = _dollars(config.options.get("price", _PRICE))
    if price is None:
        problems.append("IMAGEJOBS_NANOBANANA_PRICE must be the price of one picture in US dollars, like 0.04.")
    if problems or price is None:
        raise ConfigurationError(problems)
    own_host = f"{parts.netloc.rpartition('@')[2]}" + ("" if parts.port else ":443" if parts.scheme == "https" else ":80")
    return NanoBanana(
        config=replace(config, base_url=(config.base_url or HOME).rstrip("/")),
        price_micros=price,
        outbound=Outbound(),
        guard=Guard([*config.outbound_allow, own_host]),
    )


class NanoBanana:
    """One model. A link to the picture is fetched through the guard, again and again until the deadline: it is paid for.

    The resume class is *lookup* where the operator set `IMAGEJOBS_NANOBANANA_POLL_PATH`, and by that says that the service
    answers with ids; else *none*. An id that comes unasked is polled at `/jobs/{id}`.
    """

    def __init__(self, *, config: ProviderConfig, price_micros: int, outbound: Outbound, guard: Guard) -> None:
        self._base_url = config.base_url or HOME
        self._api_key = config.api_key or ""
        self._poll_path = config.options.get("poll_path")
        self._call_deadline_seconds = config.timeout_seconds or _CALL_DEADLINE_SECONDS
        self._quote = Quote(micros=price_micros, price_version=f"{NAME}-flat-{price_micros}")
        self._outbound = outbound
        self._guard = guard

    @property
    def name(self) -> str:
        return NAME

    def capabilities(self) -> Capabilities:
        return Capabilities(models=(MODEL,))

    def quote(self, request: GenerationRequest) -> Quote:
        del request
        return self._quote

    def plan(self, request: GenerationRequest) -> Plan:
        del request
        resume_class = ResumeClass.NONE if self._poll_path is None else ResumeClass.LOOKUP
        return Plan(resume_class=resume_class, call_deadline_seconds=self._call_deadline_seconds)

    async def submit(self, call: Call) -> Answer | Submitted:
        if not _KEY.fullmatch(self._api_key):
            raise ProviderKeyRejected("NANO_BANANA_API_KEY has characters that no key has; was a line end copied with it?")
        path = "/inpaint" if call.request.job_type is JobType.INPAINT else "/generate"
        answer = await ask(self._outbound, self._request("POST", path, call, _body(call.request)), NAME)
        if answer.status >= 300:
            raise error_of(answer, self._complaint(document_in(answer)), NAME)
        return await self._result(answer, call)

    async def poll(self, remote_id: str, call: Call) -> Answer | Submitted:
        if remote_id.startswith(_LINK):
            return await self._fetch(_Link.parse(remote_id, self._quote), call)
        path = (self._poll_path or _POLL_PATH).replace("{id}", quote(remote_id, safe=""))
        try:
            answer = await ask(self._outbound, self._request("GET", path, call), NAME)
        except (ProviderUnreachable, OutcomeUnknown) as error:
            return _asked_in_vain(remote_id, error.detail)
        if answer.status >= 300:
            return self._asked_again(answer, remote_id)
        if document_in(answer) is None and not _is_picture(answer):
            return _asked_in_vain(remote_id, f"answered {answer.status} with no document of its own")
        return await self._result(answer, call, remote_id)

    async def cancel(self, remote_id: str) -> bool:
        del remote_id
        return False

    async def check(self) -> Health:
        """Whether somebody answers there, and does not refuse the key outright; no free call of the contract says more."""
        request = replace(self._request("GET", "/", None), deadline_seconds=_SHORT_DEADLINE_SECONDS)
        try:
            answer = await ask(self._outbound, request, NAME)
        except ProviderError as error:
            return Health(ok=False, detail=error.detail)
        if answer.status in (401, 402, 403):
            return Health(ok=False, detail=error_of(answer, self._complaint(document_in(answer)), NAME).detail)
        return Health(ok=True, detail=f"Answers at {self._base_url}; whether the key is good shows with the first picture.")

    async def close(self) -> None:
        await self._outbound.close()
        await self._guard.close()

    def _request(self, method: str, path: str, call: Call | None, body: bytes = b"") -> OutboundRequest:
        headers = {"authorization": f"Bearer {self._api_key}", "accept": "application/json, image/*"}
        if body:
            headers["content-type"] = "application/json"
        seconds = call.deadline_seconds if call else _SHORT_DEADLINE_SECONDS
        return OutboundRequest(
            method=method,
            url=self._base_url + path,
            headers=headers,
            body=body,
            deadline_seconds=min(seconds, _POLL_DEADLINE_SECONDS) if method == "GET" else seconds,
            is_repeatable=method == "GET",
            before_body=call.room.enter if call else None,
        )

    async def _result(self, answer: OutboundAnswer, call: Call, remote_id: str | None = None) -> Answer | Submitted:
        """What a success says: a picture, where it lies, a task that goes on, or one that came to nothing."""
        if _is_picture(answer):
            media_type = answer.headers["content-type"].partition(";")[0].strip().lower()
            return Answer(data=answer.body, media_type=media_type, cost=_cost({}, self._quote))
        document = document_in(answer)
        if document is None:
            raise OutcomeUnknown(f"{NAME} answered {answer.status} with no document of its own; it may have charged.")
        url = document.get("image_url") or document.get("url")
        is_inline = isinstance(url, str) and url.startswith("data:")
        if data := document.get("image_data") or document.get("base64") or (url if is_inline else None):
            return _inline(data, document, self._quote)
        if url:
            link = _Link(url=urljoin(self._base_url + "/", str(url)), cost=_cost(document, self._quote), id=_id_in(document))
            is_short = len(str(link)) <= _LONGEST_ID
            return Submitted(remote_id=str(link), poll_after_seconds=0.0) if is_short else await self._fetch(link, call)
        status = str(document.get("status", "")).lower()
        if status in _ENDED_BADLY or document.get("error"):
            raise self._ended_badly(document)
        is_at_work = status in _RUNNING
        task = remote_id or _task_in(document, is_at_work=is_at_work)
        if task is not None and (remote_id is None or is_at_work or not status):
            return Submitted(remote_id=task, poll_after_seconds=_POLL_SECONDS)
        if is_at_work:
            raise OutcomeUnknown(f"{NAME} took the request without saying under which id; it may have charged.")
        raise NoImageReturned(f"{NAME} reports success without a picture, and charges for it. Retry, or reword the prompt.")

    async def _fetch(self, link: "_Link", call: Call) -> Answer | Submitted:
        """The picture behind a link, which is bought already: what hinders for now is tried again, what stays is the end."""
        seconds = min(call.deadline_seconds, _POLL_DEADLINE_SECONDS)
        try:
            fetched = await self._guard.fetch(
                link.url, max_bytes=_MAX_PICTURE_BYTES, deadline_seconds=seconds, room=call.room
            )
        except AddressUnreachable as error:
            if len(str(link)) > _LONGEST_ID:
                raise OutcomeUnknown(f"The link that {NAME} answered with cannot be reached; it has charged.") from error
            return _asked_in_vain(str(link), error.detail)
        except (AddressRefused, DownloadRejected) as error:
            raise NoImageReturned(f"{NAME} charged, but its link gives no picture. {error.detail}") from error
        return Answer(data=fetched.data, media_type=fetched.media_type, cost=link.cost, remote_id=link.id)

    def _ended_badly(self, document: Mapping[str, Any]) -> ProviderError:
        """The error of a task that ended without a picture; what it does not say it cost stays unknown."""
        said = self._complaint(document) or Complaint(billed=_billed(document))
        words = f"{NAME} could not make the picture" + (f" (“{said.text}”)" if said.text else "")
        if said.billed is None:
            return OutcomeUnknown(f"{words} and does not say whether it charged. Look at its own usage page.")
        if said.kind == "content_refused":
            refused = ContentRefused(f"{words}: its safety rules forbid it. Change the prompt or the pictures.")
            refused.billed = Billed.YES if said.billed else Billed.NO
            return refused
        if said.billed:
            return NoImageReturned(f"{words}, but charged for it.")
        return ProviderFailed(f"{words} and did not charge. Try again later.")

    def _asked_again(self, answer: OutboundAnswer, remote_id: str) -> Submitted:
        """After a poll that was refused: ask again, unless that cannot help."""
        words = error_of(answer, self._complaint(document_in(answer)), NAME).detail
        if answer.status == 429 or answer.status >= 500:
            return _asked_in_vain(remote_id, words, retry_after_seconds(answer.headers, datetime.now(UTC)))
        if answer.status in (404, 405):
            raise OutcomeUnknown(
                f"{NAME} took the request as {quoted(remote_id)}, but has nothing at {self._poll_path or _POLL_PATH}; "
                "it may have charged. Set IMAGEJOBS_NANOBANANA_POLL_PATH to its route for asking after a job."
            )
        raise OutcomeUnknown(f"The task was accepted, but cannot be asked for: {words}")

    def _complaint(self, document: Mapping[str, Any] | None) -> Complaint | None:
        """The error in a document: `{"error": {…}}`, `{"error": "…"}`, or `message`, `detail` and `code` beside the rest."""
        if document is None:
            return None
        error = document.get("error")
        said = error if isinstance(error, dict) else {**document, "message": error or document.get("message")}
        text = said.get("message") or said.get("detail")
        kind = str(said.get("code") or said.get("type") or "").lower()
        if not (text or kind):
            return None
        return Complaint(
            kind="content_refused" if kind in _REFUSED_KINDS else kind or None,
            text=quoted(text, self._api_key) if isinstance(text, str) else None,
            billed=_billed(said) if _billed(said) is not None else _billed(document),
        )


@dataclass(frozen=True, kw_only=True)
class _Link:
    """Where a bought picture lies, with its cost: written into the remote id, so that any worker can fetch it."""

    url: str
    cost: Cost
    id: str | None

    def __str__(self) -> str:
        micros = None if self.cost.estimated else self.cost.micros
        return _LINK + json.dumps([self.url, micros, self.id], separators=(",", ":"))

    @classmethod
    def parse(cls, text: str, flat: Quote) -> "_Link":
        url, micros, identifier = json.loads(text.removeprefix(_LINK))
        return cls(url=url, cost=_cost_of(micros, flat), id=identifier)


def _body(request: GenerationRequest) -> bytes:
    """The same bytes for every send of one purchase; what was not asked for is left out."""
    wanted = {
        "prompt": request.prompt,
        "width": request.width,
        "height": request.height,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        "style_reference": _data_url(request.references[0]) if request.references else None,
        "source_image": _data_url(request.source_image) if request.source_image else None,
        "mask_description": request.mask_description,
    }
    return json.dumps({name: value for name, value in wanted.items() if value is not None}, sort_keys=True).encode()


def _data_url(picture: Picture) -> str:
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode('ascii')}"


def _inline(data: object, document: Mapping[str, Any], flat: Quote) -> Answer:
    """The bytes as they came. What is no base64 is handed on as text, for the decoder to refuse: it is paid for."""
    text = data if isinstance(data, str) else json.dumps(data)
    head, comma, tail = text.partition(",")
    encoded = tail if comma and head.startswith("data:") else text
    try:
        decoded = binascii.a2b_base64(encoded.encode("ascii"))
    except ValueError:
        decoded = text.encode("utf-8", "surrogatepass")
    media_type = document.get("content_type") or head.removeprefix("data:").partition(";")[0]
    known = isinstance(media_type, str) and "/" in media_type and len(media_type) < 100 and is_storable(media_type)
    return Answer(
        data=decoded,
        media_type=str(media_type) if known else "application/octet-stream",
        cost=_cost(document, flat),
        remote_id=_id_in(document),
    )


def _is_picture(answer: OutboundAnswer) -> bool:
    return answer.headers.get("content-type", "").lower().startswith("image/")


def _id_in(document: Mapping[str, Any]) -> str | None:
    found = document.get("id")
    text = str(found)[:200] if isinstance(found, str | int) else ""
    return text if text and is_storable(text) else None


def _task_in(document: Mapping[str, Any], *, is_at_work: bool) -> str | None:
    """The id to ask for, a plain `id` only of work that goes on; None where the document has none that can be kept."""
    found = document.get("job_id") or document.get("jobId") or (document.get("id") if is_at_work else None)
    task = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
    return task if 1 <= len(task) <= 200 and is_storable(task) and not task.startswith(_LINK) else None


def _asked_in_vain(remote_id: str, why: str, stated_seconds: float | None = None) -> Submitted:
    logger.warning("nanobanana.poll_failed", extra={"detail": why})
    seconds = min(max(stated_seconds or 0.0, _PATIENT_POLL_SECONDS), _LONGEST_POLL_SECONDS)
    return Submitted(remote_id=remote_id, poll_after_seconds=seconds)


def _billed(document: Mapping[str, Any]) -> bool | None:
    """Whether it says that it charged: by a flag, or by a cost."""
    flag = document.get("billed")
    if isinstance(flag, bool):
        return flag
    micros = _dollars(document["cost"]) if "cost" in document else None
    return None if micros is None else micros > 0


def _cost(document: Mapping[str, Any], flat: Quote) -> Cost:
    """The provider's own figure, in US dollars; the flat price, marked as an estimate, where it gives none."""
    return _cost_of(_dollars(document.get("cost")), flat)


def _cost_of(micros: int | None, flat: Quote) -> Cost:
    known = micros is not None
    return Cost(micros=flat.micros if micros is None else micros, price_version=flat.price_version, estimated=not known)


def _dollars(value: object) -> int | None:
    """An amount in micro-dollars; None for what is no sensible price."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return round(amount * MICROS) if amount.is_finite() and 0 <= amount <= _MOST_DOLLARS else None
