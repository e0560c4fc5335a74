"""What a picture can be of: figures drawn as paths, 100 units tall, standing at (50, 100)."""

from dataclasses import dataclass
from enum import StrEnum

from imagejobs.providers.sketch.drawing.colours import BLACK, WHITE, Colour, mix
from imagejobs.providers.sketch.drawing.palettes import Palette


class Where(StrEnum):
    """What a figure stands on, swims in, or flies through."""

    GROUND = "ground"
    WATER = "water"
    SKY = "sky"


class Tone(StrEnum):
    """The role of a part's colour; what it comes to depends on figure and palette."""

    MAIN = "main"
    SHADE = "shade"  # the main colour in shadow
    TINT = "tint"  # the main colour in light
    PALE = "pale"
    DARK = "dark"
    ACCENT = "accent"
    GLOW = "glow"
    LEAF = "leaf"
    SKIN = "skin"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """`parts` are painted in order; `scale` is its size beside the others; `home` the scene it is at home in."""

    name: str
    home: str
    colour: Colour
    parts: tuple[tuple[Tone, str], ...]
    where: Where = Where.GROUND
    scale: float = 1.0


def tone_of(tone: Tone, figure: Figure, palette: Palette, coat: Colour | None) -> Colour:
    """The colour of a part, with some of the picture's air in it."""
    main = coat or figure.colour
    plain = {
        Tone.MAIN: main,
        Tone.SHADE: mix(main, BLACK, 0.24),
        Tone.TINT: mix(main, WHITE, 0.3),
        Tone.PALE: (250, 243, 228),
        Tone.DARK: palette.ink,
        Tone.ACCENT: palette.accent,
        Tone.GLOW: (255, 214, 120),
        Tone.LEAF: mix(palette.land[1], (74, 128, 92), 0.6),
        Tone.SKIN: (231, 178, 143),
    }[tone]
    if tone is Tone.GLOW:
        return plain
    return mix(plain, palette.land[1] if palette.dark else palette.sky[2], 0.24 if palette.dark else 0.08)


def both(path: str) -> str:
    """The path, and its mirror image across x = 50."""
    words = path.split()
    mirrored, letter, place = [], "", 0
    for word in words:
        if word.isalpha():
            letter, place = word, 0
            mirrored.append(word)
            continue
        is_across = place == 0 if letter == "O" else place % 2 == 0
        mirrored.append(f"{100 - float(word):g}" if is_across else word)
        place += 1
    return f"{path} {' '.join(mirrored)}"
