"""The pictures of sketch: equal for equal wishes, whole at every size, whatever the prompt."""

import hashlib
import io
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image, ImageChops, ImageStat

from imagejobs.providers.sketch.drawing.caption import lay_out
from imagejobs.providers.sketch.drawing.colours import BLACK, WHITE, along, lightness, mix
from imagejobs.providers.sketch.drawing.cut import Cut, Frame, flatten
from imagejobs.providers.sketch.drawing.figures import both
from imagejobs.providers.sketch.drawing.lettering import FONT_CHARACTERS, NO_LETTERS, Face, fit, readable, wrap
from imagejobs.providers.sketch.drawing.menagerie import ANIMALS, FOX
from imagejobs.providers.sketch.drawing.palettes import PALETTES, Mood
from imagejobs.providers.sketch.drawing.patterns import TILES
from imagejobs.providers.sketch.drawing.picture import Wish, draw
from imagejobs.providers.sketch.drawing.stage import Weather
from imagejobs.providers.sketch.drawing.things import THINGS
from imagejobs.providers.sketch.drawing.words import COATS, FIGURES, MOODS, SCENES, WEATHERS, read

SCENE_WORDS = ["hill", "meadow", "forest", "mountains", "lake", "sea", "desert", "city", "space", "abstract", "rainbow"]
ODD_PROMPTS = [
    "",
    " \n\t ",
    "🦊🔥👩‍🚀",
    "قطة على سطح المنزل",
    "猫が海を見ている",
    "a\u202efox\u0000\u0007\x1b[31m\ud800",
    "x" * 32_000,
    "word " * 6_000,
    "\n".join("line" for _ in range(500)),
    "%s {} <b>fox</b> 'quote' \\",
]

any_colour = st.tuples(*[st.integers(0, 255)] * 3)


def picture(prompt: str, seed: int = 1, width: int = 96, height: int = 96) -> Image.Image:
    image = Image.open(io.BytesIO(draw(Wish(prompt=prompt, seed=seed, width=width, height=height))))
    image.load()
    return image


