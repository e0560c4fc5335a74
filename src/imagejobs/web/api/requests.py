"""The requests of the native API: camelCase JSON, validated at this edge and nowhere else."""

import re
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, unquote, urlsplit
from uuid import UUID

from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel
from starlette.routing import Match
from starlette.types import Scope

from imagejobs.db.job_reads import Filters
from imagejobs.domain.jobs import JobStatus, JobType
from imagejobs.domain.money import from_credits
from imagejobs.domain.prompts import asset_shape
from imagejobs.domain.requests import Fit, ImageRequest, PictureSource, Reference, ReferenceRole
from imagejobs.errors import InvalidField

MAX_PROMPT = 32_000
MAX_EDGE = 16_384
MAX_N = 100
MAX_KEY = 255
MAX_REFERENCES = 16


def _storable(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not contain the character NUL")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("must be well-formed Unicode, without lone surrogates") from error
    return value


def not_blank(value: str) -> str:
    """The text, unless it is white space only."""
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _web_address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    try:
        parts = urlsplit(value)
        is_whole = bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        is_whole = False
    if not is_whole or re.search(r"[\x00-\x20\x7f\\]", value):
        raise ValueError("must be a whole web address, without spaces or a user name in it")
    return value


def _instant(text: str) -> datetime:
    with suppress(ValueError, OverflowError):  # as near the ends of the calendar, in another zone
        if (found := datetime.fromisoformat(text)).tzinfo is not None:
            return found.astimezone(UTC)
    raise ValueError("must be an instant with its zone, like 2026-11-26T00:00:00Z")


Text = Annotated[str, AfterValidator(_storable)]
Id = Annotated[Text, StringConstraints(min_length=1, max_length=200)]
Key = Annotated[Text, StringConstraints(min_length=1, max_length=MAX_KEY)]
Prompt = Annotated[Text, StringConstraints(min_length=1, max_length=MAX_PROMPT), AfterValidator(not_blank)]
LongText = Annotated[Text, StringConstraints(min_length=1, max_length=4_000)]
Address = Annotated[Text, StringConstraints(min_length=1, max_length=2_000), AfterValidator(_web_address)]
Tag = Annotated[Text, StringConstraints(min_length=1, max_length=64)]
Edge = Annotated[int, Field(strict=True, ge=1, le=MAX_EDGE)]
Instant = Annotated[datetime, BeforeValidator(_instant)]


def reads(**meanings: str) -> dict[str, Any]:
    """For the OpenAPI document: what a route reads by itself, words of the query in lower case and headers otherwise."""
    places = [(name, "query") if name.islower() else (name.replace("_", "-"), "header") for name in meanings]
    told = zip(places, meanings.values(), strict=True)
    return {"parameters": [{"name": n, "in": i, "description": m, "schema": {"type": "string"}} for (n, i), m in told]}


class ById(APIRoute):
    """A route that takes each part of the path as it was sent: a slash in an id, `%2F`, separates nothing."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if b"%" not in (sent := scope.get("raw_path") or b""):
            return super().matches(scope)
        path = "/".join(quote(unquote(part), safe="") for part in sent.decode("ascii", "replace").split("/"))
        match, found = super().matches({**scope, "path": path})
        return match, {**found, "path_params": {name: unquote(one) for name, one in found.get("path_params", {}).items()}}


class Wire(BaseModel):
    """Unknown members are refused, so that a misspelt option is never silently ignored."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=False, frozen=True)


def _alike(body: Wire, kind: type[ImageRequest | Filters]) -> dict[str, Any]:
    """What the body and the domain's value call by the same name."""
    return {field.name: getattr(body, field.name) for field in fields(kind) if field.name in type(body).model_fields}


class SourceBody(Wire):
    """Where an input picture comes from: exactly one of the three."""

    url: Address | None = None
    input_id: Id | None = None
    job_id: UUID | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [self.url, self.input_id, self.job_id].count(None) != 2:
            raise ValueError("give exactly one of url, inputId and jobId")
        return self

    def source(self) -> PictureSource:
        return PictureSource(url=self.url, input_id=self.input_id, job_id=None if self.job_id is None else str(self.job_id))


class MaskBody(Wire):
    """A mask: exactly one of the two."""

    url: Address | None = None
    input_id: Id | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [self.url, self.input_id].count(None) != 1:
            raise ValueError("give exactly one of url and inputId")
        return self

    def source(self) -> PictureSource:
        return PictureSource(url=self.url, input_id=self.input_id)


class ReferenceBody(MaskBody):
    """A reference picture and what it is for."""

    role: Literal["identity", "style"] = "identity"

    def reference(self) -> Reference:
        return Reference(source=self.source(), role=ReferenceRole(self.role))


class GenerateBody(Wire):
    """One request for one picture, or for `n` of them."""

    project_id: Id
    branch_id: Annotated[Id | None, Field(description="`main` for `generate` and `edit`; the others require it.")] = None
    job_type: JobType
    prompt: Prompt
    width: Edge = 512
    height: Edge = 512
    idempotency_key: Key | None = None
    visual_style_capsule_id: Id | None = None
    manual_visual_tone: LongText | None = None
    asset_id: Id | None = None
    asset_type: Id | None = None
    scene_id: Id | None = None
    shot_id: Id | None = None
    reference_images: Annotated[tuple[ReferenceBody, ...], Field(max_length=MAX_REFERENCES)] = ()
    source_image: SourceBody | None = None
    mask: MaskBody | None = None
    mask_description: LongText | None = None
    negative_prompt: LongText | None = None
    seed: Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)] | None = None
    n: Annotated[int, Field(strict=True, ge=1, le=MAX_N)] = 1
    model: Id | None = None
    fallback: Annotated[
        tuple[Id, ...],
        Field(
            max_length=5,
            description="Models to go on to, in this order, where one cannot make the picture and nothing was charged.",
        ),
    ] = ()
    priority: Annotated[int, Field(strict=True, ge=-10, le=10)] = 0
    deadline_seconds: Annotated[int, Field(strict=True, ge=1, le=86_400)] | None = None
    max_cost: Annotated[float, Field(strict=True, ge=0, le=100_000, allow_inf_nan=False)] | None = None
    tags: Annotated[tuple[Tag, ...], Field(max_length=32)] = ()
    fit: Fit | None = None
    on_unknown_outcome: Literal["fail", "retry_once"] | None = None

    def request(self, micros_per_credit: int) -> ImageRequest:
        """The domain's value, defaults filled in; `InvalidField` where the kind of job needs a branch and none is named."""
        if self.branch_id is None and self.job_type not in (JobType.GENERATE, JobType.EDIT):
            raise InvalidField("branchId", f"is required for {self.job_type.value}; generate and edit default to main.")
        width, height = self._size()
        asked = _alike(self, ImageRequest) | {
            "branch_id": self.branch_id or "main",
            "width": width,
            "height": height,
            "style_capsule_id": self.visual_style_capsule_id,
            "references": tuple(reference.reference() for reference in self.reference_images),
            "source_image": self.source_image and self.source_image.source(),
            "mask": self.mask and self.mask.source(),
            "max_cost_micros": None if self.max_cost is None else from_credits(self.max_cost, micros_per_credit),
        }
        return ImageRequest(**asked)

    def _size(self) -> tuple[int, int]:
        """That of the type of asset where the caller named neither edge."""
        shape = None if self.model_fields_set & {"width", "height"} else asset_shape(self.job_type, self.asset_type)
        return (self.width, self.height) if shape is None else (shape.width, shape.height)


class ResolveBody(Wire):
    """A person's word on an unknown outcome."""

    billed: Annotated[bool, Field(strict=True)]


class RetryBody(Wire):
    """Which failure is meant: the job's `retryCount` as it was seen."""

    retry_count: Annotated[int, Field(strict=True, ge=0)] | None = None


class ChangeBody(Wire):
    """What of a waiting job can be changed."""

    priority: Annotated[int, Field(strict=True, ge=-10, le=10)]


class ListQuery(Wire):
    """What a list may be narrowed by; `status` may be repeated."""

    project_id: Id | None = None
    branch_id: Id | None = None
    status: tuple[JobStatus, ...] = ()
    job_type: JobType | None = None
    scene_id: Id | None = None
    shot_id: Id | None = None
    asset_id: Id | None = None
    batch_id: UUID | None = None
    tag: Tag | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=64)] | None = None

    def filters(self) -> Filters:
        """The conditions for the database."""
        project_ids = None if self.project_id is None else (self.project_id,)
        return Filters(**_alike(self, Filters), project_ids=project_ids, statuses=self.status)
