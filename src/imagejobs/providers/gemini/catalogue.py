"""The models as data: sizes, prices and lives, from `models.toml`. Nothing about a model stands in code."""

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any

from imagejobs.errors import ModelUnavailable
from imagejobs.ports import ModelCapability

NAME = "gemini"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture that a model can make: `size` is Google's name of the tier, empty where the model has only one."""

    ratio: str
    size: str
    width: int
    height: int
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Micro-dollars for a million tokens, and for each input picture."""

    text_in: int
    text_out: int
    image_out: int
    image_in: int


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model. `frames` hold every ratio in every size, the smallest size first."""

    name: str
    aliases: tuple[str, ...]
    frames: tuple[Frame, ...]
    prices: Prices
    references: int
    background: bool
    timeout_seconds: float
    shutdown: date | None
    successor: str | None

    def capability(self) -> ModelCapability:
        """As the use cases know it. Every wish up to the largest picture is taken; `fit` decides how it is met."""
        return ModelCapability(
            name=self.name,
            aliases=self.aliases,
            max_edge=max(max(frame.width, frame.height) for frame in self.frames),
            max_pixels=max(frame.width * frame.height for frame in self.frames),
            max_references=self.references,
            takes_source_image=True,
            takes_seed=True,
            sizes=tuple((frame.width, frame.height) for frame in self.frames),
        )

    def frame(self, width: int, height: int) -> Frame:
        """The nearest ratio, in the smallest size that covers the wish; the largest where none does."""
        wanted = math.log(width / height)
        nearest = min(self.frames, key=lambda frame: abs(math.log(frame.width / frame.height) - wanted))
        of_ratio = [frame for frame in self.frames if frame.ratio == nearest.ratio]
        return next((frame for frame in of_ratio if frame.width >= width and frame.height >= height), of_ratio[-1])


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Every model that is or was; the first is the default."""

    models: tuple[Model, ...]
    price_version: str

    def serving(self, name: str, today: date) -> Model:
        """The model of that name, if it is still served; else `ModelUnavailable`, naming what to use instead."""
        model = next((model for model in self.models if name == model.name or name in model.aliases), None)
        if model is None:
            raise ModelUnavailable(f"{NAME} has no model “{name[:100]}”; {self.models[0].name} is its default.")
        if model.shutdown is not None and model.shutdown <= today:
            raise gone(model, f"was shut down on {model.shutdown.isoformat()}")
        return model


def gone(model: Model, how: str) -> ModelUnavailable:
    """The error of a model that is no longer served."""
    instead = f"name {model.successor} instead" if model.successor else "name another model"
    return ModelUnavailable(f"{model.name} {how}; {instead}.")


def load_catalogue() -> Catalogue:
    """The catalogue that comes with this version."""
    data = tomllib.loads(files(__package__).joinpath("models.toml").read_text())
    models = tuple(_model(entry, data["pixels"]) for entry in data["models"])
    return Catalogue(models=models, price_version=data["price_version"])


def _model(entry: Mapping[str, Any], pixels: Mapping[str, Any]) -> Model:
    return Model(
        name=entry["name"],
        aliases=tuple(entry.get("aliases", ())),
        frames=tuple(frame for size in entry["sizes"] for frame in _frames(size, pixels[size["pixels"]])),
        prices=Prices(**entry["prices"]),
        references=entry["references"],
        background=entry["background"],
        timeout_seconds=float(entry["timeout_seconds"]),
        shutdown=entry.get("shutdown"),
        successor=entry.get("successor"),
    )


def _frames(size: Mapping[str, Any], pixels: Mapping[str, list[int]]) -> Iterator[Frame]:
    for ratio, (width, height) in pixels.items():
        scale = size["scale"]
        yield Frame(ratio=ratio, size=size["name"], width=width * scale, height=height * scale, tokens=size["tokens"])
