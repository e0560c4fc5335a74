"""What every scene draws with: the canvas, the colours, chance, and the figure to be placed."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from imagejobs.providers.sketch.drawing.canvas import Canvas
from imagejobs.providers.sketch.drawing.colours import BLACK, Colour, Gradient, mix
from imagejobs.providers.sketch.drawing.cut import Cut, Frame, Point
from imagejobs.providers.sketch.drawing.figures import Figure, Where, tone_of
from imagejobs.providers.sketch.drawing.palettes import Palette


class Weather(StrEnum):
    """What falls from the sky, or hangs in it."""

    CLEAR = "clear"
    SNOW = "snow"
    RAIN = "rain"
    FOG = "fog"


Line = Callable[[float], float]
"""The height of a line, in pixels from the top, at each place across."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One picture being drawn. `figure`, if any, is painted in `coat`, or in its own colour."""

    canvas: Canvas
    palette: Palette
    chance: Random
    weather: Weather
    figure: Figure | None = None
    coat: Colour | None = None

    @property
    def width(self) -> int:
        return self.canvas.width

    @property
    def height(self) -> int:
        return self.canvas.height

    @property
    def unit(self) -> float:
        """A hundredth of the shorter edge, so that shapes keep their look at every size; less where that is long too."""
        return min(self.width, self.height, 0.9 * math.sqrt(self.width * self.height)) / 100

    @property
    def repeats(self) -> float:
        """How many times as wide as tall the picture is, at least 1: what a square has one of, a panorama has more of."""
        return max(1.0, self.width / (100 * self.unit))

    @property
    def shadow(self) -> Colour:
        return mix(self.palette.land[2], BLACK, 0.4)

    def between(self, low: float, high: float) -> float:
        return self.chance.uniform(low, high)

    def layer(self, line: Line, tone: Colour, foot: float | None = None, *, mist: float = 0.3, shade: float = 0.38) -> None:
        """Lay land below `line` down to `foot`, paler towards it, with a soft shadow on what lies behind."""
        bottom = self.height + self.unit * 6 if foot is None else foot
        edge = profile(line, -self.unit * 8, self.width + self.unit * 8, self.unit)
        (left, _), (right, _) = edge[0], edge[-1]
        radius = self.unit * 2.4
        if shade > 0:  # only the upper edge's shadow stays visible
            hidden = min(bottom, max(y for _, y in edge) + radius * 2)
            rim = Cut().polygon([*edge, (right, hidden), (left, hidden)])
            self.canvas.shade(rim, self.shadow, radius=radius, strength=shade)
        land = Cut().polygon([*edge, (right, bottom), (left, bottom)])
        self.canvas.paste(land, Gradient(tone, self.palette.haze(tone, mist)))

    def place(self, where: Where, x: float, ground: float, size: float) -> None:
        """Draw the figure, if it belongs there."""
        if self.figure is None or self.figure.where is not where:
            return
        tall = size * self.figure.scale
        if where is Where.SKY:
            ground = max(ground, tall * 1.1 + self.unit * 2)
        if self.palette.dark:
            self.canvas.glow(x, ground - tall * 0.5, tall * 0.95, self.palette.light, 0.42)
        frame = Frame(x, ground, tall, flipped=x > self.width / 2)
        for tone, paths in self.figure.parts:
            colour = tone_of(tone, self.figure, self.palette, self.coat)
            self.canvas.paste(Cut().path(paths, frame), colour)


def rolling(stage: Stage, level: float, swing: float, wave: float) -> Line:
    """A soft line around `level` that swings up and down; `wave` is the length of its longest wave. All in pixels."""
    parts = [
        (swing * share, math.tau / (wave * length) * stage.between(0.85, 1.15), stage.between(0, math.tau))
        for share, length in ((0.62, 1.0), (0.28, 0.47), (0.10, 0.21))
    ]
    return lambda x: level + sum(size * math.sin(x * speed + phase) for size, speed, phase in parts)


def profile(line: Line, start: float, end: float, step: float) -> list[Point]:
    """Points of a line, `step` apart."""
    count = max(2, math.ceil((end - start) / step))
    places = (start + (end - start) * index / count for index in range(count + 1))
    return [(x, line(x)) for x in places]
