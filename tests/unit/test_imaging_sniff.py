import io

import pytest
from hypothesis import given, strategies as st
from PIL import Image

from imagejobs.errors import NotAnImage
from imagejobs.imaging.sniff import announced_size, sniff
from imagejobs.imaging.wire import Format


def saved(picture_format: str, size: tuple[int, int] = (33, 17), mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, picture_format, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "empty"),
        (b"\n <!DOCTYPE html><title>Bad gateway</title>", "HTML"),
        (b"\xef\xbb\xbf<html>", "HTML"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<?xml version='1.0'?>\n<!-- art -->\n<svg/>", "SVG"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
        (b'{"error": {"code": 429}}', "JSON"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (saved("GIF"), "GIF"),
        (saved("BMP"), "BMP"),
        (saved("TIFF"), "TIFF"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "unknown"),
        (b"\x89PNG\r\n", "unknown"),
        (b"just text", "unknown"),
    ],
)
def test_rubbish_is_refused_by_name(data: bytes, named: str) -> None:
    with pytest.raises(NotAnImage, match=named):
        sniff(data)


@given(data=st.binary(max_size=64))
def test_any_bytes_have_a_format_or_are_refused(data: bytes) -> None:
    try:
        picture_format = sniff(data)
    except NotAnImage:
        return
    announced_size(data, picture_format)


@pytest.mark.parametrize(
    "data",
    [
        saved("PNG"),
        saved("WEBP"),
        saved("WEBP", lossless=True),
        saved("WEBP", mode="RGBA"),
        saved("WEBP", save_all=True, append_images=[Image.new("RGB", (33, 17), "red")]),
    ],
    ids=["png", "webp lossy", "webp lossless", "webp alpha", "webp animated"],
)
def test_the_announced_size_is_the_pictures(data: bytes) -> None:
    assert announced_size(data, sniff(data)) == (33, 17)


def test_a_jpegs_size_is_left_to_the_child() -> None:
    assert announced_size(saved("JPEG"), Format.JPEG) is None
