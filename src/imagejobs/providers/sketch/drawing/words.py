"""What a prompt asks for, as far as single words tell: a place, a mood, weather, a figure, its colour."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from imagejobs.providers.sketch.drawing.colours import Colour, rgb
from imagejobs.providers.sketch.drawing.figures import Figure
from imagejobs.providers.sketch.drawing.menagerie import BEAR, BIRD, CAT, DEER, DOG, FISH, FOX, OWL, RABBIT, WHALE, WOLF
from imagejobs.providers.sketch.drawing.palettes import Mood
from imagejobs.providers.sketch.drawing.stage import Weather
from imagejobs.providers.sketch.drawing.things import (
    BALLOON,
    BOAT,
    CAR,
    CASTLE,
    CUP,
    FLOWER,
    HOUSE,
    LIGHTHOUSE,
    ROBOT,
    ROCKET,
    TENT,
    TREE,
    WANDERER,
)

Meaning = TypeVar("Meaning")


def _table(*rows: tuple[Meaning, str]) -> Mapping[str, Meaning]:
    """Each word of each row, and what it means."""
    return MappingProxyType({word: meaning for meaning, words in rows for word in words.split()})


FIGURES = _table(
    (FOX, "fox vixen fuchs renard zorro volpe"),
    (WOLF, "wolf wolves husky loup lobo lupo"),
    (CAT, "cat kitten kitty tomcat panther katze gato gatto"),
    (DOG, "dog puppy hound corgi terrier hund chien perro"),
    (RABBIT, "rabbit bunny hare hase lapin conejo"),
    (BEAR, "bear panda grizzly teddy ours oso orso"),
    (OWL, "owl eule hibou buho gufo"),
    (BIRD, "bird sparrow robin finch parrot raven crow vogel oiseau pajaro uccello"),
    (WHALE, "whale orca wal baleine ballena balena"),
    (FISH, "fish goldfish koi salmon poisson pez pesce"),
    (DEER, "deer stag reindeer elk fawn hirsch cerf ciervo"),
    (HOUSE, "house cottage cabin hut barn farmhouse haus maison casa"),
    (CASTLE, "castle palace fortress schloss chateau castillo castello"),
    (LIGHTHOUSE, "lighthouse beacon leuchtturm phare faro"),
    (BOAT, "boat ship sailboat yacht sail sailing boot bateau barco barca"),
    (BALLOON, "balloon airship ballon globo"),
    (ROCKET, "rocket spaceship spacecraft shuttle rakete fusee cohete"),
    (ROBOT, "robot android cyborg droid mech"),
    (
        WANDERER,
        (
            "person man woman girl boy child hero heroine wanderer traveler traveller detective "
            "knight king queen wizard witch portrait character warrior soldier hiker father mother actor actress "
            "mann frau homme femme hombre mujer"
        ),
    ),
    (CAR, "car taxi automobile truck van auto voiture coche"),
    (TREE, "tree oak maple baum arbre arbol albero"),
    (FLOWER, "flower rose tulip daisy sunflower poppy orchid blume fleur flor fiore"),
    (TENT, "tent camp camping campsite zelt tente"),
    (CUP, "coffee cup tea mug espresso cappuccino teacup kaffee cafe"),
)

SCENES = _table(
    (
        "sea",
        ("sea ocean beach coast wave bay harbor harbour island lagoon surf underwater pirate meer mer mar mare playa plage"),
    ),
    ("forest", "forest wood woodland jungle woods pine grove wald foret bosque foresta"),
    ("mountains", "mountain alps peak summit cliff glacier volcano berg montagne montana"),
    ("lake", "lake fjord pond tarn lac lago"),
    (
        "city",
        ("city town street skyline downtown tokyo york paris london building skyscraper market stadt ville ciudad rooftop"),
    ),
    ("desert", "desert dune sahara canyon cactus camel oasis savanna western wueste"),
    ("space", ("space planet galaxy cosmos moonscape astronaut alien saturn mars jupiter orbit universe nebula weltraum")),
    ("meadow", "meadow field garden farm countryside picnic village lawn prairie wiese jardin campo"),
    ("hills", "hill valley landscape road path vineyard land tal colline"),
    ("tiles", ("abstract geometric pattern bauhaus mosaic tile cubist cubism quilt logo icon kaleidoscope wallpaper")),
    ("arches", "rainbow arch boho shapes collage composition poster minimal minimalist dream music jazz"),
)

MOODS = _table(
    (Mood.NIGHT, ("night midnight moon moonlight moonlit star starry stars dark nocturnal aurora nacht nuit noche notte")),
    (Mood.SUNSET, "sunset dusk evening twilight golden fire flame lava burning ember volcano abend coucher"),
    (Mood.DAWN, "dawn sunrise morning daybreak morgen aube"),
    (Mood.NEON, "neon cyberpunk nightclub synthwave vaporwave futuristic"),
    (
        Mood.WINTER,
        ("snow snowy winter ice icy frozen frost christmas blizzard arctic glacier polar schnee neige nieve neve"),
    ),
    (Mood.AUTUMN, "autumn fall harvest october autumnal pumpkin herbst automne otono"),
    (Mood.SPRING, "spring blossom cherry easter bloom fruehling printemps primavera"),
    (Mood.FOG, "fog foggy mist misty haze hazy nebel brume niebla"),
    (Mood.STORM, "storm stormy rain rainy thunder lightning gloomy regen pluie lluvia noir"),
    (Mood.DAY, "day sunny noon summer sommer ete verano sunshine"),
    (Mood.PASTEL, "pastel cute soft gentle cosy cozy baby kawaii"),
    (Mood.BOLD, "bold retro vintage midcentury poster pop"),
)

WEATHERS = _table(
    (Weather.SNOW, "snow snowy snowing winter blizzard christmas arctic schnee neige nieve neve"),
    (Weather.RAIN, "rain rainy raining storm stormy thunder regen pluie lluvia"),
    (Weather.FOG, "fog foggy mist misty haze hazy nebel brume niebla"),
)

COATS = _table(
    (rgb("D2453A"), "red crimson scarlet ruby rot rouge rojo rosso"),
    (rgb("2F6FA8"), "blue azure navy cobalt blau bleu azul"),
    (rgb("4C9A5B"), "green emerald gruen vert verde"),
    (rgb("EFB93A"), "yellow amber gelb jaune amarillo"),
    (rgb("E8803A"), "orange ginger"),
    (rgb("EB8FA8"), "pink"),
    (rgb("7E5AA6"), "purple violet lilac lila"),
    (rgb("F4EFE4"), "white ivory weiss blanc blanco bianco"),
    (rgb("34333D"), "black schwarz noir negro nero"),
    (rgb("8C9299"), "gray grey silver grau gris"),
    (rgb("7A5238"), "brown chestnut braun"),
    (rgb("2A9D8F"), "teal turquoise"),
    (rgb("D9A83F"), "gold"),
)

_TIMES = (Mood.NIGHT, Mood.SUNSET, Mood.DAWN, Mood.NEON)
_LONGEST_READ = 2_000


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was found; None where the words leave it open."""

    scene: str | None
    mood: Mood | None
    weather: Weather
    figure: Figure | None
    coat: Colour | None


