"""C18: metadata is taken out of a picture from wherever it can stand, and what the picture shows stays to the last pixel."""

import io
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from imagejobs.imaging.clean import cleaned, orientation
from imagejobs.imaging.sniff import sniff
from imagejobs.imaging.wire import Format
from tests.integration.imaging_pictures import JPEG, PNG, WEBP, chunk, drawing, encoded

SECRET = b"59.9139N 10.7522E"
PROFILE: bytes = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + SECRET + b"</x:xmpmeta>"
FRAMES = {"save_all": True, "append_images": [Image.new("RGB", (96, 64), "red")], "duration": 100}


def exif(turn: int) -> bytes:
    """What a telephone writes: place, model, and which way is up."""
    block = Image.Exif()
    block[0x0112] = turn
    block[0x010F] = SECRET.decode()
    block.get_ifd(0x8825).update({1: "N", 2: (59.0, 54.0, 50.0), 29: SECRET.decode()})
    return block.tobytes()


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0xFF, marker, len(body) + 2) + body


def jpeg(turn: int, **options: object) -> bytes:
    """Metadata in every application segment, as a comment, and as a thumbnail; filled up and out of place too."""
    plain = encoded(drawing(), "JPEG", exif=exif(turn), xmp=XMP, comment=SECRET, icc_profile=PROFILE, **options)
    assert plain[2:4] == b"\xff\xe0"
    thumbnail = b"JFIF\0\1\1\0\0\1\0\1\2\2" + SECRET[:12]
    further = b"".join(segment(0xE0 + number, b"XYZ\0" + SECRET) for number in range(16))
    flashpix, jumbf = segment(0xE2, b"FPXR\0" + SECRET), segment(0xEB, b"JP\0\0" + SECRET)
    return plain[:2] + segment(0xE0, thumbnail) + further + flashpix + b"\xff\xff" + jumbf + plain[20:]


def png(turn: int, **options: object) -> bytes:
    """Text of all three kinds, a place before the pixels and one behind them, a date, and a chunk that nobody knows."""
    words = PngInfo()
    words.add_text("Location", SECRET.decode())
    words.add_text("Packed", SECRET.decode() * 2, zip=True)
    words.add_itxt("XML:com.adobe.xmp", XMP.decode())
    plain = encoded(drawing(), "PNG", exif=exif(turn), pnginfo=words, icc_profile=PROFILE, **options)
    late = chunk(b"tIME", SECRET[:7]) + chunk(b"prVt", SECRET) + chunk(b"caBX", SECRET)
    return plain[:-12] + late + plain[-12:]


def webp(turn: int, **options: object) -> bytes:
    plain = encoded(drawing(), "WEBP", exif=exif(turn), xmp=XMP, icc_profile=PROFILE, **options)
    whole = plain + b"PRVT" + struct.pack("<I", len(SECRET)) + SECRET + b"\0"
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


SAMPLES: Mapping[str, Callable[[int], bytes]] = {
    "jpeg": jpeg,
    "progressive jpeg": lambda turn: jpeg(turn, progressive=True, quality=80),
    "jpeg with a camera's thumbnail": lambda turn: encoded(drawing(), "JPEG", exif=exif(turn) + JPEG + SECRET),
    "jpeg with restarts": lambda turn: jpeg(turn, restart_marker_rows=1),
    "png": png,
    "animated png": lambda turn: png(turn, **FRAMES),
    "webp": webp,
    "lossless webp": lambda turn: webp(turn, lossless=True),
    "animated webp": lambda turn: webp(turn, **FRAMES),
}


