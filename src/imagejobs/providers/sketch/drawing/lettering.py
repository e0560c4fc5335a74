"""Text for the caption: what the built-in font can draw, broken into lines that fit."""

import unicodedata

from PIL import ImageFont

FONT_CHARACTERS = frozenset(map(chr, range(0x20, 0x7F))) | frozenset("©«°»‘’“”…‹›")
NO_LETTERS = "(words in a script this font does not have)"

_SPELLED = str.maketrans(
    {
        "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
        "ð": "d", "þ": "th", "ı": "i", "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "×": "x", "•": "-", "·": "-",
        "„": "“", "‚": "‘", "′": "’", "″": "”", "→": "->", "€": "EUR ", "¿": "", "¡": "",
    }
)  # fmt: skip
_LONGEST_SET = 600

Font = ImageFont.FreeTypeFont


def font(size: float) -> Font:
    """Pillow's own scalable font."""
    loaded = ImageFont.load_default(size)
    if not isinstance(loaded, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType, which sketch needs to set text")
    return loaded


def readable(text: str) -> str:
    """The text in characters the font has: accents dropped, the rest left out, spaces single."""
    spelled = unicodedata.normalize("NFKD", text[: _LONGEST_SET * 4].translate(_SPELLED))
    kept = "".join(char if char in FONT_CHARACTERS else " " if char.isspace() or char == "\u200b" else "" for char in spelled)
    plain = " ".join(kept.split())[:_LONGEST_SET]
    if any(char.isalnum() for char in plain) or not text.strip():
        return plain
    return NO_LETTERS


def fit(text: str, face: Font, width: float) -> str:
    """The text on one line, cut off with an ellipsis where it must be; nothing where not even that fits."""
    if face.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if face.getlength(text[:middle].rstrip() + "…") <= width else (low, middle - 1)
    return text[:low].rstrip(" ,;:-") + "…" if low else ""


def wrap(text: str, face: Font, width: float, lines: int) -> list[str]:
    """The text on at most so many lines, about equally long; words that are too long are broken."""
    full = _broken(text, face, width, lines)
    if len(full) < 2 or full[-1].endswith("…"):
        return full
    narrower = (_broken(text, face, width * share, lines) for share in (0.55, 0.65, 0.75, 0.85))
    return next((tried for tried in narrower if len(tried) == len(full) and not tried[-1].endswith("…")), full)


def _broken(text: str, face: Font, width: float, lines: int) -> list[str]:
    done: list[str] = []
    rest = text
    while rest and len(done) < lines - 1:
        line = _head(rest, face, width)
        done.append(line)
        rest = rest[len(line) :].lstrip()
    return [line for line in (*done, fit(rest, face, width)) if line]


def _head(text: str, face: Font, width: float) -> str:
    """As many whole words as fit, at least one character."""
    if face.getlength(text) <= width:
        return text
    count = max(1, _fitting(text, face, width))
    space = text.rfind(" ", 0, count + 1)
    return text[:space] if space > 0 else text[:count]


def _fitting(text: str, face: Font, width: float) -> int:
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if face.getlength(text[:middle]) <= width else (low, middle - 1)
    return low
