"""Everything above the horizon, and what falls from it."""

import math

from imagejobs.providers.sketch.drawing.colours import WHITE, mix
from imagejobs.providers.sketch.drawing.cut import Cut
from imagejobs.providers.sketch.drawing.stage import Stage, Weather


def sky(stage: Stage, horizon: float, sun_x: float, sun_y: float, sun_radius: float) -> None:
    """Air, stars or clouds, and a sun or moon centred there."""
    stage.canvas.wash(stage.palette.sky, 0, horizon)
    stage.canvas.wash((stage.palette.sky[2],) * 2, horizon)
    if stage.palette.dark:
        stars(stage, horizon)
        moon(stage, sun_x, sun_y, sun_radius * 0.8)
    else:
        sun(stage, sun_x, sun_y, sun_radius)
    if stage.weather is not Weather.FOG:
        clouds(stage, horizon)


def stars(stage: Stage, horizon: float) -> None:
    """Dots of three sizes, a few of them with rays."""
    unit, small, large = stage.unit, Cut(), Cut()
    count = min(420, round(110 * stage.width * horizon / (100 * unit) ** 2))
    for _ in range(count):
        x, y = stage.between(0, stage.width), horizon * stage.between(0, 1) ** 1.4
        small.circle(x, y, max(unit * stage.chance.choice((0.14, 0.2, 0.3)), 0.5))
    for _ in range(max(3, count // 22)):
        _sparkle(large, stage.between(0, stage.width), horizon * stage.between(0.04, 0.6), unit * stage.between(0.9, 1.7))
    stage.canvas.paste(small, stage.palette.light, opacity=0.75)
    stage.canvas.paste(large, stage.palette.light)


def _sparkle(cut: Cut, x: float, y: float, size: float) -> None:
    thin = size * 0.16
    offsets = ((0, -size), (thin, -thin), (size, 0), (thin, thin), (0, size), (-thin, thin), (-size, 0), (-thin, -thin))
    cut.polygon([(x + dx, y + dy) for dx, dy in offsets])


def moon(stage: Stage, x: float, y: float, radius: float) -> None:
    """A full moon with its marks, or a crescent, in a glow."""
    canvas, light = stage.canvas, stage.palette.sun
    canvas.glow(x, y, radius * 4.2, mix(light, stage.palette.sky[2], 0.35), 0.55)
    if stage.chance.random() < 0.4:
        crescent = Cut().circle(x, y, radius).circle(x - radius * 0.42, y - radius * 0.16, radius * 0.86, solid=False)
        canvas.paste(crescent, light)
        return
    canvas.paste(Cut().circle(x, y, radius), light)
    marks = Cut()
    for dx, dy, size in ((-0.3, -0.25, 0.26), (0.35, 0.1, 0.18), (-0.1, 0.42, 0.2), (0.28, -0.45, 0.1)):
        marks.circle(x + dx * radius, y + dy * radius, size * radius)
    canvas.paste(marks, mix(light, stage.palette.sky[1], 0.2), clip=Cut().circle(x, y, radius))


def sun(stage: Stage, x: float, y: float, radius: float) -> None:
    """A disc with rays, with rings, or in a glow."""
    canvas, palette = stage.canvas, stage.palette
    style = stage.chance.choice(("rays", "rings", "rings", "glow", "glow"))
    if style == "rays":
        canvas.paste(_rays(x, y, math.hypot(stage.width, stage.height), stage.between(0, 1)), palette.light, opacity=0.2)
    if style == "rings":
        for ring, opacity in ((2.9, 0.14), (2.2, 0.18), (1.55, 0.26)):
            canvas.paste(Cut().circle(x, y, radius * ring), mix(palette.sun, WHITE, 0.25), opacity=opacity)
    canvas.glow(x, y, radius * 3.4, mix(palette.sun, palette.light, 0.5), 0.5)
    canvas.paste(Cut().circle(x, y, radius), palette.sun)


def _rays(x: float, y: float, reach: float, turn: float) -> Cut:
    cut, count = Cut(), 16
    for index in range(count):
        start = math.tau * (index + turn) / count
        end = start + math.pi / count
        cut.polygon(
            (
                (x, y),
                (x + reach * math.cos(start), y + reach * math.sin(start)),
                (x + reach * math.cos(end), y + reach * math.sin(end)),
            )
        )
    return cut


def clouds(stage: Stage, horizon: float) -> None:
    """Flat clouds of stacked bars; none in some pictures, thin and dark at night."""
    count = stage.chance.choice((0, 2, 3, 4)) * max(1, round(stage.width / (stage.unit * 160)))
    for _ in range(count):
        x, y = stage.between(0, stage.width), horizon * stage.between(0.1, 0.62)
        size = stage.unit * stage.between(11, 24)
        _cloud(stage, x, y, size)


def _cloud(stage: Stage, x: float, y: float, size: float) -> None:
    tint = stage.palette.sky[1] if stage.palette.dark else stage.palette.light
    thick = size * 0.16
    cut = Cut()
    for row, length in enumerate((0.55, 1.0, 0.72)):
        cut.capsule(x + size * stage.between(-0.22, 0.22), y + row * thick * 0.92, size * length * 1.4, thick)
    stage.canvas.paste(cut, tint, opacity=0.55 if stage.palette.dark else 0.72)


def birds(stage: Stage, x: float, y: float) -> None:
    """A small flock, far away."""
    cut, unit = Cut(), stage.unit
    for _ in range(stage.chance.choice((3, 4, 5))):
        bx, by, size = x + unit * stage.between(-9, 9), y + unit * stage.between(-5, 5), unit * stage.between(0.9, 1.7)
        for side in (-1, 1):
            cut.polygon(
                (
                    (bx, by),
                    (bx + side * size * 0.55, by - size * 0.62),
                    (bx + side * size * 1.3, by - size * 0.42),
                    (bx + side * size * 0.6, by - size * 0.36),
                    (bx, by + size * 0.28),
                )
            )
    stage.canvas.paste(cut, mix(stage.palette.depth(0.85), stage.palette.sky[1], 0.1))


def fall(stage: Stage) -> None:
    """Snow or rain over the finished scene."""
    if stage.weather is Weather.SNOW:
        _snow(stage)
    elif stage.weather is Weather.RAIN:
        _rain(stage)


def _snow(stage: Stage) -> None:
    flakes, unit = Cut(), stage.unit
    for _ in range(min(700, round(150 * stage.width * stage.height / (100 * unit) ** 2))):
        x, y = stage.between(0, stage.width), stage.between(0, stage.height)
        flakes.circle(x, y, max(0.5, unit * stage.chance.choice((0.22, 0.3, 0.3, 0.45, 0.7))))
    stage.canvas.paste(flakes, WHITE, opacity=0.85)


def _rain(stage: Stage) -> None:
    drops, unit = Cut(), stage.unit
    for _ in range(min(600, round(130 * stage.width * stage.height / (100 * unit) ** 2))):
        x, y, length = stage.between(0, stage.width * 1.1), stage.between(0, stage.height), unit * stage.between(2.5, 6)
        thin = max(0.35, unit * 0.13)
        drops.polygon(((x, y), (x + thin, y), (x + thin - length * 0.28, y + length), (x - length * 0.28, y + length)))
    stage.canvas.paste(drops, stage.palette.light, opacity=0.45)
