"""The figures themselves, as data: people, machines and buildings."""

from imagejobs.providers.sketch.drawing.colours import rgb
from imagejobs.providers.sketch.drawing.figures import Figure, Tone, Where, both

HOUSE = Figure(
    name="house",
    home="meadow",
    colour=rgb("F0E2C6"),
    parts=(
        (Tone.SHADE, "M 68 14 L 78 14 L 78 40 L 68 40 Z"),
        (Tone.DARK, "M 66.5 11 L 79.5 11 L 79.5 15 L 66.5 15 Z"),
        (Tone.MAIN, "M 16 48 L 84 48 L 84 101 L 16 101 Z"),
        (Tone.MAIN, "M 16 48.5 L 50 16 L 84 48.5 Z"),
        (Tone.SHADE, "M 62 48 L 84 48 L 84 101 L 62 101 Z"),
        (Tone.ACCENT, "M 50 8 L 94 50 L 88 56 L 50 20 L 12 56 L 6 50 Z"),
        (Tone.DARK, "M 42 101 L 42 76 C 42 66 56 66 56 76 L 56 101 Z"),
        (Tone.GLOW, "M 22 62 L 35 62 L 35 78 L 22 78 Z M 65 62 L 78 62 L 78 78 L 65 78 Z O 50 38 7 7"),
        (
            Tone.DARK,
            (
                "M 28 62 L 29 62 L 29 78 L 28 78 Z M 22 69.5 L 35 69.5 L 35 70.5 L 22 70.5 Z M 71 62 L 72 "
                "62 L 72 78 L 71 78 Z M 65 69.5 L 78 69.5 L 78 70.5 L 65 70.5 Z"
            ),
        ),
        (Tone.GLOW, "O 53 86 1.2 1.2"),
    ),
)

CASTLE = Figure(
    name="castle",
    home="hills",
    colour=rgb("B9A9B8"),
    scale=1.25,
    parts=(
        (Tone.SHADE, "M 40 30 L 60 30 L 60 100 L 40 100 Z"),
        (Tone.ACCENT, "M 36 31 L 50 2 L 64 31 Z M 50 -8 L 62 -5 L 50 -1 Z"),
        (Tone.DARK, "M 49.4 -9 L 50.6 -9 L 50.6 4 L 49.4 4 Z"),
        (
            Tone.MAIN,
            (
                "M 22 60 L 22 54 L 28 54 L 28 58 L 34 58 L 34 54 L 40 54 L 40 58 L 46 58 L 46 54 L 54 54 "
                "L 54 58 L 60 58 L 60 54 L 66 54 L 66 58 L 72 58 L 72 54 L 78 54 L 78 101 L 22 101 Z"
            ),
        ),
        (Tone.MAIN, both("M 10 46 L 28 46 L 28 101 L 10 101 Z")),
        (
            Tone.SHADE,
            ("M 23 46 L 28 46 L 28 101 L 23 101 Z M 84 46 L 90 46 L 90 101 L 84 101 Z M 66 62 L 72 62 L 72 101 L 66 101 Z"),
        ),
        (Tone.ACCENT, both("M 7 47 L 19 20 L 31 47 Z")),
        (Tone.ACCENT, "M 19 12 L 30 15 L 19 18 Z M 81 12 L 92 15 L 81 18 Z"),
        (Tone.DARK, both("M 18.5 11 L 19.5 11 L 19.5 22 L 18.5 22 Z")),
        (Tone.DARK, "M 42 101 L 42 84 C 42 72 58 72 58 84 L 58 101 Z"),
        (
            Tone.GLOW,
            "M 47 46 C 47 40 53 40 53 46 L 53 52 L 47 52 Z " + both("M 17 64 C 17 59 22 59 22 64 L 22 70 L 17 70 Z"),
        ),
    ),
)

