"""Trees and flowers, added to a piece of paper or pasted in a row."""

import math

from imagejobs.providers.sketch.drawing.colours import WHITE, Colour, mix
from imagejobs.providers.sketch.drawing.cut import Cut, Frame
from imagejobs.providers.sketch.drawing.stage import Line, Stage, Weather


def conifer(cut: Cut, x: float, ground: float, height: float, *, tiers: int = 4, half: bool = False) -> None:
    """A fir of stacked triangles; only its right half, for the side in shadow, where `half`."""
    width = height * 0.42
    cut.rectangle(x if half else x - height * 0.025, ground - height * 0.15, x + height * 0.025, ground + height * 0.05)
    for tier in range(tiers):
        share = (tier + 1) / tiers
        top = ground - height * (1 - 0.78 * tier / tiers)
        bottom = ground - height * (1 - share) * 0.8 - height * 0.08
        reach = width / 2 * (0.34 + 0.66 * share)
        droop = height * 0.025
        left = (x, bottom - droop) if half else (x - reach, bottom)
        cut.polygon(((x, top), (x + reach, bottom), (x + reach * 0.45, bottom - droop), (x, bottom - droop * 0.6), left))


def snow_cap(cut: Cut, x: float, ground: float, height: float) -> None:
    """Snow on a fir: its top, and one slope of each tier below."""
    top, reach = ground - height, height * 0.075
    cut.polygon(((x, top), (x + reach, top + height * 0.19), (x, top + height * 0.15), (x - reach, top + height * 0.19)))


def leafy(cut: Cut, x: float, ground: float, height: float, shape: int) -> None:
    """The crown of a round-headed tree: a leaf, a ball, or a pile of ovals."""
    frame = Frame(x, ground, height)
    if shape == 0:
        cut.path("M 50 0 C 74 22 76 62 50 82 C 24 62 26 22 50 0 Z", frame)
    elif shape == 1:
        cut.path("O 50 34 28 33", frame)
    else:
        cut.path("O 50 22 19 20 O 38 46 21 19 O 63 46 20 19 O 50 60 26 17", frame)


def leafy_shade(cut: Cut, x: float, ground: float, height: float, shape: int) -> None:
    """The shadowed side of the same crown."""
    frame = Frame(x, ground, height)
    if shape == 0:
        cut.path("M 50 0 C 74 22 76 62 50 82 Z", frame)
    elif shape == 1:
        cut.path("M 58 3 C 92 12 92 58 58 66 C 74 48 74 22 58 3 Z", frame)
    else:
        cut.path(("M 56 4 C 76 10 70 26 66 28 C 88 32 88 58 74 64 C 70 78 56 78 50 76 C 70 62 70 30 56 4 Z"), frame)


def trunk(cut: Cut, x: float, ground: float, height: float) -> None:
    """The trunk of a round-headed tree, with two boughs that show before its crown."""
    thin = height * 0.022
    cut.polygon(
        (
            (x - thin * 0.5, ground - height * 0.6),
            (x + thin * 0.5, ground - height * 0.6),
            (x + thin, ground),
            (x - thin, ground),
        )
    )
    for side, low in ((-1, 0.28), (1, 0.38)):
        y = ground - height * low
        cut.polygon(
            (
                (x, y),
                (x, y - thin * 1.6),
                (x + side * height * 0.1, y - height * 0.12),
                (x + side * height * 0.11, y - height * 0.11),
            )
        )


def wood(
    stage: Stage,
    line: Line,
    height: float,
    tone: Colour,
    *,
    density: float = 1.0,
    conifers: bool = True,
    clear: float | None = None,
) -> None:
    """A row of trees along a line, each a little different; `density` 1 closes the row. None stand around `clear`."""
    body, dark, bark, snow = Cut(), Cut(), Cut(), Cut()
    x = -height * 0.2
    while x < stage.width + height * 0.3:
        tall = height * stage.between(0.62, 1.12)
        ground = line(x) + height * 0.04
        if clear is not None and abs(x - clear) < stage.unit * 22:
            x += height * 0.2
            continue
        if conifers:
            conifer(body, x, ground, tall)
            conifer(dark, x, ground, tall, half=True)
            snow_cap(snow, x, ground, tall)
        else:
            shape = stage.chance.randrange(3)
            leafy(body, x, ground, tall, shape)
            leafy_shade(dark, x, ground, tall, shape)
            trunk(bark, x, ground, tall)
        x += height * stage.between(0.2, 0.42) / density
    stage.canvas.paste(body, tone)
    stage.canvas.paste(dark, mix(tone, stage.shadow, 0.22), opacity=0.9)
    stage.canvas.paste(bark, mix(tone, stage.shadow, 0.55))
    if stage.weather is Weather.SNOW:
        stage.canvas.paste(snow, mix(tone, WHITE, 0.85))


