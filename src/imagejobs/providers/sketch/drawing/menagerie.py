"""The figures themselves, as data: animals."""

from dataclasses import replace

from imagejobs.providers.sketch.drawing.colours import rgb
from imagejobs.providers.sketch.drawing.figures import Figure, Tone, Where, both

_EYES = both("O 42 37 2 2.5")

FOX = Figure(
    name="fox",
    home="forest",
    colour=rgb("D9622B"),
    parts=(
        (Tone.MAIN, "M 60 98 C 96 104 108 74 96 50 C 92 42 86 40 84 44 C 88 62 80 78 58 82 Z"),
        (Tone.PALE, "M 98 66 C 99 58 98 54 96 50 C 92 42 86 40 84 44 C 86 53 85 60 82 67 C 88 64 93 69 98 66 Z"),
        (Tone.MAIN, "M 50 40 C 32 44 27 74 30 100 L 70 100 C 73 74 68 44 50 40 Z"),
        (Tone.SHADE, "M 70 100 C 73 80 71 62 64 50 C 66 70 62 88 54 100 Z"),
        (Tone.PALE, "M 50 50 C 40 56 39 70 50 88 C 61 70 60 56 50 50 Z"),
        (
            Tone.DARK,
            ("M 37 100 C 37 92 39 88 43 88 C 47 88 49 92 49 100 Z M 51 100 C 51 92 53 88 57 88 C 61 88 63 92 63 100 Z"),
        ),
        (Tone.MAIN, both("M 27 38 L 26 6 C 34 10 42 18 46 26 Z")),
        (Tone.DARK, both("M 30 28 L 29 13 C 34 16 38 20 40 24 Z")),
        (Tone.MAIN, "M 50 61 C 44 54 30 48 21 40 C 26 28 38 21 50 21 C 62 21 74 28 79 40 C 70 48 56 54 50 61 Z"),
        (Tone.PALE, both("M 50 61 C 44 54 30 48 21 40 C 32 38 44 40 49 50 Z")),
        (Tone.DARK, "O 50 59 3.2 2.4 " + _EYES),
    ),
)

WOLF = replace(FOX, name="wolf", colour=rgb("7C8592"))

CAT = Figure(
    name="cat",
    home="city",
    colour=rgb("3B3A4A"),
    scale=0.92,
    parts=(
        (Tone.MAIN, "M 62 100 C 90 100 98 84 92 66 C 89 58 80 60 83 68 C 87 80 80 88 62 88 Z"),
        (Tone.MAIN, "M 50 40 C 30 46 26 78 29 100 L 71 100 C 74 78 70 46 50 40 Z"),
        (Tone.SHADE, "M 71 100 C 74 82 72 62 64 50 C 66 72 62 90 56 100 Z"),
        (Tone.PALE, "M 50 56 C 43 60 42 72 50 82 C 58 72 57 60 50 56 Z"),
        (
            Tone.TINT,
            ("M 38 100 C 38 93 40 90 44 90 C 48 90 49 94 49 100 Z M 51 100 C 51 94 52 90 56 90 C 60 90 62 93 62 100 Z"),
        ),
        (Tone.MAIN, both("M 28 36 L 29 10 C 36 13 43 19 47 25 Z")),
        (Tone.ACCENT, both("M 32 27 L 32 17 C 36 19 39 22 41 25 Z")),
        (Tone.MAIN, "O 50 38 24 20"),
        (Tone.GLOW, both("M 33 37 C 36 31 43 31 46 38 C 42 42 36 42 33 37 Z")),
        (Tone.DARK, both("O 40 37 1.5 4")),
        (Tone.ACCENT, "M 47 46 L 53 46 L 50 49.5 Z"),
        (Tone.PALE, both("M 42 48 L 22 45 L 22 45.7 L 42 49 Z M 42 50 L 22 51 L 22 51.7 L 42 51 Z")),
    ),
)