LIGHTHOUSE = Figure(
    name="lighthouse",
    home="sea",
    colour=rgb("F7F1E3"),
    scale=1.4,
    parts=(
        (Tone.DARK, "M 20 101 C 24 92 34 88 44 90 C 60 86 76 92 82 101 Z"),
        (Tone.MAIN, "M 42 30 L 58 30 L 64 94 L 36 94 Z"),
        (Tone.ACCENT, "M 41 40 L 59 40 L 60.2 53 L 39.8 53 Z M 38.6 66 L 61.4 66 L 62.6 80 L 37.4 80 Z"),
        (Tone.SHADE, "M 54 30 L 58 30 L 64 94 L 57 94 Z"),
        (Tone.DARK, "M 38 27 L 62 27 L 62 31 L 38 31 Z"),
        (Tone.GLOW, "M 43 15 L 57 15 L 57 27 L 43 27 Z"),
        (
            Tone.DARK,
            (
                "M 43 15 L 44 15 L 44 27 L 43 27 Z M 49.5 15 L 50.5 15 L 50.5 27 L 49.5 27 Z M 56 15 L 57 "
                "15 L 57 27 L 56 27 Z"
            ),
        ),
        (Tone.ACCENT, "M 40 16 C 42 8 47 5 50 2 C 53 5 58 8 60 16 Z"),
        (Tone.DARK, "M 47 94 L 47 86 C 47 82 53 82 53 86 L 53 94 Z M 48.5 58 L 51.5 58 L 51.5 62 L 48.5 62 Z"),
    ),
)

BOAT = Figure(
    name="boat",
    home="sea",
    colour=rgb("F7EEDB"),
    where=Where.WATER,
    parts=(
        (Tone.DARK, "M 48.6 4 L 50.4 4 L 50.4 86 L 48.6 86 Z"),
        (Tone.ACCENT, "M 50.4 3 L 64 7 L 50.4 11 Z"),
        (Tone.MAIN, "M 46.5 10 C 46 40 38 62 14 76 C 26 79 38 79 46.5 77 Z"),
        (Tone.SHADE, "M 46.5 10 C 46 40 44 60 38 78 C 41 78 44 78 46.5 77 Z"),
        (Tone.TINT, "M 52.5 16 C 58 44 70 62 88 74 C 76 78 62 79 52.5 77 Z"),
        (Tone.ACCENT, "M 52.5 56 C 60 57 68 58 75 63 C 79 67 83 71 88 74 C 76 78 62 79 52.5 77 Z"),
        (Tone.ACCENT, "M 8 83 C 36 87 64 87 96 82 C 92 92 86 100 78 104 L 26 104 C 16 100 10 92 8 83 Z"),
        (Tone.DARK, "M 12 92 C 36 95 64 95 91 92 C 88 98 84 102 78 104 L 26 104 C 20 102 15 98 12 92 Z"),
        (Tone.PALE, "M 8 83 C 36 87 64 87 96 82 L 95 85 C 64 90 36 90 9 86 Z"),
    ),
)

BALLOON = Figure(
    name="balloon",
    home="hills",
    colour=rgb("E4572E"),
    where=Where.SKY,
    scale=1.05,
    parts=(
        (
            Tone.DARK,
            (
                "M 36 62 L 43 86 L 44 86 L 37.5 62 Z M 64 62 L 57 86 L 56 86 L 62.5 62 Z M 49.5 64 L 50.5 "
                "64 L 50.5 86 L 49.5 86 Z"
            ),
        ),
        (Tone.MAIN, "M 50 0 C 74 0 88 18 86 38 C 84 54 70 62 62 72 L 38 72 C 30 62 16 54 14 38 C 12 18 26 0 50 0 Z"),
        (Tone.PALE, both("M 50 0 C 36 0 24 18 26 38 C 28 54 36 64 41 72 L 46 72 C 42 60 38 50 38 36 C 38 18 44 4 50 0 Z")),
        (Tone.SHADE, "M 50 0 C 74 0 88 18 86 38 C 84 54 70 62 62 72 L 59 72 C 64 62 72 54 74 38 C 76 18 64 0 50 0 Z"),
        (
            Tone.ACCENT,
            ("M 14.4 33 C 36 41 64 41 85.8 33 C 86.4 37 86.4 39 85.4 43 C 64 51 36 51 14.6 43 C 13.8 39 13.8 37 14.4 33 Z"),
        ),
        (Tone.DARK, "M 42 86 L 58 86 L 56.5 98 C 56 100 44 100 43.5 98 Z"),
        (Tone.GLOW, "M 42 86 L 58 86 L 57.7 89 L 42.3 89 Z"),
    ),
)

