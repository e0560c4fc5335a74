"""Pictures of particular places: sea, desert, city, space; and one of no place at all."""

import math

from imagejobs.providers.sketch.drawing.colours import BLACK, WHITE, Colour, Gradient, mix
from imagejobs.providers.sketch.drawing.cut import Cut, Frame
from imagejobs.providers.sketch.drawing.figures import Where
from imagejobs.providers.sketch.drawing.plants import tufts
from imagejobs.providers.sketch.drawing.scenes import glints, spots
from imagejobs.providers.sketch.drawing.sky import birds, sky, stars
from imagejobs.providers.sketch.drawing.stage import Line, Stage, rolling

_SAGUARO = (
    "M 45 102 L 45 12 C 45 3 55 3 55 12 L 55 102 Z "
    "M 47 66 L 30 62 C 22 60 20 56 20 50 L 20 36 C 20 30 28 30 28 36 L 28 50 C 28 53 30 54 33 54 L 47 56 Z "
    "M 53 56 L 68 52 C 71 51 72 49 72 46 L 72 28 C 72 22 80 22 80 28 L 80 48 C 80 56 77 59 71 61 L 53 66 Z"
)


def sea(stage: Stage) -> None:
    """A low sun over the water, islands, and waves that come closer."""
    spot, sun_x = spots(stage)
    horizon = stage.height * stage.between(0.46, 0.54)
    radius = stage.unit * stage.between(10, 15)
    sky(stage, horizon, sun_x, horizon - radius * stage.between(0.25, 1.5), radius)
    birds(stage, stage.width - sun_x, horizon * stage.between(0.35, 0.6))
    stage.place(Where.SKY, spot, horizon * 0.8, stage.unit * 42)
    _islands(stage, horizon, sun_x)
    near = stage.palette.depth(0.62)
    stage.canvas.wash((mix(stage.palette.sky[2], stage.palette.depth(0.15), 0.75), near), horizon)
    glints(stage, horizon, stage.height * 0.72, sun_x)
    for row in range(5):
        level = stage.height * (0.68 + 0.075 * row)
        if row == 1:
            stage.place(Where.WATER, spot, level + stage.unit * 3, stage.unit * 48)
        _wave(stage, level, row)
    if stage.figure is not None and stage.figure.where is Where.GROUND:
        _shore(stage, spot)


def _islands(stage: Stage, horizon: float, sun_x: float) -> None:
    for index in range(round(2 * stage.repeats)):
        x = stage.between(0, stage.width)
        if abs(x - sun_x) < stage.unit * 14:
            x += stage.unit * 30
        tall, wide = stage.unit * stage.between(4, 10), stage.unit * stage.between(14, 26)
        hill = [
            (x + wide * (k / 10 - 1), horizon + 1 - tall * math.sin(k / 20 * math.pi) ** stage.between(1.1, 1.5))
            for k in range(21)
        ]
        stage.canvas.paste(Cut().polygon(hill), stage.palette.haze(stage.palette.depth(0.25 + 0.1 * (index % 3)), 0.15))


def _wave(stage: Stage, level: float, row: int) -> None:
    """One row of waves with pointed crests and a pale rim."""
    length, tall = stage.unit * (15 + 5 * row), stage.unit * (1.1 + 0.55 * row)
    shift = stage.between(0, length)

    def line(x: float) -> float:
        phase = (x + shift) / length * math.tau
        return float(level - tall * (1 - abs(math.sin(phase / 2))) + stage.unit * math.sin(phase / 5.3) * 0.8)

    tone = stage.palette.depth(0.55 + 0.45 * row / 4)
    stage.layer(line, mix(stage.palette.light, tone, 0.3), shade=0.2, mist=0.3)
    stage.layer(lambda x: line(x) + stage.unit * (0.35 + 0.12 * row), tone, mist=0.12, shade=0)


def _shore(stage: Stage, spot: float) -> None:
    """A rise of land in front for whoever has to stand on something."""
    swing = rolling(stage, 0, stage.unit * 1.2, stage.unit * 40)
    side = 1 if spot > stage.width / 2 else -1

    def line(x: float) -> float:
        away = (x - spot) * -side / (stage.unit * 55)
        return float(stage.height * 0.86 + stage.unit * 13 * max(0.0, away) ** 1.6 + swing(x))

    tone = mix(stage.palette.depth(1), stage.palette.accent, 0.08)
    stage.place(Where.GROUND, spot, line(spot) + stage.unit * 3, stage.unit * 46)
    stage.layer(line, tone, mist=0.05)
    tufts(stage, line, stage.unit * 6, mix(tone, stage.shadow, 0.25), round(14 * stage.repeats))


