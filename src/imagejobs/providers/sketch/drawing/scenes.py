"""Landscapes, far to near: sky, ridges behind ridges, the figure, and what stands in front of it."""

import math

from imagejobs.providers.sketch.drawing.colours import WHITE, Colour, Gradient, mix
from imagejobs.providers.sketch.drawing.cut import Cut, Point
from imagejobs.providers.sketch.drawing.figures import Where
from imagejobs.providers.sketch.drawing.plants import flowers, tufts, wood
from imagejobs.providers.sketch.drawing.sky import birds, sky
from imagejobs.providers.sketch.drawing.stage import Line, Stage, Weather, rolling


def spots(stage: Stage) -> tuple[float, float]:
    """Where across the picture the figure stands, and where the sun: apart, or the sun behind the figure."""
    spot = stage.chance.choice((0.32, 0.36, 0.5, 0.64, 0.68))
    away = 1 - spot + stage.between(-0.06, 0.06)
    sun = spot if stage.chance.random() < 0.3 else away if abs(spot - 0.5) > 0.1 else stage.chance.choice((0.26, 0.5, 0.74))
    return spot * stage.width, sun * stage.width


def _ridges(stage: Stage, count: int, first: float, last: float, swing: float) -> list[tuple[Line, Colour, float]]:
    """Rolling lines from `first` to `last` (shares of the height), each with its tone and where its foot is."""
    rows = []
    for index in range(count):
        share = index / max(count - 1, 1)
        level = stage.height * (first + (last - first) * share)
        line = rolling(stage, level, stage.unit * swing * (0.55 + 0.75 * share), stage.unit * (95 + 35 * share))
        foot = level + stage.height * (last - first) / count + stage.unit * swing * 2.6
        rows.append((line, stage.palette.depth(share), foot))
    return rows


def hills(stage: Stage) -> None:
    """Soft hills one behind the other, with small trees on them."""
    spot, sun_x = spots(stage)
    horizon = stage.height * stage.between(0.5, 0.58)
    sky(stage, horizon + stage.unit * 6, sun_x, horizon * stage.between(0.42, 0.72), stage.unit * stage.between(9, 14))
    birds(stage, stage.width - sun_x, horizon * stage.between(0.3, 0.5))
    round_trees = stage.chance.random() < 0.5
    rows = _ridges(stage, 6, horizon / stage.height, 0.9, 6)
    for index, (line, tone, foot) in enumerate(rows):
        if index == 5:
            stage.place(Where.GROUND, spot, line(spot) + stage.unit * 2, stage.unit * 46)
        if index in (2, 3):
            _scattered(
                stage,
                line,
                stage.unit * (4 + 2.5 * index),
                mix(stage.palette.foliage(index / 5), stage.palette.foliage(1), 0.35),
                round_trees,
            )
        stage.layer(line, tone, foot if index < 5 else None)
        if index == 2:
            stage.place(Where.SKY, spot, horizon * 0.78, stage.unit * 42)
    tufts(stage, rows[5][0], stage.unit * 5, mix(rows[5][1], stage.shadow, 0.25), round(16 * stage.repeats))


def _scattered(stage: Stage, line: Line, height: float, tone: Colour, is_round: bool) -> None:
    """Groups of trees that leave parts of the ridge bare."""
    phase, wave = stage.between(0, math.tau), stage.unit * stage.between(16, 30)

    def thinned(x: float) -> float:
        return line(x) + max(0.0, math.sin(x / wave + phase) * 0.9 + 0.25) * height * 1.5

    wood(stage, thinned, height, tone, density=1.25, conifers=not is_round)


def meadow(stage: Stage) -> None:
    """Fields in strips, and tall flowers in front."""
    spot, sun_x = spots(stage)
    horizon = stage.height * stage.between(0.44, 0.52)
    sky(stage, horizon + stage.unit * 6, sun_x, horizon * stage.between(0.45, 0.75), stage.unit * stage.between(9, 13))
    rows = _ridges(stage, 4, horizon / stage.height, 0.78, 5)
    for index, (line, tone, foot) in enumerate(rows):
        stage.layer(line, tone, foot if index < 3 else None, mist=0.15)
        if index in (1, 2):
            _furrows(stage, line, foot, tone)
            _scattered(
                stage,
                line,
                stage.unit * (5 + 3 * index),
                mix(stage.palette.foliage(index / 3), stage.palette.foliage(1), 0.4),
                is_round=True,
            )
        if index == 0:
            stage.place(Where.SKY, spot, horizon * 0.8, stage.unit * 42)
    front = rolling(stage, stage.height * 0.9, stage.unit * 3, stage.unit * 90)
    stage.place(Where.GROUND, spot, min(rows[2][0](spot) + stage.unit * 18, front(spot) + stage.unit * 3), stage.unit * 44)
    tones = (
        stage.palette.accent,
        stage.palette.sun,
        stage.palette.light,
        mix(stage.palette.accent, stage.palette.light, 0.45),
    )
    stage.layer(front, mix(stage.palette.depth(1), stage.shadow, 0.2), mist=0)
    tufts(stage, front, stage.unit * 6, stage.palette.depth(0.9), round(18 * stage.repeats))
    flowers(stage, front, stage.unit * 24, tones, round(10 * stage.repeats))


