"""Pictures, sound and hostile, judged and made small by a real child process."""

import io
import struct
import time
from collections.abc import AsyncIterator

import blurhash  # type: ignore[import-untyped]
import psutil
import pytest
import pytest_asyncio
from PIL import Image

from imagejobs.errors import ImageCorrupt, ImageTooLarge, NotAnImage
from imagejobs.imaging import Decoder, PictureFacts
from tests.integration.imaging_pictures import (
    JPEG,
    PNG,
    PNG_FACTS,
    WEBP,
    chunk,
    drawing,
    encoded,
    jpeg_that_claims,
    png_of_zeros,
    webp_that_claims,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORIENTATION = 0x0112
SECOND_FRAME = Image.new("RGB", (96, 64), "red")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def decoder() -> AsyncIterator[Decoder]:
    instance = Decoder()
    await instance.start()
    yield instance
    await instance.stop()


def child_of(decoder: Decoder) -> psutil.Process:
    (child,) = decoder._living
    return psutil.Process(child.pid)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (WEBP, "image/webp"),
        (encoded(drawing(mode="RGBA"), "WEBP", lossless=True), "image/webp"),
        (encoded(drawing(mode="P"), "PNG"), "image/png"),
        (encoded(drawing(mode="1"), "PNG"), "image/png"),
        (encoded(drawing(mode="I;16"), "PNG"), "image/png"),
        (encoded(drawing(), "JPEG", progressive=True), "image/jpeg"),
        (encoded(drawing(mode="CMYK"), "JPEG"), "image/jpeg"),
        (PNG + b"trailing bytes", "image/png"),
        (encoded(drawing(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff broken"), "image/jpeg"),
    ],
)
async def test_sound_pictures_of_every_kind(decoder: Decoder, data: bytes, media_type: str) -> None:
    assert await decoder.inspect(data) == PictureFacts(media_type=media_type, width=96, height=64)


@pytest.mark.parametrize("picture_format", ["PNG", "WEBP"])
async def test_an_animated_picture_is_taken_by_its_first_frame(decoder: Decoder, picture_format: str) -> None:
    data = encoded(drawing(), picture_format, save_all=True, append_images=[SECOND_FRAME], duration=100)
    assert await decoder.inspect(data) == PictureFacts(media_type=f"image/{picture_format.lower()}", width=96, height=64)
    with Image.open(io.BytesIO((await decoder.thumbnail(data)).data)) as small:
        assert not getattr(small, "is_animated", False)
        assert small.convert("RGB").getpixel((90, 5)) != (255, 0, 0)


@pytest.mark.parametrize("data", [PNG, JPEG, WEBP], ids=["png", "jpeg", "webp"])
async def test_a_picture_cut_off_anywhere_is_corrupt(decoder: Decoder, data: bytes) -> None:
    points = {20, 40, len(data) // 4, len(data) // 2, 3 * len(data) // 4, len(data) - 12, *range(len(data) - 5, len(data))}
    for length in sorted(points):
        with pytest.raises(ImageCorrupt):
            await decoder.inspect(data[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + b"garbage" * 100,
        b"\xff\xd8\xff\xe0" + b"garbage" * 100,
        b"RIFF\x00\x10\0\0WEBPVP8 " + b"garbage" * 100,
        PNG.replace(b"IDAT", b"IDAX", 1),
        PNG[:-30] + bytes([PNG[-30] ^ 1]) + PNG[-29:],
        PNG[:8] + chunk(b"IHDR", struct.pack("!IIBBBBB", 0, 0, 8, 2, 0, 0, 0)) + PNG[33:],
    ],
    ids=["png", "jpeg", "webp", "png without pixels", "png with a flipped bit", "png of no size"],
)
async def test_a_broken_picture_is_corrupt_and_the_child_lives_on(decoder: Decoder, data: bytes) -> None:
    child = child_of(decoder)
    with pytest.raises(ImageCorrupt, match="a retry buys another one"):
        await decoder.inspect(data)
    assert await decoder.inspect(PNG) == PNG_FACTS
    assert child_of(decoder) == child


async def test_rubbish_and_plain_bombs_never_reach_a_child() -> None:
    decoder = Decoder(max_bytes=100_000)
    for rubbish in (b"<html>", encoded(drawing(), "GIF"), b"%PDF-1.7", b""):
        with pytest.raises(NotAnImage):
            await decoder.inspect(rubbish)
        with pytest.raises(NotAnImage):
            await decoder.thumbnail(rubbish)
    for bomb in (png_of_zeros(20_000, 20_000), webp_that_claims(16_000, 16_000), PNG + bytes(100_000)):
        with pytest.raises(ImageTooLarge):
            await decoder.inspect(bomb)
    assert not decoder._living


@pytest.mark.parametrize(
    "bomb",
    [make(edge, edge) for make in (png_of_zeros, jpeg_that_claims) for edge in (20_000, 6_500)],
    ids=["png", "png pillow would take", "jpeg", "jpeg pillow would take"],
)
async def test_a_bomb_is_refused_at_once_and_nothing_grows(decoder: Decoder, bomb: bytes) -> None:
    assert len(bomb) < 1_000_000
    here, child = psutil.Process(), child_of(decoder)
    before = here.memory_info().rss, child.memory_info().rss
    worked = time.process_time() + sum(child.cpu_times()[:2])
    for ask in (decoder.inspect, decoder.thumbnail):
        with pytest.raises(ImageTooLarge, match="40000000"):
            await ask(bomb)
    assert time.process_time() + sum(child.cpu_times()[:2]) - worked < 1.0
    assert here.memory_info().rss - before[0] < 8_000_000
    assert child.memory_info().rss - before[1] < 8_000_000


async def test_a_picture_at_the_limit_is_decoded_within_the_memory(decoder: Decoder) -> None:
    largest = encoded(Image.new("RGBA", (6300, 6300), (200, 40, 0, 128)), "WEBP", lossless=True, quality=0, method=0)
    assert (await decoder.inspect(largest)).width == 6300
    assert (await decoder.thumbnail(largest)).width == 512


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1", "I;16"])
async def test_thumbnails_are_small_whole_webps_in_the_same_shape(decoder: Decoder, mode: str) -> None:
    thumbnail = await decoder.thumbnail(encoded(drawing(1200, 600, mode), "PNG"))
    assert (thumbnail.width, thumbnail.height) == (512, 256)
    assert len(thumbnail.blurhash) == 28
    with Image.open(io.BytesIO(thumbnail.data), formats=("WEBP",)) as small:
        small.load()
        assert small.size == (512, 256)
        rows = small.convert("L").resize((1, 4), Image.Resampling.BOX).tobytes()
    assert rows[0] + 30 < rows[3] or mode == "1"


async def test_a_cmyk_jpeg_and_a_wide_strip_have_thumbnails(decoder: Decoder) -> None:
    assert (await decoder.thumbnail(encoded(drawing(1200, 600, "CMYK"), "JPEG"))).width == 512
    strip = await decoder.thumbnail(encoded(drawing(4000, 2), "PNG"))
    assert (strip.width, strip.height) == (512, 1)


async def test_a_small_picture_is_not_enlarged_and_the_edge_is_the_callers(decoder: Decoder) -> None:
    assert (await decoder.thumbnail(PNG)).width == 96
    assert (await decoder.thumbnail(PNG, max_edge=48)).width == 48
    for edge in (0, -1, 100_000):
        with pytest.raises(ValueError, match="max_edge"):
            await decoder.thumbnail(PNG, max_edge=edge)


async def test_thumbnails_keep_transparency(decoder: Decoder) -> None:
    picture = Image.new("RGBA", (1000, 1000), (255, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 500, 1000))
    palette = picture.quantize(8)
    for data in (encoded(picture, "PNG"), encoded(picture, "WEBP", lossless=True), encoded(palette, "PNG")):
        with Image.open(io.BytesIO((await decoder.thumbnail(data)).data)) as small:
            alpha = small.convert("RGBA").getchannel("A")
            assert (alpha.getpixel((100, 256)), alpha.getpixel((400, 256))) == (0, 255)


@pytest.mark.parametrize("turn", range(1, 9))
async def test_thumbnails_stand_upright(decoder: Decoder, turn: int) -> None:
    """The stored picture is what a camera held in each of the eight ways makes of one with a red corner at the top left."""
    stored_corner = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[turn]
    upright = (800, 400)
    stored_size = upright if turn <= 4 else upright[::-1]
    stored = Image.new("RGB", stored_size, "blue")
    left, top = stored_corner[0] * stored_size[0] // 2, stored_corner[1] * stored_size[1] // 2
    stored.paste("red", (left, top, left + stored_size[0] // 2, top + stored_size[1] // 2))
    exif = Image.Exif()
    exif[ORIENTATION] = turn

    for picture_format in ("JPEG", "PNG", "WEBP"):
        data = encoded(stored, picture_format, exif=exif)
        thumbnail = await decoder.thumbnail(data)
        assert (thumbnail.width, thumbnail.height) == (512, 256)
        assert (await decoder.inspect(data)).width == stored_size[0]
        with Image.open(io.BytesIO(thumbnail.data)) as small:
            assert ORIENTATION not in small.getexif()
            assert reddest_corner(small) == (0, 0)


def reddest_corner(picture: Image.Image) -> tuple[int, int]:
    red = picture.getchannel("R").resize((2, 2), Image.Resampling.BOX).tobytes()
    brightest = red.index(max(red))
    return brightest % 2, brightest // 2


async def test_the_blurhash_shows_where_the_colors_are(decoder: Decoder) -> None:
    picture = Image.new("RGB", (600, 300), "navy")
    picture.paste("orange", (300, 0, 600, 300))
    thumbnail = await decoder.thumbnail(encoded(picture, "PNG"))
    rows = blurhash.decode(thumbnail.blurhash, 16, 8)
    left, right = rows[4][2], rows[4][13]
    assert left[2] > left[0]
    assert right[0] > right[2]