DOG = Figure(
    name="dog",
    home="meadow",
    colour=rgb("B57A45"),
    parts=(
        (Tone.MAIN, "M 62 94 C 80 92 90 80 92 66 C 94 60 88 58 86 64 C 82 76 74 82 60 84 Z"),
        (Tone.MAIN, "M 50 42 C 32 46 28 76 30 100 L 70 100 C 72 76 68 46 50 42 Z"),
        (Tone.SHADE, "M 70 100 C 72 82 70 64 64 52 C 66 74 62 90 55 100 Z"),
        (Tone.PALE, "M 50 58 C 40 62 40 80 50 92 C 60 80 60 62 50 58 Z"),
        (
            Tone.PALE,
            ("M 37 100 C 37 93 39 90 43 90 C 47 90 49 93 49 100 Z M 51 100 C 51 93 53 90 57 90 C 61 90 63 93 63 100 Z"),
        ),
        (Tone.MAIN, "M 50 12 C 66 12 72 24 71 38 C 70 52 60 62 50 62 C 40 62 30 52 29 38 C 28 24 34 12 50 12 Z"),
        (Tone.SHADE, both("M 36 14 C 24 12 16 24 17 42 C 18 50 26 52 30 44 C 32 34 32 24 36 14 Z")),
        (Tone.PALE, "M 50 18 C 54 30 62 42 62 50 C 62 58 56 62 50 62 C 44 62 38 58 38 50 C 38 42 46 30 50 18 Z"),
        (Tone.DARK, ("M 44 45 C 46 42 54 42 56 45 C 56 49 52 51 50 51 C 48 51 44 49 44 45 Z ") + both("O 40 35 2.2 2.6")),
        (Tone.ACCENT, "M 36 60 C 44 66 56 66 64 60 L 65 65 C 56 71 44 71 35 65 Z"),
        (Tone.GLOW, "O 50 71 3 3"),
    ),
)

RABBIT = Figure(
    name="rabbit",
    home="meadow",
    colour=rgb("CDB79E"),
    scale=0.85,
    parts=(
        (Tone.PALE, "O 72 90 8 8"),
        (Tone.MAIN, both("M 45 34 C 30 26 28 2 35 -4 C 43 -6 49 18 49 32 Z")),
        (Tone.ACCENT, both("M 43 28 C 36 22 33 8 36 2 C 40 2 45 18 45 28 Z")),
        (Tone.MAIN, "M 50 48 C 30 52 26 78 29 100 L 71 100 C 74 78 70 52 50 48 Z"),
        (Tone.SHADE, "M 71 100 C 74 82 72 68 66 58 C 68 78 62 92 56 100 Z"),
        (Tone.PALE, "M 50 60 C 40 64 40 82 50 92 C 60 82 60 64 50 60 Z"),
        (Tone.TINT, both("M 37 100 C 37 93 39 90 43 90 C 47 90 49 93 49 100 Z")),
        (Tone.MAIN, "O 50 42 20 18"),
        (Tone.PALE, both("O 45 50 6.5 5.5")),
        (Tone.DARK, both("O 40 39 2.2 2.8")),
        (Tone.ACCENT, "M 47 46 L 53 46 L 50 49 Z"),
    ),
)

BEAR = Figure(
    name="bear",
    home="mountains",
    colour=rgb("6B4A3A"),
    scale=1.08,
    parts=(
        (Tone.MAIN, both("O 32 20 9 9")),
        (Tone.TINT, both("O 32 21 4.5 4.5")),
        (Tone.MAIN, "M 50 42 C 22 46 18 78 24 100 L 76 100 C 82 78 78 46 50 42 Z"),
        (Tone.SHADE, "M 76 100 C 82 82 80 62 70 52 C 73 76 68 92 62 100 Z"),
        (Tone.TINT, "M 50 62 C 36 64 36 90 50 98 C 64 90 64 64 50 62 Z"),
        (Tone.MAIN, both("M 24 100 C 22 90 28 84 35 86 C 42 88 44 94 43 100 Z")),
        (Tone.SHADE, both("M 27 60 C 20 66 22 80 31 84 C 37 86 41 80 38 74 Z")),
        (Tone.MAIN, "O 50 36 23 21"),
        (Tone.PALE, "O 50 44 11 9"),
        (Tone.DARK, ("M 45 40 C 47 38 53 38 55 40 C 55 43 52 45 50 45 C 48 45 45 43 45 40 Z ") + both("O 41 32 2 2.4")),
    ),
)