def _furrows(stage: Stage, line: Line, foot: float, tone: Colour) -> None:
    """Strips of a field that follow its hill and widen towards us."""
    stripes, gap, depth = Cut(), stage.unit * 1.3, stage.unit * 2.2
    while depth < foot:
        upper = [(x, line(x) + depth) for x in range(-10, stage.width + 10, max(2, round(stage.unit * 2)))]
        lower = [(x, y + gap * 0.45) for x, y in reversed(upper)]
        stripes.polygon([*upper, *lower])
        depth += gap
        gap *= 1.22
    stage.canvas.paste(stripes, mix(tone, stage.palette.light, 0.3), opacity=0.5)


def forest(stage: Stage) -> None:
    """Rows of trees fading into the light, between two dark trunks."""
    spot, sun_x = spots(stage)
    conifers = stage.weather is Weather.SNOW or stage.chance.random() < 0.6
    horizon = stage.height * stage.between(0.56, 0.62)
    sky(stage, horizon, sun_x, horizon * stage.between(0.45, 0.7), stage.unit * stage.between(11, 16))
    rows = _ridges(stage, 5, horizon / stage.height, 0.9, 3.5)
    for index, (line, tone, foot) in enumerate(rows):
        if index == 4:
            stage.place(Where.GROUND, spot, line(spot) + stage.unit * 2, stage.unit * 46)
        if index < 4:
            trees = stage.palette.foliage(index / 4)
            wood(stage, line, stage.unit * (20 + 7 * index), trees, density=(1.2, 0.9, 0.62, 0.4)[index], conifers=conifers)
        stage.layer(line, tone, foot if index < 4 else None, mist=0.45 if index < 3 else 0.2, shade=0.16)
        if index == 1:
            stage.place(Where.SKY, spot, horizon * 0.72, stage.unit * 38)
    _frame_of_trunks(stage)
    tufts(stage, rows[4][0], stage.unit * 7, mix(rows[4][1], stage.shadow, 0.3), round(20 * stage.repeats))


def _frame_of_trunks(stage: Stage) -> None:
    """Two near trunks at the edges, cut off by the frame."""
    cut, unit = Cut(), stage.unit
    for edge, side in ((0, 1), (stage.width, -1)):
        for place, thick in ((stage.between(2, 7), 5.0), (stage.between(13, 19), 2.2)):
            x, half = edge + side * place * unit, thick * unit / 2
            cut.polygon(
                (
                    (x - half * 0.8, -5),
                    (x + half * 0.8, -5),
                    (x + half, stage.height * 0.7),
                    (x + half * 2, stage.height + 5),
                    (x - half * 2, stage.height + 5),
                    (x - half, stage.height * 0.7),
                )
            )
            for _ in range(2):
                y, reach = stage.height * stage.between(0.08, 0.5), unit * stage.between(7, 15)
                cut.polygon(
                    ((x, y), (x, y + half * 0.9), (x + side * reach, y - reach * 0.62), (x + side * reach, y - reach * 0.68))
                )
    tone = mix(stage.palette.depth(1), stage.shadow, 0.4)
    stage.canvas.shade(cut, stage.shadow, radius=unit * 2, strength=0.3)
    stage.canvas.paste(cut, tone)


def mountains(stage: Stage) -> None:
    """Peaks with a lit and a dark side, woods at their feet; sometimes a lake before them."""
    _range(stage, over_water=stage.chance.random() < 0.5)


def lake(stage: Stage) -> None:
    """The same peaks over a lake that shows them again."""
    _range(stage, over_water=True)