def desert(stage: Stage) -> None:
    """Tables of rock far off, dunes with a lit and a dark side, a few cacti."""
    spot, sun_x = spots(stage)
    horizon = stage.height * stage.between(0.52, 0.58)
    radius = stage.unit * stage.between(12, 18)
    sky(stage, horizon + stage.unit * 4, sun_x, horizon - radius * stage.between(0.6, 1.6), radius)
    stage.canvas.wash((stage.palette.depth(0.1), stage.palette.depth(0.2)), horizon + stage.unit * 2.5)
    stage.place(Where.SKY, spot, horizon * 0.8, stage.unit * 42)
    for row in range(2):
        _mesas(stage, horizon + stage.unit * 3, stage.unit * (19 - 6 * row), stage.palette.depth(0.12 + 0.2 * row))
    for row in range(4):
        level = stage.height * (0.58 + 0.11 * row)
        if row == 3:
            stage.place(Where.GROUND, spot, level + stage.unit * 3, stage.unit * 46)
        if row > 0:
            _cacti(
                stage,
                spot,
                level,
                stage.unit * (6 + 6 * row),
                mix(stage.palette.depth(0.6 + 0.13 * row), stage.shadow, 0.15),
            )
        _dune(stage, level, stage.palette.depth(0.3 + 0.62 * row / 3))


def _mesas(stage: Stage, base: float, tall: float, tone: Colour) -> None:
    for _ in range(round(2.4 * stage.repeats)):
        x, wide, height = stage.between(0, stage.width), stage.unit * stage.between(8, 20), tall * stage.between(0.55, 1.0)
        top, step = base - height, height * stage.between(0.3, 0.5)
        half = wide / 2
        sides = ((-half * 1.7, 0), (-half * 1.12, -height + step), (-half, -height + step), (-half * 0.94, -height))
        left = [(x + dx, base + dy) for dx, dy in sides]
        right = [(x - dx, base + dy) for dx, dy in reversed(sides)]
        rock = Cut().polygon([*left, *right])
        stage.canvas.paste(rock, Gradient(tone, stage.palette.haze(tone, 0.45)))
        face = Cut().polygon([(x + half * 0.25, top), *right, (x + half * 0.5, base)])
        stage.canvas.paste(face, mix(tone, stage.shadow, 0.3), opacity=0.45)


def _dune(stage: Stage, level: float, tone: Colour) -> None:
    """A dune whose crest divides light from shadow."""
    unit = stage.unit
    line = rolling(stage, level, unit * 5, unit * stage.between(85, 120))
    stage.layer(line, mix(tone, stage.palette.light, 0.1), mist=0.2, shade=0.3)
    crest = unit * stage.between(-20, 60)
    shade = Cut()
    while crest < stage.width + unit * 40:
        long, deep = unit * stage.between(45, 70), unit * stage.between(9, 16)
        over = [(crest + long * k / 12, line(crest + long * k / 12)) for k in range(13)]
        under = [
            (crest + long * k / 12, line(crest + long * k / 12) + deep * math.sin(math.pi * k / 12) * (0.5 + k / 24))
            for k in range(12, -1, -1)
        ]
        shade.polygon([*over, *under])
        crest += long * stage.between(1.2, 1.8)
    stage.canvas.paste(shade, mix(tone, stage.shadow, 0.28), opacity=0.6)


def _cacti(stage: Stage, spot: float, ground: float, size: float, tone: Colour) -> None:
    cut = Cut()
    for _ in range(round(stage.chance.choice((1, 1, 2)) * stage.repeats)):
        x = stage.between(0.04, 0.96) * stage.width
        if stage.figure is not None and abs(x - spot) < stage.unit * 32:
            continue
        cut.path(
            _SAGUARO, Frame(x, ground + size * 0.1, size * stage.between(0.7, 1.1), flipped=stage.chance.random() < 0.5)
        )
    stage.canvas.paste(cut, tone)


def city(stage: Stage) -> None:
    """Three rows of buildings, lit windows, and a river or a street of roofs."""
    spot, sun_x = spots(stage)
    ground = stage.height * stage.between(0.74, 0.8)
    radius = stage.unit * stage.between(13, 20)
    sky(stage, ground, sun_x, stage.height * stage.between(0.26, 0.42), radius)
    stage.place(Where.SKY, spot, ground * 0.5, stage.unit * 40)
    for row, (nearness, tall) in enumerate(((0.1, 0.62), (0.45, 0.5), (0.8, 0.34))):
        _skyline(stage, ground + 1, stage.height * tall, stage.palette.depth(nearness), row)
    stage.canvas.mirror(round(ground), min(stage.height - round(ground), round(ground)))
    tone = mix(stage.palette.depth(0.75), stage.palette.sky[1], 0.25)
    stage.canvas.paste(Cut().rectangle(0, ground, stage.width, stage.height + 1), tone, opacity=0.55)
    glints(stage, ground, stage.height, sun_x)
    stage.place(Where.WATER, spot, stage.height * 0.93, stage.unit * 40)
    if stage.figure is not None and stage.figure.where is Where.GROUND:
        _quay(stage, spot)


