"""Text for the caption: what the built-in font can draw, broken into lines that fit."""

import math
import unicodedata

from PIL import Image, ImageDraw, ImageFont

from imagejobs.providers.sketch.drawing.colours import Colour

FONT_CHARACTERS = frozenset(map(chr, range(0x20, 0x7F))) | frozenset("©«°»\u2018\u2019“”…\u2039\u203a")
NO_LETTERS = "(words in a script this font does not have)"

_SPELLED = str.maketrans(
    dict(zip("łŁđĐøØðþ\u0131", "lLdDoOdpi", strict=True))
    | {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "€": "EUR ", "→": "->", "\u00d7": "x"}
    | dict.fromkeys("\u2010\u2011\u2013\u2014\u2212•·", "-")  # hyphens, dashes, minus, dots
    | {"„": "“", "\u201a": "\u2018", "\u2032": "\u2019", "″": "”"}
)
_LONGEST_SET = 600


class Face:
    """Pillow's own scalable font at one size; `spacing` is added after each letter, as a share of the size."""

    def __init__(self, size: float, spacing: float = 0.0) -> None:
        self.size = size
        self._spacing = spacing * size
        self._scale = 4 if size < 24 else 2 if size < 60 else 1  # small type is uneven unless it is reduced from large
        font = ImageFont.load_default(size * self._scale)
        assert isinstance(font, ImageFont.FreeTypeFont)  # what Pillow loads where a size is given
        self._font = font

    def length(self, text: str) -> float:
        """How wide the text comes out, in pixels."""
        return self._font.getlength(text) / self._scale + self._spacing * max(len(text) - 1, 0)

    def print(self, image: Image.Image, place: tuple[float, float], text: str, colour: Colour) -> None:
        """Set the text so that it starts at `place`, half of it above and half below."""
        scale, pad = self._scale, math.ceil(self.size * 0.2)
        wide, tall = math.ceil(self.length(text)) + 2 * pad, math.ceil(self.size * 1.5)
        mask = Image.new("L", (wide * scale, tall * scale))
        pen = ImageDraw.Draw(mask)
        x = float(pad * scale)
        for piece in text if self._spacing else (text,):
            pen.text((x, tall * scale / 2), piece, font=self._font, fill=255, anchor="lm")
            x += self._font.getlength(piece) + self._spacing * scale
        image.paste(colour, (round(place[0]) - pad, round(place[1] - tall / 2)), mask.reduce(scale))


def readable(text: str) -> str:
    """The text in characters the font has: accents dropped, the rest left out, spaces single."""
    spelled = unicodedata.normalize("NFKD", text[: _LONGEST_SET * 4].translate(_SPELLED))
    kept = "".join(
        char if char in FONT_CHARACTERS else " " if char.isspace() or char == "\u200b" else "" for char in spelled
    )
    plain = " ".join(kept.split())[:_LONGEST_SET]
    if any(char.isalnum() for char in plain) or not text.strip():
        return plain
    return NO_LETTERS


def fit(text: str, face: Face, width: float) -> str:
    """The text on one line, cut off with an ellipsis where it must be; nothing where not even that fits."""
    if face.length(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if face.length(text[:middle].rstrip() + "…") <= width else (low, middle - 1)
    return text[:low].rstrip(" ,;:-") + "…" if low else ""


def wrap(text: str, face: Face, width: float, lines: int) -> list[str]:
    """The text on at most so many lines, about equally long; words that are too long are broken."""
    full = _broken(text, face, width, lines)
    if len(full) < 2 or not _is_whole(full, text):
        return full
    narrower = (_broken(text, face, width * share, lines) for share in (0.55, 0.65, 0.75, 0.85))
    return next((tried for tried in narrower if len(tried) == len(full) and _is_whole(tried, text)), full)


def _is_whole(lines: list[str], text: str) -> bool:
    return "".join(lines).replace(" ", "") == text.replace(" ", "")


def _broken(text: str, face: Face, width: float, lines: int) -> list[str]:
    done: list[str] = []
    rest = text
    while rest and len(done) < lines - 1:
        line = _head(rest, face, width)
        done.append(line)
        rest = rest[len(line) :].lstrip()
    return [line for line in (*done, fit(rest, face, width)) if line]


def _head(text: str, face: Face, width: float) -> str:
    """As many whole words as fit, at least one character."""
    if face.length(text) <= width:
        return text
    count = max(1, _fitting(text, face, width))
    space = text.rfind(" ", 0, count + 1)
    return text[:space] if space > 0 else text[:count]


def _fitting(text: str, face: Face, width: float) -> int:
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if face.length(text[:middle]) <= width else (low, middle - 1)
    return low
