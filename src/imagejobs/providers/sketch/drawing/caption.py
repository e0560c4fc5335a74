"""The paper around the picture, and what is printed on it."""

from dataclasses import dataclass

from PIL import Image

from imagejobs.providers.sketch.drawing.canvas import Canvas
from imagejobs.providers.sketch.drawing.colours import Colour, lightness, mix
from imagejobs.providers.sketch.drawing.cut import Cut
from imagejobs.providers.sketch.drawing.lettering import Face, readable, wrap
from imagejobs.providers.sketch.drawing.palettes import Palette

LABEL = "sketch"
_SMALLEST_WITH_TITLE = 160


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Where picture and print go on the paper, in pixels. `beside`: label and notes stand beside the title, not below."""

    width: int
    height: int
    margin: int
    strip: int
    title: Face
    label: Face
    small: Face
    lines: tuple[str, ...] = ()
    beside: bool = False
    tiny: bool = False

    @property
    def window(self) -> tuple[int, int]:
        """Size of the picture inside the paper."""
        return self.width - 2 * self.margin, self.height - self.margin - self.strip


def lay_out(prompt: str, width: int, height: int) -> Sheet:
    """Border and strip for a sheet of that size; no title on very small ones, one line on very wide ones."""
    short = min(width, height)
    if short < _SMALLEST_WITH_TITLE:
        return _tiny_sheet(width, height)
    margin = round(short * 0.045)
    beside = width > 2.2 * height
    title = Face(max(12.0, short * (0.05 if beside else 0.037)))
    small = Face(max(9.0, title.size * 0.6))
    label = Face(small.size, spacing=0.16)
    room = width - 2 * margin - (small.size * 26 if beside else 0)
    lines = tuple(wrap(readable(prompt), title, room, 1 if beside else 3 if height > 1.4 * width else 2))
    beside = beside and bool(lines)
    print_height = title.size * 1.2 * len(lines) + (0 if beside else small.size * 1.6)
    return Sheet(
        width=width,
        height=height,
        margin=margin,
        strip=round(margin * 1.34 + print_height),
        title=title,
        label=label,
        small=small,
        lines=lines,
        beside=beside,
    )


def _tiny_sheet(width: int, height: int) -> Sheet:
    short = min(width, height)
    face = Face(max(8.5, short * 0.1), spacing=0.12)
    strip = round(face.size * 1.5)
    return Sheet(
        width=width,
        height=height,
        margin=max(2, round(short * 0.045)),
        strip=strip,
        title=face,
        label=face,
        small=face,
        tiny=True,
    )


def mount(sheet: Sheet, canvas: Canvas, palette: Palette, notes: tuple[str, ...]) -> Image.Image:
    """The finished sheet: the picture sunk into the paper, the words below it."""
    _sink(canvas, palette)
    paper = Image.new("RGB", (sheet.width, sheet.height), palette.paper)
    paper.paste(canvas.image, (sheet.margin, sheet.margin))
    if sheet.tiny:
        middle = (sheet.width - sheet.label.length(LABEL)) / 2, sheet.height - sheet.strip / 2
        sheet.label.print(paper, middle, LABEL, _accent(palette))
        return paper
    top, line_height = sheet.height - sheet.strip + sheet.margin * 0.62, sheet.title.size * 1.2
    for index, line in enumerate(sheet.lines):
        sheet.title.print(paper, (sheet.margin, top + line_height * (index + 0.5)), line, palette.ink)
    y = top + line_height * 0.5 if sheet.beside else top + line_height * len(sheet.lines) + sheet.small.size * 0.95
    _print_small(paper, sheet, palette, notes, y)
    return paper


def _sink(canvas: Canvas, palette: Palette) -> None:
    """The edge of the paper throws a shadow on the picture."""
    reach = min(canvas.width, canvas.height) * 0.022
    rim = Cut().rectangle(-4 * reach, -4 * reach, canvas.width + 4 * reach, canvas.height + 4 * reach)
    rim.polygon(((0, 0), (canvas.width, 0), (canvas.width, canvas.height), (0, canvas.height)), solid=False)
    canvas.shade(rim, mix(palette.ink, (0, 0, 0), 0.3), radius=reach, strength=0.5, drop=-reach * 0.4)


def _accent(palette: Palette) -> Colour:
    """The accent, dark enough for print."""
    return mix(palette.accent, palette.ink, 0.45 if lightness(palette.accent) > 0.7 else 0.12)


def _print_small(paper: Image.Image, sheet: Sheet, palette: Palette, notes: tuple[str, ...], y: float) -> None:
    """The label, and as many of the notes as there is room for, the first ones first."""
    left, right, gap = sheet.margin, sheet.width - sheet.margin, sheet.small.size * 1.5
    label_length = sheet.label.length(LABEL)
    label_x = right - label_length if sheet.beside else left
    sheet.label.print(paper, (label_x, y), LABEL, _accent(palette))
    if sheet.beside:
        taken, notes_end = sheet.title.length(sheet.lines[0]), label_x - gap
    else:
        taken, notes_end = label_length, right
    room = notes_end - left - taken - gap
    fitting = (" / ".join(notes[:count]) for count in range(len(notes), 0, -1))
    shown = next((text for text in fitting if sheet.small.length(text) <= room), "")
    if shown:
        place = (notes_end - sheet.small.length(shown), y)
        sheet.small.print(paper, place, shown, mix(palette.ink, palette.paper, 0.35))