def _quay(stage: Stage, spot: float) -> None:
    top = stage.height * 0.92
    stage.layer(lambda _: top, mix(stage.palette.depth(1), stage.shadow, 0.3), mist=0)
    stage.layer(lambda _: top + stage.unit * 1.4, stage.palette.depth(0.9), mist=0, shade=0.2)
    stage.place(Where.GROUND, spot, top + stage.unit * 2.2, stage.unit * 46)


def _skyline(stage: Stage, ground: float, tall: float, tone: Colour, row: int) -> None:
    body, side, lit, dim = Cut(), Cut(), Cut(), Cut()
    x = -stage.unit * stage.between(0, 6)
    while x < stage.width:
        wide = stage.unit * stage.between(7, 15)
        height = tall * stage.between(0.42, 1.0)
        _building(stage, body, side, (x, ground - height, x + wide, ground))
        if row > 0:
            _windows(stage, lit, dim, (x, ground - height, x + wide, ground))
        x += wide * stage.between(0.94, 1.12)
    stage.canvas.shade(body, stage.shadow, radius=stage.unit * 1.8, strength=0.22)
    stage.canvas.paste(body, Gradient(tone, stage.palette.haze(tone, 0.3)))
    stage.canvas.paste(side, mix(tone, stage.shadow, 0.35), opacity=0.4)
    stage.canvas.paste(dim, mix(tone, stage.palette.sky[2], 0.3), opacity=0.6)
    stage.canvas.paste(
        lit, mix(stage.palette.sun, (255, 222, 130), 0.6) if stage.palette.dark else stage.palette.light, opacity=0.92
    )
    if row == 2:
        _signs(stage, ground, tall)


def _building(stage: Stage, body: Cut, side: Cut, box: tuple[float, float, float, float]) -> None:
    """One of six roofs."""
    left, top, right, ground = box
    wide, middle, unit = right - left, (left + right) / 2, stage.unit
    body.rectangle(left, top, right, ground)
    side.rectangle(left + wide * 0.72, top, right, ground)
    roof = stage.chance.randrange(6)
    if roof == 0:
        body.polygon(((left, top), (right, top - wide * 0.55), (right, top + 1), (left, top + 1)))
    elif roof == 1:
        body.rectangle(left + wide * 0.18, top - wide * 0.3, right - wide * 0.18, top + 1)
        body.rectangle(left + wide * 0.34, top - wide * 0.6, right - wide * 0.34, top)
        body.rectangle(middle - unit * 0.2, top - wide * 1.3, middle + unit * 0.2, top)
    elif roof == 2:
        body.ellipse(middle, top, wide / 2, wide * 0.42)
    elif roof == 3:
        body.polygon(((left + wide * 0.1, top + 1), (middle, top - wide * 0.95), (right - wide * 0.1, top + 1)))
    elif roof == 4:
        tank = Frame(left + wide * 0.35, top + 1, wide * 0.75)
        body.path(
            (
                "M 34 34 L 66 34 L 66 72 L 34 72 Z M 30 36 L 50 14 L 70 36 Z M 36 72 L 40 72 L 38 100 L "
                "34 100 Z M 60 72 L 64 72 L 66 100 L 62 100 Z"
            ),
            tank,
        )


def _windows(stage: Stage, lit: Cut, dim: Cut, box: tuple[float, float, float, float]) -> None:
    left, top, right, ground = box
    columns = stage.chance.choice((3, 4, 5))
    gap = (right - left) / (columns * 2 + 1)
    tall = gap * stage.chance.choice((1.0, 1.6, 2.2))
    share = stage.between(0.3, 0.7) if stage.palette.dark else stage.between(0.12, 0.35)
    y = top + gap * 1.4
    while y + tall < ground - gap:
        for column in range(columns):
            x = left + gap * (1 + 2 * column)
            (lit if stage.chance.random() < share else dim).rectangle(x, y, x + gap, y + tall)
        y += tall + gap * 1.1


