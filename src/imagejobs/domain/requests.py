"""What can be asked for: the request as submitted, and as a provider gets it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from imagejobs.domain.jobs import JobType


class ReferenceRole(StrEnum):
    """What a reference picture is for."""

    IDENTITY = "identity"
    STYLE = "style"


class Fit(StrEnum):
    """How close the picture must come to the size asked for, where a model makes only certain sizes.

    `nearest`, the default: the nearest ratio it has, in the smallest size that covers the wish; the picture's real size is
    recorded with it. `exact`: exactly that size, or the request is refused, naming the sizes near it.
    """

    NEAREST = "nearest"
    EXACT = "exact"


@dataclass(frozen=True, kw_only=True)
class PictureSource:
    """Where an input picture comes from; exactly one field is set."""

    url: str | None = None
    input_id: str | None = None
    job_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A picture that the new one should resemble."""

    source: PictureSource
    role: ReferenceRole


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """One picture that a caller asked for, validated, defaults filled in."""

    project_id: str
    branch_id: str
    job_type: JobType
    prompt: str
    width: int
    height: int
    scene_id: str | None = None
    shot_id: str | None = None
    asset_id: str | None = None
    asset_type: str | None = None
    style_capsule_id: str | None = None
    manual_visual_tone: str | None = None
    references: tuple[Reference, ...] = ()
    source_image: PictureSource | None = None
    mask: PictureSource | None = None
    mask_description: str | None = None
    negative_prompt: str | None = None
    seed: int | None = None
    n: int = 1
    model: str | None = None
    fallback: tuple[str, ...] = ()
    priority: int = 0
    deadline_seconds: int | None = None
    max_cost_micros: int | None = None
    tags: tuple[str, ...] = ()
    fit: Fit | None = None
    on_unknown_outcome: str | None = None
    composed_prompt: str | None = None
    """The words for the provider, where they are not the prompt alone. Set by submit, after the fingerprint was taken."""

    def fingerprint(self) -> bytes:
        """SHA-256 over every field that says what is asked, in a fixed order.

        Two requests under one idempotency key are the same exactly when these agree.
        """
        text = json.dumps(_plain(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _plain(value: object) -> object:
    """Dataclasses as dictionaries without unset fields, so that a new optional field changes no fingerprint."""
    if isinstance(value, ImageRequest | Reference | PictureSource):
        pairs = ((f.name, _plain(getattr(value, f.name))) for f in fields(value))
        return {name: content for name, content in pairs if content not in (None, [])}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Input bytes as a provider gets them."""

    data: bytes = field(repr=False)
    media_type: str
    role: ReferenceRole | None = None


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """One picture as a provider gets it: words composed, inputs fetched, model chosen."""

    job_type: JobType
    prompt: str
    width: int
    height: int
    model: str
    seed: int | None = None
    negative_prompt: str | None = None
    references: tuple[Picture, ...] = ()
    source_image: Picture | None = None
    mask: Picture | None = None
    mask_description: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
