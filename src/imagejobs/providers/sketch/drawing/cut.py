"""Pieces of paper: outlines collected in picture coordinates, cut out later."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

Point = tuple[float, float]
Box = tuple[float, float, float, float]


class Outline(NamedTuple):
    """A closed polygon, or the ellipse inside two corner points; a hole where not `solid`."""

    points: tuple[Point, ...]
    round: bool = False
    solid: bool = True


class Cut:
    """One piece of paper, made of as many outlines as needed; later ones lie over earlier ones."""

    def __init__(self) -> None:
        self.outlines: list[Outline] = []

    def polygon(self, points: Iterable[Point], *, solid: bool = True) -> "Cut":
        corners = tuple(points)
        if len(corners) > 2:
            self.outlines.append(Outline(corners, solid=solid))
        return self

    def rectangle(self, left: float, top: float, right: float, bottom: float) -> "Cut":
        return self.polygon(((left, top), (right, top), (right, bottom), (left, bottom)))

    def ellipse(self, x: float, y: float, rx: float, ry: float, *, solid: bool = True) -> "Cut":
        self.outlines.append(Outline(((x - rx, y - ry), (x + rx, y + ry)), round=True, solid=solid))
        return self

    def circle(self, x: float, y: float, radius: float, *, solid: bool = True) -> "Cut":
        return self.ellipse(x, y, radius, radius, solid=solid)

    def capsule(self, x: float, y: float, length: float, thickness: float) -> "Cut":
        """A bar with round ends, centred on (x, y)."""
        half, radius = max(length - thickness, 0.0) / 2, thickness / 2
        self.rectangle(x - half, y - radius, x + half, y + radius)
        return self.circle(x - half, y, radius).circle(x + half, y, radius)

    def path(self, text: str, frame: "Frame", *, solid: bool = True) -> "Cut":
        """The outlines written in the small path language of `flatten`, placed by `frame`."""
        for outline in flatten(text):
            self.outlines.append(outline._replace(points=frame.place(outline), solid=solid and outline.solid))
        return self

    def bounds(self) -> Box:
        xs = [x for outline in self.outlines for x, _ in outline.points]
        ys = [y for outline in self.outlines for _, y in outline.points]
        return (min(xs), min(ys), max(xs), max(ys)) if xs else (0.0, 0.0, 0.0, 0.0)


class Frame(NamedTuple):
    """Places a drawing of 100 by 100 units: (50, 100) comes to (x, ground); `size` is its height in pixels."""

    x: float
    ground: float
    size: float
    flipped: bool = False

    def at(self, x: float, y: float) -> Point:
        unit = self.size / 100
        across = (50 - x) if self.flipped else (x - 50)
        return self.x + across * unit, self.ground + (y - 100) * unit

    def place(self, outline: Outline) -> tuple[Point, ...]:
        placed = tuple(self.at(x, y) for x, y in outline.points)
        if not outline.round:
            return placed
        (ax, ay), (bx, by) = placed
        return (min(ax, bx), min(ay, by)), (max(ax, bx), max(ay, by))


_STEPS = 12
_ARGUMENTS = {"M": 2, "L": 2, "Q": 4, "C": 6, "O": 4, "Z": 0}


@lru_cache(maxsize=512)
def flatten(text: str) -> tuple[Outline, ...]:
    """The outlines of a path: `M x y`, `L x y`, `Q cx cy x y`, `C ax ay bx by x y`, `Z`; and `O x y rx ry`, an ellipse."""
    outlines: list[Outline] = []
    points: list[Point] = []
    for letter, numbers in _commands(text):
        if letter in "MO" and points:
            outlines.append(Outline(tuple(points)))
            points = []
        if letter == "O":
            x, y, rx, ry = numbers
            outlines.append(Outline(((x - rx, y - ry), (x + rx, y + ry)), round=True))
        elif letter in "ML":
            points.append((numbers[0], numbers[1]))
        elif letter in "QC":
            points.extend(_curve((points[-1], *zip(numbers[::2], numbers[1::2], strict=True))))
    if points:
        outlines.append(Outline(tuple(points)))
    return tuple(outlines)


def _commands(text: str) -> Iterator[tuple[str, list[float]]]:
    words = text.split()
    index = 0
    while index < len(words):
        letter = words[index]
        count = _ARGUMENTS[letter]
        yield letter, [float(word) for word in words[index + 1 : index + 1 + count]]
        index += 1 + count


def _curve(control: tuple[Point, ...]) -> Iterator[Point]:
    """Points along a curve, by cutting the way between control points again and again."""
    for step in range(1, _STEPS + 1):
        share = step / _STEPS
        points = control
        while len(points) > 1:
            points = tuple((ax + (bx - ax) * share, ay + (by - ay) * share) for (ax, ay), (bx, by) in pairwise(points))
        yield points[0]