def _signs(stage: Stage, ground: float, tall: float) -> None:
    """Upright signs that shine."""
    tones = (stage.palette.accent, stage.palette.sun, mix(stage.palette.accent, (255, 80, 160), 0.6))
    for _ in range(round(stage.chance.choice((2, 3)) * stage.repeats)):
        x, y = stage.between(0.05, 0.95) * stage.width, ground - tall * stage.between(0.3, 0.65)
        long, tone = stage.unit * stage.between(7, 12), stage.chance.choice(tones)
        if stage.palette.dark:
            stage.canvas.glow(x, y, long * 1.5, tone, 0.6)
        plate = Cut().rectangle(x - stage.unit * 1.1, y - long / 2, x + stage.unit * 1.1, y + long / 2)
        stage.canvas.paste(plate, mix(tone, BLACK, 0.1))
        marks = Cut()
        for index in range(4):
            middle = y - long / 2 + long * (index + 0.5) / 4
            marks.rectangle(x - stage.unit * 0.6, middle - long * 0.07, x + stage.unit * 0.6, middle + long * 0.07)
        stage.canvas.paste(marks, stage.palette.light)


def space(stage: Stage) -> None:
    """A great planet over the hills of a moon."""
    spot, planet_x = spots(stage)
    palette = stage.palette
    stage.canvas.wash(palette.sky)
    stars(stage, stage.height * 0.9)
    radius = stage.unit * stage.between(20, 29)
    _planet(stage, planet_x, stage.height * stage.between(0.3, 0.4), radius)
    x, y, small = stage.width - planet_x, stage.height * stage.between(0.1, 0.22), stage.unit * stage.between(3, 6)
    disc = Cut().circle(x, y, small)
    stage.canvas.paste(disc, palette.accent)
    stage.canvas.paste(Cut().circle(x + small * 0.5, y + small * 0.3, small * 1.1), stage.shadow, opacity=0.35, clip=disc)
    stage.place(Where.SKY, spot, stage.height * 0.66, stage.unit * 44)
    for row in range(3):
        line = rolling(stage, stage.height * (0.76 + 0.08 * row), stage.unit * 4, stage.unit * 75)
        if row == 2:
            stage.place(Where.GROUND, spot, line(spot) + stage.unit * 2, stage.unit * 44)
        tone = palette.depth(0.15 + 0.4 * row)
        stage.layer(line, tone, mist=0.1)
        _craters(stage, line, tone, stage.unit * (2 + row))


def _planet(stage: Stage, x: float, y: float, radius: float) -> None:
    palette, canvas = stage.palette, stage.canvas
    disc, shade = Cut().circle(x, y, radius), Cut().circle(x, y, radius)
    shade.circle(x - radius * 0.34, y - radius * 0.22, radius * 1.06, solid=False)
    canvas.glow(x, y, radius * 2.2, palette.sky[2], 0.5)
    canvas.paste(disc, Gradient(palette.sun, mix(palette.accent, palette.sun, 0.3)))
    bands = Cut()
    place = -0.85
    while place < 0.9:
        thick = stage.between(0.06, 0.16)
        wave = [(x + radius * (k / 10 - 1), y + radius * (place + 0.03 * math.sin(k * 0.7 + place * 9))) for k in range(21)]
        bands.polygon([*wave, *[(px, py + radius * thick) for px, py in reversed(wave)]])
        place += thick + stage.between(0.1, 0.26)
    canvas.paste(bands, mix(palette.accent, palette.depth(0.5), 0.35), opacity=0.6, clip=disc)
    canvas.paste(shade, stage.shadow, opacity=0.42, clip=disc)
    if stage.chance.random() < 0.65:
        ring = Cut().ellipse(x, y, radius * 1.75, radius * 0.42).ellipse(x, y, radius * 1.42, radius * 0.26, solid=False)
        front = Cut().rectangle(x - radius * 2, y, x + radius * 2, y + radius)
        behind = Cut().rectangle(x - radius * 2, y - radius, x + radius * 2, y).circle(x, y, radius, solid=False)
        for part in (front, behind):
            canvas.paste(ring, mix(palette.light, palette.sun, 0.4), opacity=0.85, clip=part)


def _craters(stage: Stage, line: Line, tone: Colour, size: float) -> None:
    hollow, rim = Cut(), Cut()
    for _ in range(round(5 * stage.repeats)):
        x, wide = stage.between(0, stage.width), size * stage.between(0.5, 1.3)
        y = line(x) + size * stage.between(1, 3)
        rim.ellipse(x, y + wide * 0.08, wide, wide * 0.34)
        hollow.ellipse(x, y, wide * 0.94, wide * 0.28)
    stage.canvas.paste(rim, mix(tone, WHITE, 0.22))
    stage.canvas.paste(hollow, mix(tone, stage.shadow, 0.4))
