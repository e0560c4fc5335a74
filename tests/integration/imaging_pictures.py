"""Pictures for the decoder's tests: sound ones in every format, and bombs."""

import io
import random
import struct
import zlib
from functools import cache

from PIL import Image

from imagejobs.imaging import PictureFacts


def drawing(width: int = 96, height: int = 64, mode: str = "RGB") -> Image.Image:
    """Something with edges, gradients and noise, so that its files are not trivially short."""
    ramp = Image.linear_gradient("L").resize((width, height))
    noise = Image.frombytes("L", (width, height), random.Random(7).randbytes(width * height))
    if mode == "I;16":
        return ramp.convert("I").point(lambda level: level * 256).convert(mode)
    return Image.merge("RGB", (ramp, Image.blend(ramp, noise, 0.2), ramp.rotate(180))).convert(mode)


def encoded(picture: Image.Image, picture_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    if picture_format == "PNG":
        options.setdefault("compress_level", 1)
    picture.save(out, picture_format, **options)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))


@cache
def png_of_zeros(width: int, height: int) -> bytes:
    """A black PNG of one bit per pixel: small on the wire whatever its size."""
    packer = zlib.compressobj(1)
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
    data = bytearray(encoded(Image.new("RGBA", (9, 9)), "WEBP"))
    assert data[12:16] == b"VP8X"
    data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


PNG = encoded(drawing(), "PNG")
PNG_FACTS = PictureFacts(media_type="image/png", width=96, height=64)
JPEG = encoded(drawing(), "JPEG", quality=90)
WEBP = encoded(drawing(), "WEBP", quality=90)


def telling(picture_format: str, told: str, turn: int = 6) -> bytes:
    """A picture that says beside its pixels where it was taken, as telephones' do, and which way is up."""
    exif = Image.Exif()
    exif[0x0112] = turn
    exif[0x010E] = told
    return encoded(drawing(), picture_format, exif=exif.tobytes())