ROCKET = Figure(
    name="rocket",
    home="space",
    colour=rgb("F3EBDD"),
    where=Where.SKY,
    scale=1.1,
    parts=(
        (Tone.GLOW, "M 40 82 C 40 92 46 100 50 112 C 54 100 60 92 60 82 Z"),
        (Tone.ACCENT, "M 44 82 C 44 90 48 96 50 103 C 52 96 56 90 56 82 Z"),
        (Tone.ACCENT, both("M 36 52 C 22 60 18 76 20 92 C 26 84 34 80 40 80 Z")),
        (Tone.MAIN, "M 50 -2 C 64 12 70 38 66 62 C 64 74 62 80 60 84 L 40 84 C 38 80 36 74 34 62 C 30 38 36 12 50 -2 Z"),
        (Tone.SHADE, "M 50 -2 C 64 12 70 38 66 62 C 64 74 62 80 60 84 L 53 84 C 60 62 60 24 50 -2 Z"),
        (Tone.ACCENT, "M 50 -2 C 57 5 62 14 64.6 24 C 55 28 45 28 35.4 24 C 38 14 43 5 50 -2 Z"),
        (Tone.DARK, "O 50 42 9.5 9.5"),
        (Tone.GLOW, "O 50 42 6.8 6.8"),
        (Tone.PALE, "O 47.5 39.5 2.2 2.2"),
        (Tone.DARK, "M 39 78 L 61 78 L 60 84 L 40 84 Z"),
        (Tone.ACCENT, "M 48.4 60 L 51.6 60 L 51 92 L 49 92 Z"),
    ),
)

ROBOT = Figure(
    name="robot",
    home="city",
    colour=rgb("7FA7AE"),
    parts=(
        (Tone.DARK, "M 49 2 L 51 2 L 51 14 L 49 14 Z M 35 84 L 43 84 L 43 96 L 35 96 Z M 57 84 L 65 84 L 65 96 L 57 96 Z"),
        (Tone.ACCENT, "O 50 2 4 4"),
        (Tone.DARK, both("M 19 54 C 10 58 8 68 11 78 L 16 77 C 14 68 16 62 22 59 Z")),
        (Tone.MAIN, both("M 7 78 C 7 73 20 73 20 78 L 20 84 L 17 84 L 16 80 L 11 80 L 10 84 L 7 84 Z")),
        (Tone.SHADE, both("M 30 101 C 30 93 34 92 39 92 C 44 92 46 94 46 101 Z")),
        (
            Tone.MAIN,
            (
                "M 24 50 C 24 46 27 44 31 44 L 69 44 C 73 44 76 46 76 50 L 72 84 C 71 88 69 89 66 89 L 34 "
                "89 C 31 89 29 88 28 84 Z"
            ),
        ),
        (Tone.SHADE, "M 64 44 L 69 44 C 73 44 76 46 76 50 L 72 84 C 71 88 69 89 66 89 L 60 89 Z"),
        (Tone.DARK, "M 44 38 L 56 38 L 56 46 L 44 46 Z"),
        (
            Tone.MAIN,
            (
                "M 24 20 C 24 15 27 12 32 12 L 68 12 C 73 12 76 15 76 20 L 76 33 C 76 38 73 41 68 41 L 32 "
                "41 C 27 41 24 38 24 33 Z"
            ),
        ),
        (Tone.SHADE, both("M 19 21 C 19 19 21 18 24 18 L 24 34 C 21 34 19 33 19 31 Z")),
        (
            Tone.DARK,
            (
                "M 30 22 C 30 19 32 18 35 18 L 65 18 C 68 18 70 19 70 22 L 70 30 C 70 33 68 34 65 34 L 35 "
                "34 C 32 34 30 33 30 30 Z"
            ),
        ),
        (Tone.GLOW, both("O 40 26 4.6 4.6")),
        (Tone.PALE, "M 35 54 L 65 54 L 63.5 68 L 36.5 68 Z"),
        (Tone.ACCENT, "O 43 61 3 3 M 49 58 L 61 58 L 61 60 L 49 60 Z"),
        (Tone.DARK, "M 49 62.5 L 58 62.5 L 58 64.5 L 49 64.5 Z"),
        (Tone.GLOW, "O 40 77 2.2 2.2 O 50 77 2.2 2.2 O 60 77 2.2 2.2"),
    ),
)

