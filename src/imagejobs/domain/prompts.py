"""The prompt as a provider gets it: the caller's own words first and untouched, then what the request implies.

What is said for a type of job or of asset is data, below. What the caller gave explicitly (style, tone, region, the roles of
pictures) is said for every type of job; `generate` and `edit` add nothing by themselves.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imagejobs.domain.jobs import JobType
from imagejobs.domain.requests import ImageRequest, Reference, ReferenceRole
from imagejobs.domain.styles import Style


@dataclass(frozen=True, kw_only=True)
class AssetShape:
    """What is said about one type of asset, and the size where the caller gives none."""

    words: str
    width: int
    height: int


ASSET_SHAPES: Mapping[str, AssetShape] = {
    "character": AssetShape(
        words="One character alone: the whole figure from head to feet, evenly lit, on a clean, plain, light background.",
        width=768,
        height=1024,
    ),
    "prop": AssetShape(
        words="One object alone: all of it in view, centered, evenly lit, on a clean, plain, light background.",
        width=1024,
        height=1024,
    ),
    "location": AssetShape(
        words="One place: an establishing view from eye level, with nobody in it.",
        width=1024,
        height=576,
    ),
}
"""By `assetType` in lower case; any other type is text of the caller's own, and adds nothing."""

JOB_WORDS: Mapping[JobType, str] = {
    JobType.MASTER_ASSET: (
        "This is the master picture of the subject, which later pictures are made from: show it clearly, nothing cut off."
    ),
    JobType.SCENE_ASSET: (
        "This is the subject as it looks in one scene: keep who or what it is, and change only what the scene asks for."
    ),
    JobType.ANGLE_VARIANT: (
        "Show the same subject from the angle asked for: keep its shape, proportions, materials, colors and light, and move "
        "only the camera."
    ),
    JobType.TRANSFORMATION_POST: (
        "Show the same subject after the change asked for: keep who or what it is, the framing and the light, and change "
        "only what the transformation asks for."
    ),
    JobType.START_FRAME: (
        "This is the first frame of a film shot: one single still, just before the action begins, filling the picture, "
        "without border, caption or panels."
    ),
    JobType.END_FRAME: (
        "This is the last frame of a film shot: one single still, when the action has just ended, filling the picture, "
        "without border, caption or panels."
    ),
    JobType.INPAINT: (
        "Edit the picture: change only the region meant, match its light, perspective and style, and keep everything else "
        "exactly as it is."
    ),
}
"""By type of job; `generate` and `edit` have none."""

_OF_ASSETS = (JobType.MASTER_ASSET, JobType.SCENE_ASSET, JobType.ANGLE_VARIANT, JobType.TRANSFORMATION_POST)


def asset_shape(job_type: JobType, asset_type: str | None) -> AssetShape | None:
    """What the type of asset implies, for the types of job that picture an asset."""
    if job_type not in _OF_ASSETS or asset_type is None:
        return None
    return ASSET_SHAPES.get(asset_type.lower())


def compose(request: ImageRequest, style: Style | None) -> str:
    """The words for the provider: equal for equal arguments, beginning with the caller's prompt.

    `request.references` are all of the job's, the style's included. The words count on the order in which a provider gets
    pictures: references for identity, those for style, the source. The negative prompt stays apart; a provider takes it in
    its own way.
    """
    return "\n\n".join([request.prompt, *_additions(request, style)])


def _additions(request: ImageRequest, style: Style | None) -> Iterator[str]:
    if words := JOB_WORDS.get(request.job_type):
        yield words
    if shape := asset_shape(request.job_type, request.asset_type):
        yield shape.words
    if request.mask_description:
        yield f"The region to change: {request.mask_description}"
    if style is not None:
        yield style_words(style)
    if request.manual_visual_tone:
        yield f"Tone: {request.manual_visual_tone}"
    if pictures := " ".join(_picture_words(request)):
        yield pictures


def style_words(style: Style) -> str:
    """The style capsule in words."""
    lines = [f"Style: {style.name}", *([", ".join(style.descriptors)] if style.descriptors else [])]
    pillars = [f"- {pillar}" for pillar in style.pillars]
    return "\n".join(lines + (["Always:", *pillars] if pillars else []))


def _picture_words(request: ImageRequest) -> Iterator[str]:
    """What each input picture is for; outside film only where roles have to be told apart."""
    numbers = _numbers(request.references)
    if request.job_type not in JOB_WORDS and ReferenceRole.STYLE not in numbers:
        return
    for role, (one, many) in _ROLE_WORDS.items():
        match numbers.get(role, ()):
            case ():
                pass
            case (number,):
                yield f"Reference picture {number} {one}"
            case (*most, last):
                yield f"Reference pictures {', '.join(map(str, most))} and {last} {many}"
    if request.source_image:
        yield f"The {'last ' if request.references else ''}picture given is the one to start from."


_ROLE_WORDS: Mapping[ReferenceRole, tuple[str, str]] = {
    ReferenceRole.IDENTITY: ("shows who or what must stay the same.", "show who and what must stay the same."),
    ReferenceRole.STYLE: (
        "shows only the look to follow: nothing of what is seen in it belongs in the picture.",
        "show only the look to follow: nothing of what is seen in them belongs in the picture.",
    ),
}


def _numbers(references: tuple[Reference, ...]) -> dict[ReferenceRole, tuple[int, ...]]:
    """The places of the references by role, counted from 1, those for identity first."""
    found: dict[ReferenceRole, tuple[int, ...]] = {}
    in_order = sorted(references, key=lambda reference: reference.role is ReferenceRole.STYLE)
    for number, reference in enumerate(in_order, start=1):
        found[reference.role] = (*found.get(reference.role, ()), number)
    return found
