"""The picture while it is made: paper pasted on paper, each piece cut with smooth edges."""

import math
from collections.abc import Sequence
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from imagejobs.providers.sketch.drawing.colours import BLACK, WHITE, Colour, Fill, Gradient, along
from imagejobs.providers.sketch.drawing.cut import Cut

_GRAIN = 256
_LIGHT_SPECKS = [20 if value < 11 else 0 for value in range(256)]
_DARK_SPECKS = [16 if value > 244 else 0 for value in range(256)]
_GLOW_EDGE = 179  # what Pillow's radial gradient reaches in the middle of its sides; its corners are at 255

PixelBox = tuple[int, int, int, int]


class Canvas:
    """A picture of `width` by `height` pixels. Shapes are drawn several times too large and reduced."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.image = Image.new("RGB", (width, height))
        self._scale = 4 if width * height <= 120_000 else 3 if width * height <= 500_000 else 2

    def wash(self, stops: Sequence[Colour], top: float = 0.0, bottom: float | None = None) -> None:
        """Fill the full width from `top` to `bottom` with the colours, evenly spread."""
        first, last = max(0, round(top)), min(self.height, round(self.height if bottom is None else bottom))
        if last > first:
            self.image.paste(_rows(stops, self.width, last - first), (0, first))

    def paste(self, cut: Cut, fill: Fill, *, opacity: float = 1.0, clip: Cut | None = None) -> None:
        """Paste the piece; only where `clip` is too, if given."""
        box = self._box(cut, 0)
        if box is None:
            return
        mask = self._mask(cut, box)
        if clip is not None:
            mask = ImageChops.multiply(mask, self._mask(clip, box))
        if opacity < 1:
            mask = mask.point([round(value * opacity) for value in range(256)])
        self._lay(fill, box, mask)

    def shade(self, cut: Cut, colour: Colour, *, radius: float, strength: float, drop: float = 0.0) -> None:
        """Let the piece, not yet pasted, throw a soft shadow on what lies behind it."""
        reach = math.ceil(radius * 2)
        box = self._box(cut, reach)
        if box is None or radius < 0.8:
            return
        step = max(1, round(radius / 3))
        small = ((box[2] - box[0]) // step + 1, (box[3] - box[1]) // step + 1)
        mask = Image.new("L", small)
        pen = ImageDraw.Draw(mask)
        _trace(pen, cut, (box[0], box[1] - drop), 1 / step)
        soft = mask.filter(ImageFilter.GaussianBlur(radius / step)).point([round(v * strength) for v in range(256)])
        size = (small[0] * step, small[1] * step)
        self._lay(colour, (box[0], box[1], box[0] + size[0], box[1] + size[1]), soft.resize(size, Image.Resampling.BILINEAR))

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Light that fades from the centre outward."""
        size = max(2, round(radius * 2))
        fade = [round(255 * strength * max(0.0, 1 - value / _GLOW_EDGE) ** 2) for value in range(256)]
        mask = Image.radial_gradient("L").point(fade).resize((size, size), Image.Resampling.BILINEAR)
        left, top = round(x) - size // 2, round(y) - size // 2
        self._lay(colour, (left, top, left + size, top + size), mask)

    def mirror(self, level: int, depth: int) -> None:
        """Put the `depth` rows above `level` upside down below it."""
        above = self.image.crop((0, level - depth, self.width, level))
        self.image.paste(above.transpose(Image.Transpose.FLIP_TOP_BOTTOM), (0, level))

    def grain(self, chance: Random) -> None:
        """Fine light and dark specks, as of print on rough paper; coarser on large pictures, so that files stay small."""
        noise = Image.frombytes("L", (_GRAIN, _GRAIN), chance.randbytes(_GRAIN * _GRAIN))
        size = max(1, round(math.sqrt(self.width * self.height) / 700))
        tile = noise.resize((_GRAIN * size, _GRAIN * size), Image.Resampling.NEAREST)
        for colour, specks in ((WHITE, tile.point(_LIGHT_SPECKS)), (BLACK, tile.point(_DARK_SPECKS))):
            for top in range(0, self.height, tile.height):
                for left in range(0, self.width, tile.width):
                    self.image.paste(colour, (left, top, left + tile.width, top + tile.height), specks)

    def _box(self, cut: Cut, margin: int) -> PixelBox | None:
        left, top, right, bottom = cut.bounds()
        box = (
            max(math.floor(left) - 1 - margin, -margin),
            max(math.floor(top) - 1 - margin, -margin),
            min(math.ceil(right) + 1 + margin, self.width + margin),
            min(math.ceil(bottom) + 1 + margin, self.height + margin),
        )
        return box if box[2] > box[0] and box[3] > box[1] else None

    def _mask(self, cut: Cut, box: PixelBox) -> Image.Image:
        scale = self._scale
        mask = Image.new("L", ((box[2] - box[0]) * scale, (box[3] - box[1]) * scale))
        _trace(ImageDraw.Draw(mask), cut, (box[0], box[1]), scale)
        return mask.reduce(scale)

    def _lay(self, fill: Fill, box: PixelBox, mask: Image.Image) -> None:
        if isinstance(fill, Gradient):
            self.image.paste(_rows(fill, box[2] - box[0], box[3] - box[1]), box, mask)
        else:
            self.image.paste(fill, box, mask)


def _trace(pen: ImageDraw.ImageDraw, cut: Cut, origin: tuple[float, float], scale: float) -> None:
    left, top = origin
    for outline in cut.outlines:
        points = [((x - left) * scale, (y - top) * scale) for x, y in outline.points]
        ink = 255 if outline.solid else 0
        if outline.round:
            pen.ellipse(points, fill=ink)
        else:
            pen.polygon(points, fill=ink)


def _rows(stops: Sequence[Colour], width: int, height: int) -> Image.Image:
    """A vertical gradient."""
    steps = min(height, 8 * (len(stops) - 1) + 1)
    column = b"".join(bytes(along(stops, step / max(steps - 1, 1))) for step in range(steps))
    smooth = Image.frombytes("RGB", (1, steps), column).resize((1, height), Image.Resampling.BILINEAR)
    return smooth.resize((width, height), Image.Resampling.NEAREST)