def difference(first: Image.Image, second: Image.Image) -> float:
    """The mean difference of two pictures, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(first, second)).mean) / 3


def test_the_same_wish_gives_the_same_bytes_in_another_process_too() -> None:
    wish = "Wish(prompt='a robot and a fox in the rain, tokyo', seed=5, width=320, height=200)"
    code = (
        "import hashlib\nfrom imagejobs.providers.sketch.drawing.picture import Wish, draw\n"
        f"print(hashlib.sha256(draw({wish})).hexdigest())"
    )
    here = draw(Wish(prompt="a robot and a fox in the rain, tokyo", seed=5, width=320, height=200))
    there = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == hashlib.sha256(here).hexdigest()


@pytest.mark.parametrize("prompt", ["a fox", "snowy mountains at night", "tax return", "desert", "abstract"])
def test_another_seed_gives_a_visibly_different_picture(prompt: str) -> None:
    pictures = [picture(prompt, seed) for seed in range(4)]
    for number, one in enumerate(pictures):
        for other in pictures[number + 1 :]:
            assert difference(one, other) > 4


def test_other_words_give_a_visibly_different_picture() -> None:
    assert difference(picture("the sea"), picture("the city at night")) > 4


@pytest.mark.parametrize(
    ("width", "height"), [(64, 64), (64, 4096), (2048, 256), (256, 2048), (159, 160), (160, 160), (1376, 768), (4096, 64)]
)
def test_every_size_comes_out_whole(width: int, height: int) -> None:
    prompt = "a small boat, with an unusually long title that needs more than one line"
    assert picture(prompt, width=width, height=height).size == (width, height)


@settings(max_examples=30, deadline=None)
@given(
    st.one_of(st.text(max_size=80), st.sampled_from([*SCENES, *MOODS, *FIGURES, *ODD_PROMPTS])),
    st.one_of(st.integers(), st.integers(-(2**70), 2**70)),
    st.integers(64, 300),
    st.integers(64, 300),
)
def test_no_prompt_and_no_size_upsets_it(prompt: str, seed: int, width: int, height: int) -> None:
    assert picture(prompt, seed, width, height).size == (width, height)


@pytest.mark.parametrize("prompt", ODD_PROMPTS, ids=range(len(ODD_PROMPTS)))
def test_odd_prompts_get_a_picture_and_a_caption(prompt: str) -> None:
    assert picture(prompt, width=320, height=240).size == (320, 240)


@pytest.mark.parametrize(
    "prompt",
    [*(f"{{}} {figure.name}" for figure in ANIMALS + THINGS)]
    + [f"{{}} {word} {scene}" for scene in SCENE_WORDS for word in ("fox", "boat", "balloon")],
)
def test_a_figure_shows_wherever_it_is_put(prompt: str) -> None:
    """A scene that forgets to place its figure would leave the prompt unanswered; its color must be seen."""
    assert difference(picture(prompt.format("red")), picture(prompt.format("blue"))) > 0.3


@pytest.mark.parametrize("size", [(64, 64), (120, 90), (320, 240), (512, 512), (2048, 256), (256, 1024)])
def test_the_label_stands_on_the_paper(size: tuple[int, int]) -> None:
    """The strip below the picture is not blank, even where there is no title."""
    image = picture("", width=size[0], height=size[1])
    sheet = lay_out("", *size)
    strip = image.crop((sheet.margin, size[1] - sheet.strip + 1, size[0] - sheet.margin, size[1] - 1))
    shades = strip.convert("L").tobytes()
    assert max(shades) - min(shades) > 60


@given(st.text(max_size=300), st.integers(64, 4096), st.integers(64, 4096))
@settings(max_examples=40, deadline=None)
def test_the_picture_keeps_most_of_the_sheet(prompt: str, width: int, height: int) -> None:
    sheet = lay_out(prompt, width, height)
    assert sheet.window[0] >= 0.85 * width
    assert sheet.window[1] >= 0.6 * height


@given(st.text(max_size=400), st.integers(20, 900), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_lines_fit_and_say_what_was_written(text: str, width: int, lines: int) -> None:
    face = Face(14)
    plain = readable(text)
    broken = wrap(plain, face, width, lines)
    assert len(broken) <= lines
    assert all(face.length(line) <= width or len(line) == 1 for line in broken)
    said = "".join(broken).replace(" ", "")
    assert plain.replace(" ", "").startswith(said.removesuffix("…").rstrip(",;:-"))
    if width > 60 and plain and not broken[-1].endswith("…"):
        assert said == plain.replace(" ", "")


def test_a_line_too_long_ends_in_an_ellipsis() -> None:
    face = Face(14)
    assert fit("a fox", face, 500) == "a fox"
    cut = fit("a fox in the snow, and much more of it", face, 100)
    assert cut.endswith("…")
    assert face.length(cut) <= 100
    assert fit("a fox", face, 1) == ""


def test_text_is_put_into_letters_the_font_has() -> None:
    assert readable("Übergröße:\u00a0Café \u2013 naïve\tfaçade 😀") == "Ubergrosse: Cafe - naive facade"
    assert readable("猫が海を見ている") == NO_LETTERS
    assert readable("猫 and sea") == "and sea"
    assert readable("   ") == ""
    assert readable("🦊") == NO_LETTERS


def test_the_font_draws_every_character_it_is_said_to_have() -> None:
    font = Face(20)._font
    box = bytes(font.getmask("猫"))
    assert all(bytes(font.getmask(char)) != box for char in FONT_CHARACTERS)


def test_words_decide_what_is_drawn() -> None:
    reading = read("A Red FOX, in the snowy mountains at night")
    assert reading.figure is FOX
    assert reading.coat == COATS["red"]
    assert reading.scene == "mountains"
    assert reading.mood is Mood.WINTER_NIGHT
    assert reading.weather is Weather.SNOW


@pytest.mark.parametrize(
    ("prompt", "figure"),
    [
        ("two foxes", "fox"),
        ("kitties", "cat"),
        ("puppies", "dog"),
        ("das Häuschen", None),
        ("ein Leuchtturm", "lighthouse"),
        ("carpet", None),
    ],
)
def test_plurals_and_some_other_languages_count_but_not_parts_of_words(prompt: str, figure: str | None) -> None:
    found = read(prompt).figure
    assert (found.name if found else None) == figure


def test_a_lake_is_a_lake_even_in_the_mountains() -> None:
    assert read("mountain lake").scene == "lake"
    assert read("mountains, a valley").scene == "mountains"


def test_a_colour_far_from_the_figure_is_not_its_coat() -> None:
    assert read("a red sky above a quiet fox").coat is None


def test_every_mood_has_a_palette_and_every_palette_enough_contrast_for_print() -> None:
    assert {mood for mood, _ in PALETTES} == set(Mood)
    assert len({palette.name for _, palette in PALETTES}) == len(PALETTES)
    for _, palette in PALETTES:
        assert lightness(palette.paper) - lightness(palette.ink) > 0.5, palette.name


def test_every_path_can_be_read() -> None:
    paths = [path for figure in ANIMALS + THINGS for _, path in figure.parts] + [path for pair in TILES for path in pair]
    for path in paths:
        for outline in flatten(path):
            assert len(outline.points) >= (2 if outline.round else 3), path
            assert all(-30 <= x <= 140 and -30 <= y <= 130 for x, y in outline.points), path


def test_a_mirrored_path_is_the_path_seen_in_a_mirror() -> None:
    circle, its_image = flatten(both("O 30 40 5 7"))
    assert [*circle.points, *its_image.points] == [(25, 33), (35, 47), (65, 33), (75, 47)]
    shape, mirrored = flatten(both("M 0 0 L 20 0 Q 10 5 0 10 Z"))
    for (x, y), image in zip(shape.points, mirrored.points, strict=True):
        assert image == pytest.approx((100 - x, y))


def test_a_flipped_frame_keeps_ellipses_the_right_way_round() -> None:
    (outline,) = Cut().path("O 30 50 10 20", Frame(200, 100, 100, flipped=True)).outlines
    (left, top), (right, bottom) = outline.points
    assert (left, top, right, bottom) == (210, 30, 230, 70)


@given(any_colour, any_colour, st.floats(-1, 2))
def test_mixing_stays_between_its_ends(first: tuple[int, int, int], second: tuple[int, int, int], share: float) -> None:
    mixed = mix(first, second, share)
    low, high = sorted((lightness(first), lightness(second)))
    assert low - 0.02 <= lightness(mixed) <= high + 0.02
    assert all(0 <= channel <= 255 for channel in mixed)


def test_a_row_of_colours_begins_and_ends_with_its_own() -> None:
    stops = (BLACK, (200, 30, 40), WHITE)
    assert [along(stops, place) for place in (-1, 0, 0.5, 1, 2)] == [BLACK, BLACK, (200, 30, 40), WHITE, WHITE]


def test_all_tables_of_words_are_in_letters_the_reader_can_meet() -> None:
    for table in (FIGURES, SCENES, MOODS, WEATHERS, COATS):
        assert all(word.isascii() and word.isalpha() and word.islower() for word in table)
