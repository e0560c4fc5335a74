"""The paper around the picture, and what is printed on it."""

from dataclasses import dataclass

from PIL import Image, ImageDraw

from imagejobs.providers.sketch.drawing.canvas import Canvas
from imagejobs.providers.sketch.drawing.colours import Colour, lightness, mix
from imagejobs.providers.sketch.drawing.cut import Cut
from imagejobs.providers.sketch.drawing.lettering import Font, fit, font, readable, wrap
from imagejobs.providers.sketch.drawing.palettes import Palette

LABEL = "sketch"
_SMALLEST_WITH_TITLE = 160


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Where picture and print go on the paper, in pixels."""

    width: int
    height: int
    margin: int
    strip: int
    title: Font
    small: Font
    lines: tuple[str, ...]
    beside: bool

    @property
    def window(self) -> tuple[int, int]:
        """Size of the picture inside the paper."""
        return self.width - 2 * self.margin, self.height - self.margin - self.strip


def lay_out(prompt: str, width: int, height: int) -> Sheet:
    """Border and strip for a sheet of that size; no title on very small ones, one line on very wide ones."""
    short = min(width, height)
    if short < _SMALLEST_WITH_TITLE:
        face = font(max(8.0, short * 0.1))
        margin = max(2, round(short * 0.045))
        return Sheet(
            width=width, height=height, margin=margin, strip=round(face.size * 1.55), title=face, small=face, lines=(), beside=False
        )
    margin = round(short * 0.045)
    beside = width > 2.2 * height
    title = font(max(12.0, short * (0.05 if beside else 0.037)))
    small = font(max(9.0, title.size * 0.6))
    inner = width - 2 * margin
    allowed = 1 if beside else 3 if height > 1.4 * width else 2
    room = inner - (small.getlength("M") * 26 if beside else 0)
    lines = tuple(wrap(readable(prompt), title, room, allowed))
    print_height = title.size * 1.2 * len(lines) + (0 if beside and lines else small.size * 1.6)
    strip = round(margin * 0.62 + print_height + margin * 0.72)
    return Sheet(
        width=width, height=height, margin=margin, strip=strip, title=title, small=small, lines=lines, beside=beside and bool(lines)
    )


def mount(sheet: Sheet, canvas: Canvas, palette: Palette, notes: tuple[str, ...]) -> Image.Image:
    """The finished sheet: the picture sunk into the paper, the words below it."""
    _sink(canvas, palette)
    paper = Image.new("RGB", (sheet.width, sheet.height), palette.paper)
    paper.paste(canvas.image, (sheet.margin, sheet.margin))
    pen = ImageDraw.Draw(paper)
    if not sheet.lines and sheet.title is sheet.small:
        _stamp(pen, sheet, palette, sheet.width / 2 - _spaced_length(sheet.small) / 2, sheet.height - sheet.strip / 2)
        return paper
    top = sheet.height - sheet.strip + sheet.margin * 0.62
    for index, line in enumerate(sheet.lines):
        middle = top + sheet.title.size * 1.2 * (index + 0.5)
        pen.text((sheet.margin, middle), line, font=sheet.title, fill=palette.ink, anchor="lm")
    if sheet.beside:
        middle = top + sheet.title.size * 0.6
        _stamp(pen, sheet, palette, sheet.width - sheet.margin - _spaced_length(sheet.small), middle)
        _notes(pen, sheet, palette, notes, sheet.width - sheet.margin - _spaced_length(sheet.small) - sheet.small.size, middle)
    else:
        middle = top + sheet.title.size * 1.2 * len(sheet.lines) + sheet.small.size * 0.95
        _stamp(pen, sheet, palette, sheet.margin, middle)
        _notes(pen, sheet, palette, notes, sheet.width - sheet.margin, middle)
    return paper


def _sink(canvas: Canvas, palette: Palette) -> None:
    """The edge of the paper throws a shadow on the picture."""
    reach = min(canvas.width, canvas.height) * 0.022
    rim = Cut().rectangle(-4 * reach, -4 * reach, canvas.width + 4 * reach, canvas.height + 4 * reach)
    rim.polygon(((0, 0), (canvas.width, 0), (canvas.width, canvas.height), (0, canvas.height)), solid=False)
    canvas.shade(rim, mix(palette.land[2], (0, 0, 0), 0.4), radius=reach, strength=0.5, drop=-reach * 0.4)


def _accent(palette: Palette) -> Colour:
    """The accent, dark enough for print."""
    return mix(palette.accent, palette.ink, 0.45 if lightness(palette.accent) > 0.7 else 0.12)


def _spacing(face: Font) -> float:
    return face.size * 0.16


def _spaced_length(face: Font) -> float:
    return sum(face.getlength(letter) + _spacing(face) for letter in LABEL) - _spacing(face)


def _stamp(pen: ImageDraw.ImageDraw, sheet: Sheet, palette: Palette, x: float, y: float) -> None:
    """The label, widely spaced, in the accent colour."""
    for letter in LABEL:
        pen.text((x, y), letter, font=sheet.small, fill=_accent(palette), anchor="lm")
        x += sheet.small.getlength(letter) + _spacing(sheet.small)


def _notes(pen: ImageDraw.ImageDraw, sheet: Sheet, palette: Palette, notes: tuple[str, ...], right: float, y: float) -> None:
    """As many of the notes as there is room for, the first ones first, against the right edge."""
    left = sheet.margin + (sheet.title.getlength(sheet.lines[0]) if sheet.beside else _spaced_length(sheet.small))
    room = right - left - sheet.small.size * 1.5
    shown = ""
    for note in notes:
        longer = f"{shown} / {note}" if shown else note
        if sheet.small.getlength(longer) > room:
            break
        shown = longer
    if shown:
        pen.text((right, y), fit(shown, sheet.small, room), font=sheet.small, fill=mix(palette.ink, palette.paper, 0.35), anchor="rm")