OWL = Figure(
    name="owl",
    home="forest",
    colour=rgb("8A6242"),
    scale=0.86,
    parts=(
        (Tone.DARK, "M 5 90 C 30 86 70 92 98 87 L 98 93 C 70 98 30 92 5 97 Z"),
        (
            Tone.MAIN,
            (
                "M 50 14 C 60 14 68 10 74 4 C 80 20 82 36 80 56 C 78 80 66 92 50 92 C 34 92 22 80 20 56 C "
                "18 36 20 20 26 4 C 32 10 40 14 50 14 Z"
            ),
        ),
        (Tone.PALE, "M 50 44 C 66 48 70 66 64 80 C 60 88 54 90 50 90 C 46 90 40 88 36 80 C 30 66 34 48 50 44 Z"),
        (
            Tone.TINT,
            (
                "M 44 58 L 50 64 L 56 58 L 56 61 L 50 67 L 44 61 Z M 38 68 L 44 74 L 50 68 L 50 71 L 44 "
                "77 L 38 71 Z M 50 68 L 56 74 L 62 68 L 62 71 L 56 77 L 50 71 Z"
            ),
        ),
        (Tone.SHADE, both("M 22 40 C 10 56 14 78 30 86 C 36 76 34 52 22 40 Z")),
        (Tone.PALE, both("O 38 32 13 13")),
        (Tone.GLOW, both("O 39 32 8.5 8.5")),
        (Tone.DARK, both("O 39.5 32 4.6 4.6")),
        (Tone.ACCENT, "M 46 38 L 54 38 L 50 48 Z"),
        (Tone.ACCENT, both("M 40 88 L 47 88 L 46 95 L 41 95 Z")),
    ),
)

BIRD = Figure(
    name="bird",
    home="meadow",
    colour=rgb("2F7F8C"),
    scale=0.8,
    parts=(
        (Tone.DARK, "M 0 92 C 30 88 70 96 100 90 L 100 95 C 70 101 30 93 0 98 Z"),
        (Tone.LEAF, "M 12 92 C 6 84 2 78 2 70 C 12 72 18 82 14 92 Z M 88 92 C 90 82 96 76 104 74 C 104 84 98 92 90 94 Z"),
        (Tone.SHADE, "M 34 66 L -2 78 L 2 68 L -4 62 L 30 54 Z"),
        (Tone.ACCENT, "M 44 78 L 46 78 L 46 92 L 44 92 Z M 54 78 L 56 78 L 56 92 L 54 92 Z"),
        (Tone.MAIN, "M 18 62 C 34 60 44 44 50 32 C 56 20 72 16 82 26 C 92 38 90 62 74 74 C 56 86 32 80 18 62 Z"),
        (Tone.PALE, "M 90 40 C 92 58 84 72 66 78 C 60 68 70 52 90 40 Z"),
        (Tone.SHADE, "M 12 64 C 30 58 44 44 60 44 C 68 46 66 60 56 66 C 44 74 24 72 12 64 Z"),
        (Tone.TINT, "M 20 65 C 34 62 46 52 58 50 C 60 56 54 60 46 63 C 38 67 28 68 20 65 Z"),
        (Tone.GLOW, "M 86 30 L 102 36 L 88 42 Z"),
        (Tone.PALE, "O 74 32 5 5"),
        (Tone.DARK, "O 75 32 2.7 2.7"),
    ),
)

WHALE = Figure(
    name="whale",
    home="sea",
    colour=rgb("2E5E7E"),
    where=Where.WATER,
    scale=1.05,
    parts=(
        (Tone.TINT, "M 36 40 C 30 26 22 24 14 30 C 16 18 32 16 38 32 C 42 16 58 16 62 30 C 54 24 46 26 40 40 Z"),
        (
            Tone.MAIN,
            (
                "M 90 78 C 100 72 104 62 104 52 C 112 48 124 48 130 40 C 118 34 110 36 104 42 C 98 34 90 "
                "32 80 36 C 84 46 92 48 99 52 C 98 62 90 70 80 74 Z"
            ),
        ),
        (Tone.MAIN, "M -2 84 C -8 58 12 44 38 44 C 66 44 80 62 96 70 C 100 80 92 104 40 106 C 10 106 0 98 -2 84 Z"),
        (Tone.PALE, "M -2 84 C 16 92 44 92 64 84 C 74 90 76 98 60 104 C 30 108 2 104 -2 84 Z"),
        (Tone.SHADE, "M 4 91 L 58 91 L 57 92.6 L 6 93 Z M 8 96 L 60 95 L 58 97 L 10 97.6 Z"),
        (Tone.SHADE, "M 40 82 C 52 80 62 86 66 98 C 54 100 42 94 40 82 Z"),
        (Tone.DARK, "O 18 76 2.4 2.8"),
    ),
)

