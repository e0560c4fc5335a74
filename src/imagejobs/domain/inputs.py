"""Input pictures: references, sources and masks, as they are kept, and the place of each in a job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from imagejobs.domain.jobs import PictureFacts
from imagejobs.domain.requests import GenerationRequest, Picture, PictureSource, ReferenceRole

SOURCE_SLOT = "source"
MASK_SLOT = "mask"
MOST_JOB_BYTES = 64 * 1024 * 1024
"""What all the input pictures of one job may have together: they are in memory at once while they are sent."""


@dataclass(frozen=True, kw_only=True)
class KeptInput:
    """A picture kept for jobs of its project."""

    id: UUID
    project_id: str
    facts: PictureFacts
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One place for an input picture in a job; `field` is its name in a request."""

    name: str
    field: str
    source: PictureSource
    role: ReferenceRole | None = None


def slots_of(params: Mapping[str, Any]) -> list[Slot]:
    """The places that the job's parameters fill: identity references, then those for style, then source and mask."""
    slots = [
        Slot(
            name=f"reference_{number:02d}",
            field=f"referenceImages.{number}",
            source=PictureSource(**reference["source"]),
            role=ReferenceRole(reference["role"]),
        )
        for number, reference in enumerate(params.get("references", ()))
    ]
    slots.sort(key=lambda slot: slot.role is ReferenceRole.STYLE)
    for name, field, found in (
        (SOURCE_SLOT, "sourceImage", params.get("source_image")),
        (MASK_SLOT, "mask", params.get("mask")),
    ):
        if found is not None:
            slots.append(Slot(name=name, field=field, source=PictureSource(**found)))
    return slots


def misfit(facts: Mapping[str, PictureFacts]) -> tuple[str, str] | None:
    """Field and problem where the pictures known so far, by slot, do not go together."""
    source, mask = facts.get(SOURCE_SLOT), facts.get(MASK_SLOT)
    if source and mask and (source.width, source.height) != (mask.width, mask.height):
        return (
            "mask",
            f"has {mask.width}x{mask.height} pixels and the source {source.width}x{source.height}; make them equal.",
        )
    if (total := sum(one.size_bytes for one in facts.values())) > MOST_JOB_BYTES:
        return "referenceImages", f"all input pictures have {total} bytes, and {MOST_JOB_BYTES} are the most; send fewer."
    return None


def with_inputs(request: GenerationRequest, slots: Sequence[Slot], pictures: Mapping[str, Picture]) -> GenerationRequest:
    """The request with the pictures of its slots, each in its place."""
    return replace(
        request,
        references=tuple(pictures[slot.name] for slot in slots if slot.role is not None),
        source_image=pictures.get(SOURCE_SLOT),
        mask=pictures.get(MASK_SLOT),
    )


def not_fetched(role: ReferenceRole | None = None) -> Picture:
    """A picture without bytes, for a quote: there only the number of pictures counts."""
    return Picture(data=b"", media_type="application/octet-stream", role=role)
