"""Pictures, sound and hostile, through real child processes."""

import asyncio
import io
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator, Callable

import blurhash  # type: ignore[import-untyped]
import psutil
import pytest
import uvloop
from PIL import Image

from imagejobs.errors import ImageCorrupt, ImageTooLarge, InternalError, NotAnImage
from imagejobs.imaging import Decoder, PictureFacts, Thumbnail
from imagejobs.imaging.process import ChildProcess
from imagejobs.imaging.wire import Reply, Request

SOON = 10.0
ORIENTATION = 0x0112

HOLDS_A_DECODER = """
import asyncio
from imagejobs.imaging import Decoder

async def main():
    decoder = Decoder()
    await decoder.start()
    print(*(child.pid for child in decoder._living), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def drawing(width: int = 96, height: int = 64, mode: str = "RGB") -> Image.Image:
    """Something with edges, gradients and noise, so that its files are not trivially short."""
    ramp = Image.linear_gradient("L").resize((width, height))
    noise = Image.frombytes("L", (width, height), random.Random(7).randbytes(width * height))
    return Image.merge("RGB", (ramp, Image.blend(ramp, noise, 0.2), ramp.rotate(180))).convert(mode)


def encoded(picture: Image.Image, picture_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, picture_format, **options)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))


def png_of_zeros(width: int, height: int) -> bytes:
    """A black PNG of one bit per pixel: small on the wire whatever its size."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = chunk(b"IHDR", struct.pack("!IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def jpeg_that_claims(width: int, height: int) -> bytes:
    data = bytearray(encoded(drawing(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack("!HH", height, width)
    return bytes(data)


def webp_that_claims(width: int, height: int) -> bytes:
    data = bytearray(encoded(drawing(mode="RGBA"), "WEBP", exif=b"Exif\0\0"))
    assert data[12:16] == b"VP8X"
    data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


PNG = encoded(drawing(), "PNG")
PNG_FACTS = PictureFacts(media_type="image/png", width=96, height=64)
JPEG = encoded(drawing(), "JPEG", quality=90)
WEBP = encoded(drawing(), "WEBP", quality=90)
SECOND_FRAME = Image.new("RGB", (96, 64), "red")


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    instance = Decoder()
    await instance.start()
    yield instance
    await instance.stop()


def child_of(decoder: Decoder) -> psutil.Process:
    (child,) = decoder._living
    return psutil.Process(child.pid)


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.005)


async def in_flight(decoder: Decoder, data: bytes) -> "tuple[asyncio.Task[PictureFacts], psutil.Process]":
    """A request that a frozen child has received but cannot answer."""
    child = child_of(decoder)
    child.suspend()
    task = asyncio.create_task(decoder.inspect(data))
    await until(lambda: decoder._seats.empty())
    return task, child


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
    with pytest.raises(ImageCorrupt):
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
    [
        png_of_zeros(20_000, 20_000),
        png_of_zeros(7_000, 7_000),
        jpeg_that_claims(20_000, 20_000),
        jpeg_that_claims(6_500, 6_500),
    ],
    ids=["png", "png that pillow takes", "jpeg", "jpeg that pillow takes"],
)
async def test_a_bomb_is_refused_at_once_and_nothing_grows(decoder: Decoder, bomb: bytes) -> None:
    assert len(bomb) < 1_000_000
    here, child = psutil.Process(), child_of(decoder)
    before = here.memory_info().rss, child.memory_info().rss
    started = time.monotonic()
    for ask in (decoder.inspect, decoder.thumbnail):
        with pytest.raises(ImageTooLarge, match="40000000"):
            await ask(bomb)
    assert time.monotonic() - started < 1.0
    assert here.memory_info().rss - before[0] < 8_000_000
    assert child.memory_info().rss - before[1] < 8_000_000


async def test_a_picture_at_the_limit_is_decoded_within_the_memory(decoder: Decoder) -> None:
    largest = encoded(Image.new("RGBA", (6300, 6300), (200, 40, 0, 128)), "WEBP", lossless=True, quality=0, method=0)
    assert (await decoder.inspect(largest)).width == 6300
    assert (await decoder.thumbnail(largest)).width == 512


async def test_a_picture_that_needs_too_much_memory_is_too_large() -> None:
    decoder = Decoder(memory_bytes=128 * 1024 * 1024)
    await decoder.start()
    with pytest.raises(ImageTooLarge, match="memory"):
        await decoder.inspect(jpeg_that_claims(6_000, 6_000))
    assert await decoder.inspect(PNG) == PNG_FACTS
    await decoder.stop()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1", "I;16"])
async def test_thumbnails_are_small_whole_webps_in_the_same_shape(decoder: Decoder, mode: str) -> None:
    thumbnail = await decoder.thumbnail(encoded(drawing(1200, 600, mode), "PNG"))
    assert (thumbnail.width, thumbnail.height) == (512, 256)
    assert len(thumbnail.blurhash) == 28
    with Image.open(io.BytesIO(thumbnail.data), formats=("WEBP",)) as small:
        small.load()
        assert small.size == (512, 256)
        dark, bright = small.convert("L").getpixel((256, 5)), small.convert("L").getpixel((256, 250))
    assert isinstance(dark, int)
    assert isinstance(bright, int)
    if mode != "1":
        assert bright > dark + 30


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
    red, width, height = picture.getchannel("R"), picture.width, picture.height
    places = {
        (x, y): red.getpixel((width // 4 + x * width // 2, height // 4 + y * height // 2)) for x in (0, 1) for y in (0, 1)
    }
    return max(places, key=lambda place: places[place])


async def test_the_blurhash_shows_where_the_colors_are(decoder: Decoder) -> None:
    picture = Image.new("RGB", (600, 300), "navy")
    picture.paste("orange", (300, 0, 600, 300))
    thumbnail = await decoder.thumbnail(encoded(picture, "PNG"))
    rows = blurhash.decode(thumbnail.blurhash, 16, 8)
    left, right = rows[4][2], rows[4][13]
    assert left[2] > left[0]
    assert right[0] > right[2]


async def test_many_at_once_each_get_their_own_answer() -> None:
    decoder = Decoder(children=2)
    await decoder.start()
    pictures = [encoded(drawing(40 + number, 90), ("PNG", "JPEG", "WEBP")[number % 3]) for number in range(20)]
    facts = await asyncio.gather(*(decoder.inspect(data) for data in pictures))
    assert [fact.width for fact in facts] == [40 + number for number in range(20)]
    assert len(decoder._living) == 2
    await decoder.stop()


async def test_a_child_that_is_killed_in_the_middle_costs_the_caller_nothing(decoder: Decoder) -> None:
    asked, child = await in_flight(decoder, PNG)
    waiting = asyncio.create_task(decoder.inspect(JPEG))
    child.kill()
    assert await asked == PNG_FACTS
    assert (await waiting).media_type == "image/jpeg"
    assert is_gone(child)


async def test_a_child_that_is_killed_while_idle_is_replaced(decoder: Decoder) -> None:
    child_of(decoder).kill()
    assert await decoder.inspect(PNG) == PNG_FACTS


async def test_a_picture_that_kills_every_child_is_corrupt_and_stops_nobody_else(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, deaths = ChildProcess.exchange, []

    async def deadly(child: ChildProcess, request: Request) -> Reply:
        if request.data == PNG:
            os.kill(child.pid, signal.SIGKILL)
            deaths.append(child.pid)
        return await exchange(child, request)

    monkeypatch.setattr(ChildProcess, "exchange", deadly)
    poison, other = asyncio.create_task(decoder.inspect(PNG)), asyncio.create_task(decoder.inspect(JPEG))
    with pytest.raises(ImageCorrupt, match="crashes the decoder"):
        await poison
    assert (await other).media_type == "image/jpeg"
    assert len(set(deaths)) == 2


async def test_a_picture_over_the_time_limit_is_refused_and_its_child_replaced() -> None:
    decoder = Decoder(timeout_seconds=0.3)
    await decoder.start()
    asked, child = await in_flight(decoder, PNG)
    waiting = asyncio.create_task(decoder.inspect(JPEG))
    with pytest.raises(ImageTooLarge, match=r"0\.3 seconds"):
        await asked
    assert (await waiting).media_type == "image/jpeg"
    await until(lambda: is_gone(child))
    await decoder.stop()


async def test_a_canceled_caller_does_not_put_others_out_of_step(decoder: Decoder) -> None:
    asked, child = await in_flight(decoder, PNG)
    waiting = [asyncio.create_task(decoder.inspect(data)) for data in (JPEG, WEBP, PNG)]
    await asyncio.sleep(0)
    asked.cancel()
    waiting[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (await waiting[0]).media_type == "image/jpeg"
    assert await waiting[2] == PNG_FACTS
    await until(lambda: is_gone(child))


async def test_callers_canceled_at_every_step_leave_the_decoder_usable(decoder: Decoder) -> None:
    picture = encoded(drawing(700, 700), "PNG")
    for step in range(12):
        task = asyncio.create_task(decoder.inspect(picture))
        for _ in range(step):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert await decoder.inspect(PNG) == PNG_FACTS
    assert len(decoder._living) == 1


async def test_signals_to_the_group_do_not_end_a_child(decoder: Decoder) -> None:
    child = child_of(decoder)
    assert os.getpgid(child.pid) != os.getpgrp()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.killpg(os.getpgid(child.pid), number)
    assert await decoder.inspect(PNG) == PNG_FACTS
    assert child_of(decoder) == child


async def test_a_child_is_confined(decoder: Decoder) -> None:
    child = child_of(decoder)
    assert child.environ() == {}
    limits = {
        kind: child.rlimit(kind)
        for kind in (psutil.RLIMIT_NOFILE, psutil.RLIMIT_FSIZE, psutil.RLIMIT_CORE, psutil.RLIMIT_NPROC)
    }
    assert set(limits.values()) <= {(0, 0), (16, 16)}
    assert child.rlimit(psutil.RLIMIT_AS) == (1024**3, 1024**3)
    await decoder.inspect(PNG)
    assert child.rlimit(psutil.RLIMIT_CPU)[0] not in (resource.RLIM_INFINITY, 0)


async def test_stop_finishes_what_is_in_hand_and_leaves_no_process() -> None:
    decoder = Decoder(children=2)
    await decoder.start()
    children = [psutil.Process(child.pid) for child in decoder._living]
    asked = asyncio.create_task(decoder.inspect(encoded(drawing(2000, 2000), "PNG", compress_level=1)))
    await until(lambda: decoder._seats.qsize() == 1)
    await decoder.stop()
    assert (await asked).width == 2000
    assert all(map(is_gone, children))
    with pytest.raises(InternalError):
        await decoder.inspect(PNG)
    await decoder.stop()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "killed in the middle of a request"])
async def test_a_child_does_not_outlive_its_parent(busy: bool) -> None:
    script = HOLDS_A_DECODER
    if busy:
        script = script.replace(
            "await asyncio.Event().wait()", "await asyncio.gather(*(decoder.inspect(DATA) for _ in range(999)))"
        )
        script = f"DATA = bytes.fromhex('{PNG.hex()}')\n" + script
    parent = await asyncio.create_subprocess_exec(sys.executable, "-I", "-c", script, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))
    assert not is_gone(child)
    parent.kill()
    await parent.wait()
    await until(lambda: is_gone(child))


def test_it_works_on_uvloop_as_well() -> None:
    async def main() -> tuple[PictureFacts, PictureFacts, Thumbnail]:
        decoder = Decoder()
        await decoder.start()
        asked, child = await in_flight(decoder, PNG)
        child.kill()
        facts = await asked
        canceled, _ = await in_flight(decoder, JPEG)
        canceled.cancel()
        await asyncio.wait([canceled])
        outcome = facts, await decoder.inspect(JPEG), await decoder.thumbnail(WEBP)
        await decoder.stop()
        return outcome

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        png, jpeg, thumbnail = runner.run(main())
    assert (png, jpeg.media_type, thumbnail.width) == (PNG_FACTS, "image/jpeg", 96)