def shown(data: bytes) -> list[object]:
    """All that a picture shows: every frame's pixels, its colour profile, and which way is up."""
    with Image.open(io.BytesIO(data)) as picture:
        frames: list[object] = [picture.info.get("icc_profile"), picture.getexif().get(0x0112, 1)]
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            frames += [picture.mode, picture.tobytes(), picture.info.get("duration")]
    return frames


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize("sample", SAMPLES.values(), ids=list(SAMPLES))
def test_c18_nothing_that_a_picture_tells_is_left_and_all_that_it_shows(sample: Callable[[int], bytes], turn: int) -> None:
    data = sample(turn)
    own, end = cleaned(data, sniff(data))
    assert end == len(data)
    for rest in (b"PK\x03\x04 a ZIP archive", data):
        assert cleaned(data + rest, sniff(data)) == (own, end)
    assert shown(own) == shown(data)
    for secret in (SECRET, SECRET[:12], b"GPS", b"xmpmeta"):
        assert secret not in own
    with Image.open(io.BytesIO(own)) as picture:
        assert set(picture.getexif()) <= {0x0112}
        assert {"comment", "xmp", "Location", "Packed", "XML:com.adobe.xmp"}.isdisjoint(picture.info)
    assert cleaned(own, sniff(own)) == (own, len(own))


PLAIN = {
    "jpeg": JPEG,
    "png": PNG,
    "webp": WEBP,
    "cmyk": encoded(drawing(mode="CMYK"), "JPEG"),
    "palette": encoded(drawing(mode="P"), "PNG", transparency=0),
    "deep": encoded(drawing(mode="I;16"), "PNG"),
    "transparent webp": encoded(drawing(mode="RGBA"), "WEBP"),
    "optimized": encoded(drawing(), "JPEG", optimize=True, progressive=True, subsampling=0),
    "with a profile": encoded(drawing(), "JPEG", icc_profile=PROFILE),
    "animated": encoded(drawing(), "WEBP", **FRAMES),
}


@pytest.mark.parametrize("data", PLAIN.values(), ids=list(PLAIN))
@pytest.mark.parametrize("rest", [b"", b"PK\x03\x04 something else"])
def test_a_picture_that_tells_nothing_stays_as_it_is_byte_for_byte(data: bytes, rest: bytes) -> None:
    assert cleaned(data + rest, sniff(data)) == (data, len(data))


@pytest.mark.parametrize("block", [b"", b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0\xff\xff broken", exif(9), exif(0), SECRET])
def test_an_orientation_that_cannot_be_read_is_none(block: bytes) -> None:
    assert orientation(block) == 1


ENDLESS = {
    "a run of fill bytes": b"\xff\xd8" + b"\xff" * 4_000_000,
    "comments of nothing": b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000,
    "scans of nothing": b"\xff\xd8" + b"\xff\xda\0\2a" * 1_000_000,
    "EXIF of nothing": b"\xff\xd8" + segment(0xE1, b"Exif\0\0") * 1_000_000,
    "chunks of nothing": PNG[:8] + chunk(b"eXIf", b"") * 1_000_000,
    "RIFF of nothing": b"RIFF" + struct.pack("<I", 8_000_004) + b"WEBP" + b"EXIF\0\0\0\0" * 1_000_000,
}


@pytest.mark.parametrize("data", ENDLESS.values(), ids=list(ENDLESS))
def test_c18_a_file_that_is_all_structure_takes_no_time(data: bytes) -> None:
    began = time.process_time()
    with suppress(EOFError):
        cleaned(data, sniff(data))
    assert time.process_time() - began < 20  # without a bound it would be minutes


@given(data=st.binary(max_size=200), kind=st.sampled_from(Format))
def test_any_bytes_come_to_an_end(data: bytes, kind: Format) -> None:
    try:
        own, end = cleaned(data, kind)
    except EOFError:
        return
    assert len(own) <= len(data) + 16
    assert 0 <= end <= len(data) + 14


@given(data=st.sampled_from([jpeg(6), png(6), webp(6)]), at=st.floats(0, 1), flip=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_picture_comes_to_an_end(data: bytes, at: float, flip: int, cut: bool) -> None:
    place = int(at * (len(data) - 1))
    damaged = data[:place] if cut else data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]
    try:
        cleaned(damaged, sniff(data))
    except EOFError:
        return
