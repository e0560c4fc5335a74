"""Which provider and model a request goes to, and whether that model can do it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

from imagejobs.domain.inputs import not_fetched
from imagejobs.domain.requests import Fit, GenerationRequest, ImageRequest
from imagejobs.errors import NoProviderConfigured, UnknownModel, UnsupportedCapability
from imagejobs.ports import ModelCapability, Provider

NO_DEFAULT = (
    "No provider is chosen for jobs that name no model: set IMAGEJOBS_DEFAULT_PROVIDER (`sketch` is always there, and free) "
    "and start again, or name one in `model`; then retry the job."
)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A provider and one of its models."""

    provider: Provider
    model: ModelCapability

    @property
    def name(self) -> str:
        return f"{self.provider.name}:{self.model.name}"


def choose(providers: Mapping[str, Provider], default: str | None, wanted: str | None, *, field: str = "model") -> Choice:
    """Resolve `provider`, `provider:model` or an alias; without a wish, the default provider's first model.

    Raises `NoProviderConfigured` where there is nothing to choose, `UnknownModel` where the wish names nothing.
    """
    if wanted is None:
        provider = providers.get(default) if default else None
        if provider is None:
            raise NoProviderConfigured(NO_DEFAULT)
        return Choice(provider=provider, model=provider.capabilities().models[0])
    name, colon, model_name = wanted.partition(":")
    if provider := providers.get(name):
        models = provider.capabilities()
        model = models.find(model_name) if colon else models.models[0]
        if model is not None:
            return Choice(provider=provider, model=model)
    elif not colon:
        for candidate in providers.values():
            if model := candidate.capabilities().find(wanted):
                return Choice(provider=candidate, model=model)
    raise UnknownModel(field, _unknown(wanted, providers))


def _unknown(wanted: str, providers: Mapping[str, Provider]) -> str:
    names = [f"{provider.name}:{model.name}" for provider in providers.values() for model in provider.capabilities().models]
    shown = wanted if len(wanted) <= 80 else wanted[:79] + "…"
    return f"“{shown}” is not known here; there is {', '.join(names) or 'no provider configured'}."


def require_capable(model: ModelCapability, request: ImageRequest) -> None:
    """Refuse what the model cannot do, naming what it can, before anything is written or reserved."""
    if (length := len(request.composed_prompt or request.prompt)) > model.max_prompt_characters:
        most = f"{model.name} takes prompts of at most {model.max_prompt_characters} characters"
        raise UnsupportedCapability("prompt", f"{most}; with what style, tone and type of job add to it, this has {length}.")
    _require_size(model, request)
    if (count := len(request.references)) > model.max_references:
        takes = f"at most {model.max_references} of them" if model.max_references else "no reference pictures"
        raise UnsupportedCapability("referenceImages", f"{model.name} takes {takes}, not {count}.")
    if request.source_image and not model.takes_source_image:
        raise UnsupportedCapability("sourceImage", f"{model.name} changes no pictures, it only makes them from words.")
    if request.mask and not model.takes_mask:
        raise UnsupportedCapability("mask", f"{model.name} takes no masks; describe the region in maskDescription.")


def _require_size(model: ModelCapability, request: ImageRequest) -> None:
    for field, edge in (("width", request.width), ("height", request.height)):
        if not model.min_edge <= edge <= model.max_edge:
            problem = f"{model.name} makes pictures of {model.min_edge} to {model.max_edge} pixels an edge, not {edge}."
            raise UnsupportedCapability(field, problem)
    if request.width * request.height > model.max_pixels:
        raise UnsupportedCapability("width", f"{model.name} makes at most {model.max_pixels} pixels in all.")
    if request.fit is Fit.EXACT and model.sizes and (request.width, request.height) not in model.sizes:
        near = ", ".join(f"{width}x{height}" for width, height in _sizes_near(model, request.width, request.height))
        problem = f"{model.name} makes no {request.width}x{request.height}; near it are {near}. Or ask with fit: nearest."
        raise UnsupportedCapability("width", problem)


def _sizes_near(model: ModelCapability, width: int, height: int) -> list[tuple[int, int]]:
    """The three sizes of the model nearest to the wish, by the factor of each edge and twice that of the ratio."""

    def distance(size: tuple[int, int]) -> float:
        wider, higher = log(size[0] / width), log(size[1] / height)
        return abs(wider) + abs(higher) + 2 * abs(wider - higher)

    return sorted(model.sizes, key=distance)[:3]


def generation_request(request: ImageRequest, model: ModelCapability) -> GenerationRequest:
    """The request as the provider gets it, the pictures without their bytes."""
    return GenerationRequest(
        job_type=request.job_type,
        prompt=request.composed_prompt or request.prompt,
        width=request.width,
        height=request.height,
        model=model.name,
        seed=request.seed,
        negative_prompt=request.negative_prompt,
        references=tuple(not_fetched(reference.role) for reference in request.references),
        source_image=not_fetched() if request.source_image else None,
        mask=not_fetched() if request.mask else None,
        mask_description=request.mask_description,
    )
