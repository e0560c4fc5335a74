"""The colours of a picture, chosen by mood: data first, then how it is read."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from imagejobs.providers.sketch.drawing.colours import Colour, along, lightness, mix, rgb

_SOOT: Colour = (24, 22, 28)
_FIR: Colour = (30, 62, 78)


class Mood(StrEnum):
    """What time, season or place gives a picture its colours."""

    DAY = "day"
    DAWN = "dawn"
    SUNSET = "sunset"
    NIGHT = "night"
    WINTER = "winter"
    WINTER_NIGHT = "winter night"
    AUTUMN = "autumn"
    SPRING = "spring"
    FOG = "fog"
    STORM = "storm"
    FOREST = "forest"
    SEA = "sea"
    DESERT = "desert"
    CITY = "city"
    NEON = "neon"
    SPACE = "space"
    PASTEL = "pastel"
    BOLD = "bold"


@dataclass(frozen=True, kw_only=True)
class Palette:
    """`sky` runs from top to horizon, `land` from far to near; `dark` ones show stars and lit windows."""

    name: str
    sky: tuple[Colour, Colour, Colour]
    sun: Colour
    land: tuple[Colour, Colour, Colour]
    accent: Colour
    light: Colour
    dark: bool = False

    def depth(self, nearness: float) -> Colour:
        """The colour of land that is `nearness` (0 far, 1 near) away from the horizon."""
        return along(self.land, nearness)

    def foliage(self, nearness: float) -> Colour:
        """The colour of trees on that land: dark where the land is white with snow."""
        if lightness(self.land[2]) < 0.75:
            return self.depth(nearness)
        return mix(self.land[1], _FIR, 0.3 + 0.45 * nearness)

    def haze(self, colour: Colour, share: float) -> Colour:
        """`colour` with `share` of the air in front of it."""
        return mix(colour, self.sky[2], share)

    @property
    def ink(self) -> Colour:
        """For text on paper."""
        near = self.land[2]
        return mix(near, _SOOT, 0.45) if lightness(near) < 0.5 else mix(self.land[1], _SOOT, 0.75)

    @property
    def paper(self) -> Colour:
        """The border: warm or cool white, with a breath of the sky in it."""
        return mix((250, 246, 237), self.sky[2], 0.06)


def _palette(mood: Mood, name: str, colours: str, *, dark: bool = False) -> tuple[Mood, Palette]:
    """Ten colours in a row: three of the sky, the sun, three of the land, accent, light."""
    c = [rgb(word) for word in colours.split()]
    palette = Palette(
        name=name, sky=(c[0], c[1], c[2]), sun=c[3], land=(c[4], c[5], c[6]), accent=c[7], light=c[8], dark=dark
    )
    return mood, palette


PALETTES = (
    #        mood              name             sky: top, middle, horizon    sun     land: far, mid, near     accent  light
    _palette(Mood.DAY, "noon", "6FB3C8 A9D3D2 F4EBD0 F7C548 9CC3B5 4E9A8A 17484F E4572E FFF6E0"),
    _palette(Mood.DAY, "mustard", "E9C46A F1D78F FBEFCB E76F51 C9B37A 5E8C7A 1F3F4A D1495B FFF8E4"),
    _palette(Mood.DAY, "coral", "F2A48D F7C6A8 FDE9CF F25C54 D9A79A 7F6A8C 2B2D52 F7B267 FFF3E2"),
    _palette(Mood.DAY, "mint", "8CCFC0 BFE3CF F7F1D7 F28F3B B4D2A6 5FA386 1D4E4A C8553D FFFBEA"),
    _palette(Mood.DAWN, "rose dawn", "7E7FB5 E3A0AE FBDDB5 FFF0C2 C99BB0 86709E 33305C F2785C FFEFDA"),
    _palette(Mood.DAWN, "peach dawn", "8FB7C9 F3C3A2 FCE6C4 F9A26C B9B8AE 6F8A95 263F52 E8604C FFF4DF"),
    _palette(Mood.SUNSET, "ember", "452059 D24E5C FBB45C FFE08A B84A62 6F2B5C 260F36 FF8552 FFE9B8"),
    _palette(Mood.SUNSET, "tangerine", "E2583E F58A4B FCD581 FFF1B8 D8694A 933A45 3A1730 F6AE2D FFEFC9"),
    _palette(Mood.SUNSET, "violet hour", "2D2A5E 8E4A84 F79D7C FFD9A0 9A5A8A 55386F 1C173B FF6B6B FFE4C4"),
    _palette(Mood.NIGHT, "midnight", "0B1437 1D3467 4F78A8 F8F1D4 3C5C8C 213A68 0A1430 F2C14E F3ECCF", dark=True),
    _palette(Mood.NIGHT, "aurora", "0A1A33 12465A 4FA08B F4F1DE 2E7270 164A56 07202F F3B562 E9F5DB", dark=True),
    _palette(Mood.NIGHT, "plum night", "1B1140 43296F 9A62A0 FFE9C7 6B4A8E 3B2A66 140C30 FF8C61 FBE7D0", dark=True),
    _palette(Mood.WINTER, "frost", "9CC3D8 CFE1E8 F8F4EC FBD9A5 D3E2EA A9C6D8 EEF4F6 D1495B FFFFFF"),
    _palette(Mood.WINTER, "pale sun", "B7C7DB DCDDE6 FBEBDD F6A873 DDE1EC AEBBD3 F4F5F9 C8553D FFFFFF"),
    _palette(Mood.WINTER_NIGHT, "blue snow", "0D1B3E 2A4678 86A9CC FBF4DC 7F9FC6 5877A6 C4D6E8 F2B24C FFFFFF", dark=True),
    _palette(Mood.AUTUMN, "maple", "F3C77B F8DDA4 FCF0D3 E4572E DBA65A B3562F 43201F F2B035 FFF4D9"),
    _palette(Mood.AUTUMN, "bracken", "9DB7B2 E5CFA0 FAEBCB F0803C CFA15E 9A4A2F 2F2430 E3B23C FFF2D6"),
    _palette(Mood.SPRING, "blossom", "A8D5DB F3D3D6 FDEFE4 F9C74F C5DBB2 79B08A 2C5E55 EF6F8E FFF7F2"),
    _palette(Mood.SPRING, "meadow", "8CC7DE CDE7DC FBF6DD FFC857 B9D88F 6DAE6B 1F5747 F25F5C FFFCEB"),
    _palette(Mood.FOG, "mist", "A9B7B5 C9D1CA EFECE0 FBF6E6 BECAC4 84979A 3D4F57 C96F4A FAF7EC"),
    _palette(Mood.FOG, "lilac mist", "A8A6BE CBC7D3 F0E8E4 FFF3E0 C3BDCB 8C86A0 433F5C D9785F FBF4EE"),
    _palette(Mood.STORM, "slate", "3E4C5C 6E7F8B B9BEB6 E9E1C4 8A989B 51626C 1E2A35 E9A03B EFEAD8"),
    _palette(Mood.FOREST, "pine", "F0DDB4 F6E9C9 FBF3DD EF8354 B0C7A0 548B6C 14342F D9572B FFF7E2"),
    _palette(Mood.FOREST, "teal wood", "3C7A80 8DB69A F2DDA4 FBF0C4 86B29A 357268 0D2C30 EB7A45 FFF1CE"),
    _palette(Mood.FOREST, "moss", "C6D8B4 E2E7C2 FAF4D6 F4B942 AFC68A 5F8D4E 1E3A24 D1603D FEF9E1"),
    _palette(Mood.SEA, "lagoon", "8FD0D2 C4E6DC FBF1D6 F6A44C 7CC4C0 2C8C98 0D3F57 E5583A FFFAEA"),
    _palette(Mood.SEA, "riviera", "5AA9C9 A6D3DA FCEBCB F9C846 6DB6C4 2274A5 0F2F57 F2545B FFF8E6"),
    _palette(Mood.SEA, "coral sea", "F3A683 F8CFA6 FDEBCB F7584B 9CC5B8 3E8E95 153F56 F9B44B FFF5E0"),
    _palette(Mood.DESERT, "mesa", "F2B872 F8D39B FDEBC8 F45D3B DDA06A BF5F3E 5B2333 2A7F7A FFF1D4"),
    _palette(Mood.DESERT, "turquoise sky", "5FB3B3 B5D6BF FBE6BE FFF2CF E9B97C D07B49 6E2F35 F25F4C FFF3D8"),
    _palette(Mood.CITY, "concrete", "B9C0C4 D8D8D2 F4E9D8 EE6C4D B3BABF 707C88 262F3D F2A93B FFF6E4"),
    _palette(Mood.CITY, "poster city", "F2C078 F6D7A1 FBEBD0 D7443E C9A68A 5C6B7A 1C2B3E 2A9D8F FFF3DC"),
    _palette(Mood.NEON, "neon", "120B2E 3A1A66 D0438F FFB36B 5A2B85 2C1857 0C0722 2DE2E6 FFE9F3", dark=True),
    _palette(Mood.NEON, "cyan rain", "071C2C 0F4257 2FA6A0 F6F7D7 1F5E70 113A4E 051420 FF4F8B E3FFF6", dark=True),
    _palette(Mood.SPACE, "deep field", "0B0B26 241A4F 6A3D82 F6D6A8 5B4A8A 3A2C66 130E2E FF7B54 FFF0DB", dark=True),
    _palette(Mood.SPACE, "red planet", "140F24 3C1E3D A94B4B F9D9A6 B65A4A 7A3340 2A1226 4ECDC4 FFEBD2", dark=True),
    _palette(Mood.PASTEL, "sherbet", "BFD8E6 F3D9E2 FEF1DC F9A28E D6CBE3 9FB8CF 4C5B86 F38BA0 FFFDF7"),
    _palette(Mood.BOLD, "bauhaus", "F2E3C2 F5EAD0 FAF3E1 E63946 F4A83D 2A6F97 1D2437 D62839 FFF9EA"),
    _palette(Mood.BOLD, "palm springs", "F6C6A7 FADCC0 FDF0DC EF476F F7A072 118A8F 1B3A4B FFB627 FFF7E8"),
    _palette(Mood.BOLD, "olive and plum", "D9D3A5 E8E2BF F8F2DB D1603D B7A851 6B7A3A 3C1F3F B23A5B FFF9E3"),
)

_ANY_MOOD = (Mood.DAY, Mood.DAWN, Mood.SUNSET, Mood.AUTUMN, Mood.SPRING, Mood.BOLD, Mood.PASTEL, Mood.NIGHT)


def choose(mood: Mood | None, chance: Random) -> Palette:
    """One of the mood's palettes; of any pleasant one without a mood."""
    wanted = mood or chance.choice(_ANY_MOOD)
    return chance.choice([palette for own, palette in PALETTES if own is wanted])