def read(prompt: str) -> Reading:
    """The first word that means something decides, each kind for itself; a time of day outweighs a season."""
    words = _words(prompt)
    figure, coat = _figure(words)
    scenes = [scene for word in words if (scene := _lookup(word, SCENES)) is not None]
    return Reading(
        scene="lake" if "lake" in scenes else next(iter(scenes), None),
        mood=_mood(words),
        weather=_first(words, WEATHERS) or Weather.CLEAR,
        figure=figure,
        coat=coat,
    )


def _words(prompt: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", prompt[:_LONGEST_READ]).casefold()
    return re.findall(r"[a-z]+", "".join(char for char in plain if not unicodedata.combining(char)))


def _lookup(word: str, table: Mapping[str, Meaning]) -> Meaning | None:
    """The word itself, else its singular."""
    for ending, singular in (("", ""), ("s", ""), ("es", ""), ("ies", "y")):
        if word.endswith(ending) and (form := word.removesuffix(ending) + singular) in table:
            return table[form]
    return None


def _first(words: list[str], table: Mapping[str, Meaning]) -> Meaning | None:
    return next((meaning for word in words if (meaning := _lookup(word, table)) is not None), None)


def _mood(words: list[str]) -> Mood | None:
    found = [mood for word in words if (mood := _lookup(word, MOODS)) is not None]
    if Mood.WINTER in found and Mood.NIGHT in found:
        return Mood.WINTER_NIGHT
    return next((mood for mood in found if mood in _TIMES), found[0] if found else None)


def _figure(words: list[str]) -> tuple[Figure | None, Colour | None]:
    """The figure, and the colour word among the two before it."""
    for index, word in enumerate(words):
        figure = _lookup(word, FIGURES)
        if figure is not None:
            return figure, _first(words[max(0, index - 2) : index], COATS)
    return None, None