WANDERER = Figure(
    name="person",
    home="mountains",
    colour=rgb("C9914F"),
    parts=(
        (Tone.DARK, "M 42 70 L 49 70 L 48 101 L 41 101 Z M 51 70 L 58 70 L 60 101 L 53 101 Z"),
        (
            Tone.MAIN,
            (
                "M 50 24 C 62 24 66 32 68 46 C 70 60 72 72 73 82 C 60 88 40 88 27 82 C 28 72 30 60 32 46 "
                "C 34 32 38 24 50 24 Z"
            ),
        ),
        (Tone.SHADE, "M 56 25 C 63 27 66 34 68 46 C 70 60 72 72 73 82 C 68 84 63 86 57 86.4 C 62 66 62 44 56 25 Z"),
        (
            Tone.SHADE,
            ("M 49.4 52 L 50.6 52 L 51.4 87 L 48.6 87 Z M 37 40 C 36 52 35 62 34 70 L 35 70 C 36 60 37.6 50 38.4 40 Z"),
        ),
        (Tone.SKIN, "M 46 16 L 54 16 L 55 27 L 45 27 Z"),
        (
            Tone.ACCENT,
            (
                "M 39 25 C 44 30 56 30 61 25 L 62 30 C 56 35 44 35 38 30 Z M 57 31 C 66 34 76 32 84 38 C "
                "82 43 76 40 70 41 C 64 41 60 38 55 34 Z"
            ),
        ),
        (Tone.DARK, "M 50 2 C 59 2 61.5 9 60 16 C 58 22 54 23.5 50 23.5 C 46 23.5 42 22 40 16 C 38.5 9 41 2 50 2 Z"),
    ),
)

CAR = Figure(
    name="car",
    home="desert",
    colour=rgb("D64A3A"),
    scale=0.92,
    parts=(
        (Tone.SHADE, "M 14 62 C 20 50 26 44 36 43 L 60 43 C 70 44 78 52 84 62 Z"),
        (Tone.PALE, "M 21 61 C 25 53 30 48.5 37 48 L 47 48 L 47 61 Z M 51 48 L 59 48 C 66 49 71 54 76 61 L 51 61 Z"),
        (
            Tone.MAIN,
            (
                "M -8 66 C -4 61 6 60 14 60 L 84 60 C 98 61 110 64 113 71 C 114.6 77 114 84 112 87 L -8 "
                "87 C -12 82 -12 72 -8 66 Z"
            ),
        ),
        (Tone.TINT, "M -10 70 L 112.6 70 L 113 72.4 L -10.6 72.4 Z"),
        (Tone.DARK, "O 16 87 14 14 O 87 87 14 14"),
        (Tone.PALE, "O 16 87 6.5 6.5 O 87 87 6.5 6.5"),
        (Tone.DARK, "O 16 87 2.4 2.4 O 87 87 2.4 2.4"),
        (Tone.GLOW, "O 109 75 4 4.6"),
        (Tone.PALE, "M -11 82 L 2 82 L 2 86 L -11 86 Z M 101 82 L 114 82 L 114 86 L 101 86 Z"),
        (Tone.DARK, "M 55 66 L 61 66 L 61 67.4 L 55 67.4 Z"),
    ),
)

