"""Colours: mixed in OKLab, so that the way between two of them stays clean."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


class Gradient(NamedTuple):
    """From `top` to `bottom` over the box of whatever is filled."""

    top: Colour
    bottom: Colour


Fill = Colour | Gradient


def rgb(text: str) -> Colour:
    """The colour written as six hexadecimal digits."""
    return int(text[0:2], 16), int(text[2:4], 16), int(text[4:6], 16)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of `second` in `first`, as the eye sees it."""
    if share <= 0:
        return first
    if share >= 1:
        return second
    a, b = _to_lab(first), _to_lab(second)
    return _from_lab((a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share))


def along(stops: Sequence[Colour], place: float) -> Colour:
    """The colour at `place` (0 to 1) of an evenly spaced row of stops."""
    position = min(max(place, 0.0), 1.0) * (len(stops) - 1)
    index = min(int(position), len(stops) - 2)
    return mix(stops[index], stops[index + 1], position - index)


def lightness(colour: Colour) -> float:
    """How light the colour looks, 0 to 1."""
    return _to_lab(colour)[0]


def _linear(channel: int) -> float:
    value = channel / 255
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)


def _encoded(value: float) -> int:
    value = min(max(value, 0.0), 1.0)
    shaped = value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(shaped * 255)


@lru_cache(maxsize=1024)
def _to_lab(colour: Colour) -> tuple[float, float, float]:
    r, g, b = (_linear(channel) for channel in colour)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    medium = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _from_lab(lab: tuple[float, float, float]) -> Colour:
    light, a, b = lab
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _encoded(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _encoded(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _encoded(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )
