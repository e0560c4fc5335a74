"""Pictures of nothing but shapes: tiles with a plain figure each, and arches under a sun."""

from collections.abc import Callable

from imagejobs.providers.sketch.drawing.colours import Colour, mix
from imagejobs.providers.sketch.drawing.cut import Cut, Frame
from imagejobs.providers.sketch.drawing.figures import Where
from imagejobs.providers.sketch.drawing.plants import leafy
from imagejobs.providers.sketch.drawing.stage import Stage

_QUARTER = "M 0 0 L 100 0 C 100 55.2 55.2 100 0 100 Z"
_LEAF = "M 0 0 C 55.2 0 100 44.8 100 100 C 44.8 100 0 55.2 0 0 Z"

TILES: tuple[tuple[str, str], ...] = (
    # first ink, second ink; each in a square of 100 by 100
    (_QUARTER, "M 0 0 L 50 0 C 50 27.6 27.6 50 0 50 Z"),
    (_LEAF, ""),
    ("O 50 50 42 42", "O 50 50 19 19"),
    ("O 50 50 42 42", "M 50 8 C 73.2 8 92 26.8 92 50 C 92 73.2 73.2 92 50 92 Z"),
    ("M 0 0 L 100 0 L 0 100 Z", ""),
    (
        "M 0 50 C 0 22.4 22.4 0 50 0 C 77.6 0 100 22.4 100 50 Z",
        "M 0 100 C 0 72.4 22.4 50 50 50 C 77.6 50 100 72.4 100 100 Z",
    ),
    ("M 0 0 L 50 50 L 0 100 Z M 100 0 L 100 100 L 50 50 Z", ""),
    ("M 0 0 L 100 0 L 100 25 L 0 25 Z M 0 50 L 100 50 L 100 75 L 0 75 Z", ""),
    (_LEAF, "M 100 0 C 100 27.6 77.6 50 50 50 C 50 22.4 72.4 0 100 0 Z"),
    ("M 50 4 L 96 50 L 50 96 L 4 50 Z", "M 50 30 L 70 50 L 50 70 L 30 50 Z"),
    (_QUARTER, "M 100 100 L 50 100 C 50 72.4 72.4 50 100 50 Z"),
    ("O 25 25 17 17 O 75 75 17 17", "O 75 25 17 17 O 25 75 17 17"),
)


def tiles(stage: Stage) -> None:
    """A grid of squares; with a figure, it has a round place in the middle."""
    across = stage.chance.choice((4, 5, 6))
    size = stage.unit * 100 / across
    columns, rows = max(2, round(stage.width / size)), max(2, round(stage.height / size))
    tones = _tones(stage)
    for row in range(rows):
        for column in range(columns):
            left, top = stage.width * column / columns, stage.height * row / rows
            box = (left, top, stage.width * (column + 1) / columns, stage.height * (row + 1) / rows)
            ground, first, second = stage.chance.sample(tones, 3)
            _square(stage, box, ground)
            _motif(stage, box, (first, second))
    _medallion(stage)


def _tones(stage: Stage) -> list[Colour]:
    palette = stage.palette
    tones = (
        palette.light,
        palette.sun,
        palette.accent,
        palette.depth(0),
        palette.depth(0.5),
        palette.depth(1),
        palette.sky[0],
    )
    return list(dict.fromkeys(tones))


def _square(stage: Stage, box: tuple[float, float, float, float], tone: Colour) -> None:
    left, top, right, bottom = (round(edge) for edge in box)
    stage.canvas.image.paste(tone, (left, top, right, bottom))


def _motif(stage: Stage, box: tuple[float, float, float, float], inks: tuple[Colour, Colour]) -> None:
    left, top, right, bottom = (round(edge) for edge in box)
    turn = _turn(stage.chance.randrange(4))
    for ink, path in zip(inks, stage.chance.choice(TILES), strict=True):
        cut = Cut().path(path, Frame(50, 100, 100))
        placed = Cut()
        for outline in cut.outlines:
            turned = [turn(x, y) for x, y in outline.points]
            corners = [(left + x * (right - left) / 100, top + y * (bottom - top) / 100) for x, y in turned]
            if outline.round:
                (ax, ay), (bx, by) = corners
                placed.ellipse((ax + bx) / 2, (ay + by) / 2, abs(bx - ax) / 2, abs(by - ay) / 2)
            else:
                placed.polygon(corners)
        stage.canvas.paste(placed, ink)


def _turn(quarters: int) -> Callable[[float, float], tuple[float, float]]:
    return (
        lambda x, y: (x, y),
        lambda x, y: (100 - y, x),
        lambda x, y: (100 - x, 100 - y),
        lambda x, y: (y, 100 - x),
    )[quarters]


def _medallion(stage: Stage) -> None:
    if stage.figure is None:
        return
    x, y, radius = stage.width / 2, stage.height / 2, stage.unit * 34
    disc = Cut().circle(x, y, radius)
    stage.canvas.shade(disc, stage.shadow, radius=stage.unit * 3, strength=0.5)
    stage.canvas.paste(disc, stage.palette.light)
    stage.canvas.paste(Cut().circle(x, y, radius * 0.92), mix(stage.palette.sky[2], stage.palette.sun, 0.35))
    stage.place(stage.figure.where, x - 0.01, y + stage.unit * 21, stage.unit * 42 / max(stage.figure.scale, 1))


def arches(stage: Stage) -> None:
    """Rainbow over rainbow, a large sun in rings, and leaves in front."""
    palette, unit = stage.palette, stage.unit
    stage.canvas.wash((mix(palette.sky[1], palette.light, 0.35), palette.sky[2]))
    sun_x, sun_y = stage.width * stage.between(0.25, 0.75), stage.height * stage.between(0.26, 0.36)
    radius = unit * stage.between(13, 17)
    for ring in (2.6, 2.05, 1.5):
        stage.canvas.paste(Cut().circle(sun_x, sun_y, radius * ring), mix(palette.sun, palette.light, 0.5), opacity=0.22)
    stage.canvas.paste(Cut().circle(sun_x, sun_y, radius), palette.sun)
    tones = [palette.accent, palette.depth(0.5), palette.light, palette.sun, palette.depth(1), palette.depth(0)]
    spot = stage.width * 0.5
    for row, (foot, size) in enumerate(((0.74, 34), (0.9, 25), (1.03, 19))):
        if row == 2:
            for where in (Where.GROUND, Where.WATER):
                stage.place(where, spot, stage.height * 0.95, unit * 46)
        _arches_in_row(stage, stage.height * foot, unit * size, tones)
    stage.place(Where.SKY, spot, stage.height * 0.6, unit * 40)
    _leaves(stage)


def _arches_in_row(stage: Stage, foot: float, size: float, tones: list[Colour]) -> None:
    x = -size * stage.between(0, 0.8)
    while x < stage.width + size:
        radius = size * stage.between(0.75, 1.0)
        _arch(stage, x, foot + stage.unit * stage.between(-3, 3), radius, stage.chance.sample(tones, 5))
        x += radius * stage.between(1.5, 2.1)


def _arch(stage: Stage, x: float, foot: float, radius: float, tones: list[Colour]) -> None:
    whole = Cut().circle(x, foot, radius).rectangle(x - radius, foot, x + radius, stage.height + 5)
    stage.canvas.shade(whole, stage.shadow, radius=stage.unit * 2, strength=0.3)
    for index, tone in enumerate(tones):
        ring = radius * (1 - index * 0.19)
        stage.canvas.paste(Cut().circle(x, foot, ring).rectangle(x - ring, foot, x + ring, stage.height + 5), tone)


def _leaves(stage: Stage) -> None:
    """Sprigs that grow from the lower edge."""
    leaves, stems, unit = Cut(), Cut(), stage.unit
    for _ in range(round(4 * stage.repeats)):
        x, tall = stage.between(0, stage.width), unit * stage.between(16, 34)
        foot = stage.height + unit * 3
        stems.rectangle(x - unit * 0.25, foot - tall * 0.9, x + unit * 0.25, foot)
        leafy(leaves, x, foot - tall * 0.72, tall * 0.4, 0)
        for side in (-1, 1):
            for step in (0.25, 0.45, 0.65):
                base = Frame(x + side * tall * 0.11, foot - tall * step, tall * 0.26, flipped=side < 0)
                leaves.path("M 8 96 C 20 40 60 6 98 2 C 96 50 60 92 8 96 Z", base)
    tone = mix(stage.palette.depth(0.85), stage.palette.depth(1), 0.4)
    stage.canvas.shade(leaves, stage.shadow, radius=unit * 1.6, strength=0.25)
    stage.canvas.paste(stems, tone)
    stage.canvas.paste(leaves, tone)
