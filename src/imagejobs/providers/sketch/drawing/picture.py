"""From words, a number and a size to the bytes of a picture; equal ones give equal bytes."""

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from imagejobs.providers.sketch.drawing import palettes, patterns, places, scenes
from imagejobs.providers.sketch.drawing.canvas import Canvas
from imagejobs.providers.sketch.drawing.caption import lay_out, mount
from imagejobs.providers.sketch.drawing.figures import Where
from imagejobs.providers.sketch.drawing.palettes import Mood
from imagejobs.providers.sketch.drawing.sky import fall
from imagejobs.providers.sketch.drawing.stage import Stage
from imagejobs.providers.sketch.drawing.words import Reading, read

_SCENES: Mapping[str, Callable[[Stage], None]] = MappingProxyType(
    {
        "hills": scenes.hills,
        "meadow": scenes.meadow,
        "forest": scenes.forest,
        "mountains": scenes.mountains,
        "lake": scenes.lake,
        "sea": places.sea,
        "desert": places.desert,
        "city": places.city,
        "space": places.space,
        "tiles": patterns.tiles,
        "arches": patterns.arches,
    }
)
_MOODS: Mapping[str, tuple[Mood, ...]] = MappingProxyType(
    {
        "hills": (Mood.DAY, Mood.DAWN, Mood.SUNSET, Mood.AUTUMN, Mood.SPRING, Mood.PASTEL, Mood.BOLD),
        "meadow": (Mood.SPRING, Mood.SPRING, Mood.DAY, Mood.AUTUMN, Mood.DAWN),
        "forest": (Mood.FOREST, Mood.FOREST, Mood.FOREST, Mood.AUTUMN, Mood.FOG),
        "mountains": (Mood.DAY, Mood.DAWN, Mood.SUNSET, Mood.NIGHT, Mood.PASTEL, Mood.FOG),
        "lake": (Mood.DAY, Mood.DAWN, Mood.SUNSET, Mood.NIGHT, Mood.AUTUMN, Mood.FOG),
        "sea": (Mood.SEA, Mood.SEA, Mood.SEA, Mood.SUNSET),
        "desert": (Mood.DESERT,),
        "city": (Mood.CITY, Mood.CITY, Mood.NEON, Mood.NIGHT, Mood.SUNSET),
        "space": (Mood.SPACE,),
        "tiles": (Mood.BOLD, Mood.BOLD, Mood.DAY, Mood.PASTEL, Mood.SEA),
        "arches": (Mood.BOLD, Mood.AUTUMN, Mood.DAY, Mood.DAWN, Mood.DESERT),
    }
)
_ANY_SCENE = ("hills", "meadow", "forest", "mountains", "sea", "hills", "mountains", "arches", "tiles", "city")
_WITH_WATER = ("sea", "lake", "city", "tiles", "arches")
_DARK_MOODS = (Mood.SPACE, Mood.NIGHT, Mood.NEON)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to draw. `notes` are printed small beside the caption; edges are 64 to 4096 pixels."""

    prompt: str
    seed: int
    width: int
    height: int
    notes: tuple[str, ...] = ()


def draw(wish: Wish, marks: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """A PNG; `marks` become its first text chunks."""
    return _encoded(_painted(wish), {**marks, "Software": "imagejobs sketch"})


def _painted(wish: Wish) -> Image.Image:
    chance = _chance(wish)
    reading = read(wish.prompt)
    scene = _scene(reading, chance)
    palette = palettes.choose(_mood(reading, scene, chance), chance)
    sheet = lay_out(wish.prompt, wish.width, wish.height)
    canvas = Canvas(*sheet.window)
    stage = Stage(
        canvas=canvas, palette=palette, chance=chance, weather=reading.weather, figure=reading.figure, coat=reading.coat
    )
    _SCENES[scene](stage)
    fall(stage)
    canvas.grain(chance)
    return mount(sheet, canvas, palette, (f"seed {wish.seed}", f"{wish.width} x {wish.height}", *wish.notes))


def _chance(wish: Wish) -> Random:
    """Chance that belongs to prompt and seed, and so is none."""
    digest = hashlib.sha256(f"{wish.seed}\n{wish.prompt}".encode("utf-8", "surrogatepass")).digest()
    return Random(int.from_bytes(digest[:16], "big"))  # noqa: S311 -- a drawing, not a secret


def _scene(reading: Reading, chance: Random) -> str:
    anywhere = chance.choice(_ANY_SCENE)
    figure = reading.figure
    scene = reading.scene or (figure.home if figure else anywhere)
    if figure and figure.where is Where.WATER and scene not in _WITH_WATER:
        return "lake" if scene == "mountains" else "sea"
    return scene


def _mood(reading: Reading, scene: str, chance: Random) -> Mood:
    usual = chance.choice(_MOODS[scene])
    if scene == "space":
        return reading.mood if reading.mood in _DARK_MOODS else usual
    return reading.mood or usual


def _encoded(image: Image.Image, texts: Mapping[str, str]) -> bytes:
    chunks = PngInfo()
    for key, text in texts.items():
        chunks.add_text(key, text)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=chunks, compress_level=2)
    return buffer.getvalue()