def _range(stage: Stage, *, over_water: bool) -> None:
    spot, sun_x = spots(stage)
    horizon = stage.height * (0.6 if over_water else 0.66)
    sky(stage, horizon, sun_x, horizon * stage.between(0.28, 0.5), stage.unit * stage.between(8, 12))
    stage.place(Where.SKY, spot, horizon * 0.62, stage.unit * 36)
    for row, (tall, share) in enumerate(((0.44, 0.12), (0.56, 0.36), (0.36, 0.6))):
        _peaks(stage, horizon + stage.unit * 2, horizon * tall, stage.palette.depth(share), row)
    shore = rolling(stage, horizon, stage.unit * 1.6, stage.unit * 70)
    tone = stage.palette.depth(0.66)
    wood(stage, shore, stage.unit * 9, stage.palette.foliage(0.72), density=1.5)
    stage.layer(shore, tone, mist=0.1, shade=0.2)
    if over_water:
        water(stage, horizon + stage.unit * 2.5, sun_x)
        stage.place(Where.WATER, spot, stage.height * 0.78, stage.unit * 34)
    rows = _ridges(stage, 2, 0.82, 0.92, 4)
    clear = spot if stage.figure is not None and stage.figure.where is not Where.SKY else None
    for index, (line, _, foot) in enumerate(rows):
        tone = stage.palette.depth(0.84 + 0.16 * index)
        if index == 1:
            stage.place(Where.GROUND, spot, line(spot) + stage.unit * 2, stage.unit * 44)
        wood(
            stage, line, stage.unit * (17 + 6 * index), stage.palette.foliage(0.84 + 0.16 * index), density=0.4, clear=clear
        )
        stage.layer(line, tone, foot if index == 0 else None, mist=0.1)


def _peaks(stage: Stage, base: float, tall: float, tone: Colour, row: int) -> None:
    """A row of overlapping peaks."""
    step = tall * 0.95
    peaks: list[tuple[Point, Point, Point]] = []
    x = -step * stage.between(0.1, 0.6)
    while x < stage.width + step * 0.6:
        height = tall * stage.between(0.55, 1.0)
        left, right = x - height * stage.between(0.75, 1.0), x + height * stage.between(0.75, 1.0)
        peaks.append(((x, base - height), (right, base), (left, base)))
        x += step * stage.between(0.5, 1.0)
    together = Cut()
    for peak in peaks:
        together.polygon(peak)
    stage.canvas.shade(together, stage.shadow, radius=stage.unit * 2, strength=0.3)
    for peak in peaks:
        _peak(stage, peak, tone, snowy=row < 2)


def _peak(stage: Stage, corners: tuple[Point, Point, Point], tone: Colour, *, snowy: bool) -> None:
    (x, top), (right, base), _ = corners
    height, whole = base - top, Cut().polygon(corners)
    spine = [(x + height * 0.05 * (-1) ** k * min(k, 3), top + height * k / 6) for k in range(7)]
    stage.canvas.paste(whole, Gradient(mix(tone, WHITE, 0.12), stage.palette.haze(tone, 0.4)))
    dark = Cut().polygon([*spine, (right, base)])
    stage.canvas.paste(dark, Gradient(mix(tone, stage.shadow, 0.3), stage.palette.haze(tone, 0.22)))
    if snowy:
        line = height * stage.between(0.24, 0.36)
        snow = Cut().polygon([(x, top - 2), *_zigzag(stage, x, top, line, height)])
        stage.canvas.paste(snow, mix(stage.palette.light, WHITE, 0.4), clip=whole)
        stage.canvas.paste(snow, mix(mix(tone, WHITE, 0.62), stage.palette.sky[1], 0.2), clip=dark)


def _zigzag(stage: Stage, x: float, top: float, line: float, height: float) -> list[Point]:
    reach, teeth = line * 1.25, 7
    return [
        (x + reach - 2 * reach * k / teeth, top + line + height * (0.09 if k % 2 else -0.03) * stage.between(0.6, 1.2))
        for k in range(teeth + 1)
    ]


def water(stage: Stage, level: float, sun_x: float) -> None:
    """A mirror below `level`: what stands above it upside down, darker, broken by bright lines."""
    depth = min(stage.height - round(level), round(level))
    stage.canvas.mirror(round(level), depth)
    tone = mix(stage.palette.depth(0.55), stage.palette.sky[1], 0.35)
    stage.canvas.paste(Cut().rectangle(0, level, stage.width, stage.height), tone, opacity=0.42)
    glints(stage, level, stage.height, sun_x)


def glints(stage: Stage, top: float, bottom: float, sun_x: float) -> None:
    """Bright lines on water, closest under the sun."""
    bright, broken = Cut(), Cut()
    y, unit = top + stage.unit * 0.8, stage.unit
    while y < bottom:
        share = (y - top) / max(bottom - top, 1)
        thick = unit * (0.35 + 0.75 * share)
        spread = unit * (4 + 13 * share)
        for _ in range(2):
            bright.capsule(sun_x + stage.between(-0.6, 0.6) * spread, y, spread * stage.between(0.5, 1.4), thick)
        for _ in range(round(2 * stage.repeats)):
            broken.capsule(stage.between(0, stage.width), y + thick, unit * stage.between(4, 16), thick * 0.8)
        y += thick * 2.7
    stage.canvas.paste(broken, stage.palette.light, opacity=0.22)
    stage.canvas.paste(bright, mix(stage.palette.sun, stage.palette.light, 0.45), opacity=0.72)
