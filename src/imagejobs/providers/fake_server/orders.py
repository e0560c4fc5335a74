"""What can be ordered, and what is refused."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

MAX_EDGE = 4096


class BadOrder(Exception):
    """A request that a provider refuses; its text is for the customer."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A request for one picture, whole and well formed."""

    resume_class: str
    idempotency_key: str | None
    body_sha256: str
    width: int
    height: int
    prompt: str = ""
    webhook_url: str | None = None
    by_url: bool = False


def read_order(resume_class: str, idempotency_key: str | None, body: bytes) -> Order:
    """The order in a request's body. Raises `BadOrder`."""
    if resume_class == "key" and not idempotency_key:
        raise BadOrder("This class needs the header Idempotency-Key.")
    wanted = _object(body)
    edges = [wanted.get(name, 512) for name in ("width", "height")]
    if not all(type(edge) is int and 1 <= edge <= MAX_EDGE for edge in edges):
        raise BadOrder(f"width and height must be whole numbers from 1 to {MAX_EDGE}.")
    if wanted.get("delivery", "inline") not in ("inline", "url"):
        raise BadOrder("delivery must be inline or url.")
    return Order(
        resume_class=resume_class,
        idempotency_key=idempotency_key,
        body_sha256=hashlib.sha256(body).hexdigest(),
        width=edges[0],
        height=edges[1],
        prompt=_prompt(wanted),
        webhook_url=_webhook_url(wanted),
        by_url=wanted.get("delivery") == "url",
    )


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        wanted = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadOrder("The body is not JSON.") from error
    if not isinstance(wanted, dict):
        raise BadOrder("The body must be an object.")
    return wanted


def _prompt(wanted: Mapping[str, Any]) -> str:
    prompt = wanted.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise BadOrder("prompt must be a text.")
    return prompt


def _webhook_url(wanted: Mapping[str, Any]) -> str | None:
    url = wanted.get("webhook_url")
    if url is not None and (not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https")):
        raise BadOrder("webhook_url must be an address that begins with http:// or https://.")
    return url