TREE = Figure(
    name="tree",
    home="meadow",
    colour=rgb("3F8F63"),
    scale=1.35,
    parts=(
        (
            Tone.DARK,
            (
                "M 47 60 L 53 60 C 53 80 55 92 62 101 L 38 101 C 45 92 47 80 47 60 Z M 48.6 70 L 34 52 L "
                "36 51 L 50 66 Z M 51 74 L 66 54 L 68 55 L 52.6 79 Z"
            ),
        ),
        (Tone.SHADE, "O 31 46 17 14 O 70 46 18 14 O 50 54 21 12"),
        (Tone.MAIN, "O 50 22 20 17 O 29 40 16 13 O 70 38 16 13 O 50 42 22 15"),
        (Tone.TINT, "O 44 16 9 6.5 O 25 36 7 5 O 64 33 8 5.5 O 44 38 9 6"),
        (Tone.ACCENT, "O 60 26 1.8 1.8 O 36 46 1.8 1.8 O 74 44 1.8 1.8 O 56 50 1.8 1.8 O 48 27 1.8 1.8 O 24 46 1.8 1.8"),
    ),
)

FLOWER = Figure(
    name="flower",
    home="meadow",
    colour=rgb("E9567B"),
    scale=1.15,
    parts=(
        (Tone.LEAF, "M 48.8 40 L 51.2 40 C 51.6 64 52 84 51.6 101 L 48.4 101 C 49 84 49 64 48.8 40 Z"),
        (
            Tone.LEAF,
            ("M 50.6 88 C 58 70 72 62 86 62 C 84 78 70 88 51 92 Z M 49.6 78 C 44 62 32 54 18 54 C 20 68 32 78 49 82 Z"),
        ),
        (Tone.SHADE, "O 50 10 9 13 O 50 50 9 13 O 30 30 13 9 O 70 30 13 9"),
        (Tone.MAIN, "O 36 16 11 11 O 64 16 11 11 O 36 44 11 11 O 64 44 11 11"),
        (Tone.TINT, "O 37 17 5.5 5.5 O 63 17 5.5 5.5 O 37 43 5.5 5.5 O 63 43 5.5 5.5"),
        (Tone.GLOW, "O 50 30 12 12"),
        (Tone.DARK, "O 46 27 1.1 1.1 O 53 26 1.1 1.1 O 50 30 1.1 1.1 O 46 34 1.1 1.1 O 54 33 1.1 1.1 O 50 37 1.1 1.1"),
    ),
)

TENT = Figure(
    name="tent",
    home="mountains",
    colour=rgb("E9A23B"),
    scale=0.72,
    parts=(
        (Tone.DARK, "M 49 22 L 53 16 L 54 17 L 51 26 Z M 49 22 L 45 16 L 44 17 L 48 26 Z"),
        (Tone.SHADE, "M 50 22 L 104 101 L 60 101 Z"),
        (Tone.MAIN, "M 50 22 L 76 101 L -2 101 Z"),
        (Tone.GLOW, "M 48 44 L 62 101 L 28 101 Z"),
        (Tone.TINT, "M 48 44 L 33 101 L 24 101 Z"),
    ),
)

CUP = Figure(
    name="cup",
    home="tiles",
    colour=rgb("F4E9D4"),
    scale=0.9,
    parts=(
        (
            Tone.PALE,
            (
                "M 36 30 C 28 22 44 16 37 6 C 46 14 34 22 40 30 Z M 52 28 C 44 18 62 12 53 0 C 65 10 50 "
                "18 57 28 Z M 67 30 C 59 22 75 16 68 6 C 77 14 65 22 71 30 Z"
            ),
        ),
        (Tone.SHADE, "O 50 92 44 8"),
        (Tone.MAIN, "O 50 90 44 7"),
        (Tone.SHADE, "M 76 46 C 100 40 102 70 72 72 L 73 66 C 92 64 90 48 76 52 Z"),
        (Tone.ACCENT, "M 20 38 L 80 38 C 80 64 72 84 62 90 L 38 90 C 28 84 20 64 20 38 Z"),
        (
            Tone.MAIN,
            ("M 20.8 48 C 40 54 60 54 79.2 48 C 78.6 54 77.4 60 75.6 65 C 60 70 40 70 24.4 65 C 22.6 60 21.4 54 20.8 48 Z"),
        ),
        (Tone.DARK, "O 50 38 30 5.5"),
    ),
)

THINGS = (HOUSE, CASTLE, LIGHTHOUSE, BOAT, BALLOON, ROCKET, ROBOT, WANDERER, CAR, TREE, FLOWER, TENT, CUP)
