"""The pictures of the fake provider: good ones are good, and bad ones are bad in the way they should be."""

import base64
import io
import struct
from typing import Any

import pytest
from PIL import Image

from imagejobs.errors import NotAnImage
from imagejobs.imaging.sniff import announced_size, sniff
from imagejobs.providers.fake_server.pictures import HUGE_BYTES, Kind, Wish, picture


def a_wish(**changes: Any) -> Wish:
    return Wish(**{"seed": "purchase-1", "width": 64, "height": 48, **changes})


def bytes_of(wish: Wish) -> bytes:
    return b"".join(picture(wish).pieces())


def pixels_of(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as opened:
        return opened.convert("RGB").tobytes()


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (7, 9), (64, 48), (97, 1), (1024, 1024), (4096, 4096)])
@pytest.mark.parametrize("image_bytes", [0, 1000, 196_607, 196_608, 700_001])
def test_a_picture_is_good_and_of_the_size_asked_for(size: tuple[int, int], image_bytes: int) -> None:
    wish = a_wish(width=size[0], height=size[1], image_bytes=image_bytes)
    data = bytes_of(wish)
    assert len(data) == picture(wish).size
    assert image_bytes <= len(data)
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        assert (opened.format, opened.size) == ("PNG", size)


@pytest.mark.parametrize("image_bytes", [0, 1, 199_999, 200_000, 200_001, 1_500_000])
def test_its_base64_is_the_same_bytes(image_bytes: int) -> None:
    made = picture(a_wish(image_bytes=image_bytes))
    encoded = b"".join(made.base64_pieces())
    assert len(encoded) == made.base64_size
    assert base64.b64decode(encoded, validate=True) == b"".join(made.pieces())
    assert made.size < image_bytes + 1000


def test_the_same_purchase_gives_the_same_picture_and_another_one_another() -> None:
    first, again, other = bytes_of(a_wish()), bytes_of(a_wish()), bytes_of(a_wish(seed="purchase-2"))
    assert first == again
    assert pixels_of(first) != pixels_of(other)


@pytest.mark.parametrize("kind", [Kind.CORRUPT, Kind.TRUNCATED])
@pytest.mark.parametrize("image_bytes", [0, 300_000])
def test_a_spoiled_picture_looks_like_one_and_cannot_be_decoded(kind: Kind, image_bytes: int) -> None:
    data = bytes_of(a_wish(kind=kind, image_bytes=image_bytes))
    assert announced_size(data, sniff(data)) == (64, 48)
    with pytest.raises((OSError, SyntaxError, struct.error)), Image.open(io.BytesIO(data)) as opened:
        opened.load()


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.WRONG_TYPE, Kind.EMPTY])
def test_what_is_no_picture_of_ours_is_told_by_its_first_bytes(kind: Kind) -> None:
    with pytest.raises(NotAnImage):
        sniff(bytes_of(a_wish(kind=kind)))


def test_a_bomb_is_small_and_announces_what_it_becomes() -> None:
    data = bytes_of(a_wish(kind=Kind.BOMB))
    assert len(data) < 100_000
    assert announced_size(data, sniff(data)) == (20_000, 20_000)


def test_another_size_is_half_of_it_and_a_huge_one_has_its_bytes() -> None:
    with Image.open(io.BytesIO(bytes_of(a_wish(kind=Kind.WRONG_SIZE)))) as opened:
        assert opened.size == (32, 24)
    assert picture(a_wish(kind=Kind.HUGE)).size >= HUGE_BYTES