def tufts(stage: Stage, line: Line, height: float, tone: Colour, count: int) -> None:
    """Blades of grass in bunches along a line."""
    cut = Cut()
    for _ in range(count):
        x = stage.between(0, stage.width)
        for _ in range(stage.chance.choice((3, 4, 5))):
            lean, tall = stage.between(-0.5, 0.5) * height, height * stage.between(0.5, 1)
            foot = x + stage.between(-0.3, 0.3) * height
            ground, thin = line(x) + height * 0.15, height * 0.07
            cut.polygon(((foot - thin, ground), (foot + lean, ground - tall), (foot + thin, ground)))
    stage.canvas.paste(cut, tone)


def flowers(stage: Stage, line: Line, height: float, tones: tuple[Colour, ...], count: int) -> None:
    """Tall flowers in front: thin stems with leaves, and heads of several kinds."""
    stems = Cut()
    heads: list[tuple[float, float, float, int, Colour]] = []
    for index in range(count):
        x = stage.width * (index + stage.between(0.1, 0.9)) / count
        tall, ground = height * stage.between(0.55, 1.0), line(x) + height * 0.2
        lean, thin = stage.between(-0.1, 0.1) * height, max(0.4, height * 0.011)
        stems.polygon(
            ((x - thin, ground), (x + lean - thin, ground - tall), (x + lean + thin, ground - tall), (x + thin, ground))
        )
        frame = Frame(x + lean * 0.4, ground, tall, flipped=stage.chance.random() < 0.5)
        stems.path(
            ("M 50 78 C 58 70 66 62 76 60 C 72 72 62 78 50 80 Z M 50 66 C 42 60 36 54 29 54 C 32 64 40 68 50 68 Z"), frame
        )
        heads.append(
            (
                x + lean,
                ground - tall,
                height * stage.between(0.1, 0.17),
                stage.chance.randrange(3),
                stage.chance.choice(tones),
            )
        )
    stage.canvas.paste(stems, mix(stage.palette.depth(0.9), stage.palette.depth(0.6), 0.5))
    for x, y, size, kind, tone in heads:
        _head(stage, x, y, size, kind, tone)


def _head(stage: Stage, x: float, y: float, size: float, kind: int, tone: Colour) -> None:
    canvas, heart = stage.canvas, mix(stage.palette.sun, stage.palette.accent, 0.15)
    if kind == 0:  # a daisy
        petals = Cut()
        for index in range(9):
            angle = math.tau * index / 9
            petals.circle(x + math.cos(angle) * size * 0.62, y + math.sin(angle) * size * 0.62, size * 0.3)
        canvas.paste(petals, tone)
        canvas.paste(Cut().circle(x, y, size * 0.42), heart)
    elif kind == 1:  # a tulip
        frame = Frame(x, y + size * 0.7, size * 1.7)
        canvas.paste(
            Cut().path(
                (
                    "M 22 20 C 30 26 34 32 38 40 C 40 24 46 12 50 4 C 54 12 60 24 62 40 C 66 32 70 26 78 20 C "
                    "84 60 74 96 50 100 C 26 96 16 60 22 20 Z"
                ),
                frame,
            ),
            tone,
        )
        canvas.paste(
            Cut().path(("M 50 4 C 54 12 60 24 62 40 C 64 66 58 86 50 100 C 42 86 36 66 38 40 C 40 24 46 12 50 4 Z"), frame),
            mix(tone, WHITE, 0.22),
        )
    else:  # a poppy seen from the side
        frame = Frame(x, y + size * 0.5, size * 1.7)
        canvas.paste(
            Cut().path(
                ("M 50 100 C 14 100 2 66 8 44 C 22 30 36 44 50 40 C 64 44 78 30 92 44 C 98 66 86 100 50 100 Z"), frame
            ),
            tone,
        )
        canvas.paste(Cut().path("M 50 100 C 36 92 34 70 50 60 C 66 70 64 92 50 100 Z", frame), mix(tone, stage.shadow, 0.35))
