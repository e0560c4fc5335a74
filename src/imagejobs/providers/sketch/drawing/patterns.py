"""Pictures of nothing but shapes: tiles of quarter circles, and arches with a sun."""

import math
from collections.abc import Callable

from imagejobs.providers.sketch.drawing.colours import Colour, mix
from imagejobs.providers.sketch.drawing.cut import Cut, Frame
from imagejobs.providers.sketch.drawing.figures import Where
from imagejobs.providers.sketch.drawing.stage import Stage


def tiles(stage: Stage) -> None:
    """A grid of squares, each with one plain shape."""
    count = stage.chance.choice((4, 5, 6))
    columns = max(2, round(stage.width / (stage.unit * 100 / count)))
    rows = max(2, round(stage.height / (stage.unit * 100 / count)))
    wide, tall = stage.width / columns, stage.height / rows
    tones = _tones(stage)
    stage.canvas.wash((tones[0], tones[0]))
    last: Colour | None = None
    for row in range(rows):
        for column in range(columns):
            ground = stage.chance.choice([tone for tone in tones if tone != last])
            last = ground
            inks = [tone for tone in tones if tone != ground]
            _tile(stage, Tile(column * wide, row * tall, wide, tall), ground, stage.chance.sample(inks, 2))
    _with_figure(stage)


def _tones(stage: Stage) -> list[Colour]:
    palette = stage.palette
    return [
        palette.light,
        palette.sun,
        palette.accent,
        palette.depth(0.0),
        palette.depth(0.5),
        palette.depth(1.0),
        mix(palette.sky[2], palette.light, 0.3),
    ]