FISH = Figure(
    name="fish",
    home="sea",
    colour=rgb("E8743B"),
    where=Where.WATER,
    scale=0.78,
    parts=(
        (Tone.ACCENT, "M 46 34 C 52 14 70 12 78 22 C 74 30 70 36 68 42 Z"),
        (Tone.SHADE, "M 76 58 C 90 44 100 38 112 40 C 106 52 106 64 112 78 C 100 78 88 72 76 62 Z"),
        (Tone.MAIN, "M 6 58 C 20 28 60 26 84 58 C 60 90 20 86 6 58 Z"),
        (Tone.PALE, "M 30 37 C 38 48 38 68 30 78 C 34 80 38 81 41 81 C 48 68 48 46 41 35 C 38 35 34 36 30 37 Z"),
        (Tone.PALE, "M 56 38 C 62 50 62 66 56 77 C 60 75 63 74 66 72 C 70 64 70 52 66 43 C 63 41 60 40 56 38 Z"),
        (Tone.SHADE, "M 44 58 C 52 54 58 58 60 66 C 54 68 46 66 44 58 Z"),
        (Tone.PALE, "O 20 54 5 5"),
        (Tone.DARK, "O 19 54 2.6 2.6"),
    ),
)

DEER = Figure(
    name="deer",
    home="forest",
    colour=rgb("A86B3E"),
    scale=1.12,
    parts=(
        (
            Tone.DARK,
            (
                "M 66 28 C 56 22 54 10 58 0 L 60 1 C 58 8 59 12 62 16 C 66 12 66 6 66 0 L 68 0 C 69 8 67 "
                "14 65 19 C 67 22 68 24 70 26 Z"
            ),
        ),
        (
            Tone.DARK,
            (
                "M 74 26 C 84 20 86 10 82 -1 L 80 0 C 82 7 81 11 78 15 C 74 11 74 5 74 -1 L 72 -1 C 71 7 "
                "73 13 75 18 C 73 21 72 23 70 25 Z"
            ),
        ),
        (
            Tone.SHADE,
            ("M 30 66 L 36 66 L 35 84 L 36 100 L 32 100 L 31 84 Z M 56 66 L 62 66 L 60 84 L 61 100 L 57 100 L 56 84 Z"),
        ),
        (
            Tone.MAIN,
            (
                "M 22 50 C 36 46 50 52 58 46 C 62 40 62 34 64 28 L 76 30 C 76 44 74 60 64 68 C 54 74 36 "
                "70 28 70 C 22 66 20 58 22 50 Z"
            ),
        ),
        (
            Tone.MAIN,
            ("M 22 60 L 31 64 L 29 82 L 28 100 L 24 100 L 24 82 Z M 60 64 L 68 62 L 67 82 L 68 100 L 64 100 L 63 82 Z"),
        ),
        (Tone.PALE, "M 22 50 C 17 50 15 56 18 62 C 21 64 24 60 25 55 Z M 74 46 C 73 54 70 60 66 64 C 63 58 66 50 74 46 Z"),
        (Tone.MAIN, "M 62 28 C 64 22 72 20 77 24 C 82 28 88 33 90 36 C 90 40 86 41 82 40 C 76 40 72 38 68 38 Z"),
        (Tone.MAIN, "M 64 27 C 58 26 54 22 53 18 C 59 18 64 20 67 24 Z"),
        (Tone.DARK, "O 89 37 2.2 2 O 77 29 1.6 1.9"),
        (Tone.PALE, "O 32 55 1.5 1.3 O 39 57 1.5 1.3 O 46 56 1.5 1.3 O 36 61 1.4 1.2 O 43 62 1.4 1.2"),
    ),
)

ANIMALS = (FOX, WOLF, CAT, DOG, RABBIT, BEAR, OWL, BIRD, WHALE, FISH, DEER)
