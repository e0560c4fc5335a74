"""The process that touches untrusted pictures: `python -I -m imagejobs.imaging.child PIXELS BYTES SECONDS`.

Reads requests from stdin and answers on stdout until stdin ends, which it also does when the parent dies. It opens no file,
no socket and no process. SIGINT and SIGTERM do not end it: whoever stops a whole process group wants the worker to finish.
"""

import io
import resource
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO, assert_never

import blurhash  # type: ignore[import-untyped]
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401 - spares loading all plugins

from imagejobs.imaging.clean import cleaned, orientation
from imagejobs.imaging.wire import EXTENT, REQUEST, Format, Limits, Operation, Reply, Request, Status

_OPEN_FILES = 16
_BLURHASH_EDGE = 16
_WEBP_QUALITY = 80
_WEBP_METHOD = 2  # a third of the time of the usual 4, for some two per cent more bytes
_MAX_PROFILE_BYTES = 64 * 1024
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class _TooLarge(Exception):
    """The header announces more pixels than allowed."""


def main() -> None:
    """Answer requests, under the limits that the arguments state, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    limits = Limits.parse(sys.argv[1:])
    _prepare(limits)
    _confine(limits)
    sink = sys.stdout.buffer
    with suppress(BrokenPipeError):
        _send(sink, Reply(status=Status.READY))
        for request in _requests(sys.stdin.buffer):
            _allow_cpu(limits.cpu_seconds)
            reply = _answer(request, limits.max_pixels)
            _send(sink, reply)
            if reply.status is Status.OUT_OF_MEMORY:
                return


def _prepare(limits: Limits) -> None:
    """Warm the three codecs, and make Pillow's own bomb warning an error at our limit.

    Other warnings stay silent: a picture whose EXIF block is broken is still a picture.
    """
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.MAX_IMAGE_PIXELS = limits.max_pixels
    for picture_format in Format:
        sample = io.BytesIO()
        Image.new("RGB", (1, 1)).save(sample, picture_format.name)
        Image.open(sample, formats=(picture_format.name,)).load()


def _confine(limits: Limits) -> None:
    if sys.platform == "linux":  # elsewhere the kernel refuses or ignores it
        _limit(resource.RLIMIT_AS, limits.memory_bytes)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NPROC, 0)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _allow_cpu(seconds: int) -> None:
    """End this process after `seconds` more of CPU time; the parent's own clock is the first to notice."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, hard))


def _requests(source: BinaryIO) -> Iterator[Request]:
    while len(header := source.read(REQUEST.size)) == REQUEST.size:
        operation, picture_format, max_edge, length = REQUEST.unpack(header)
        data = source.read(length)
        if len(data) < length:
            return
        yield Request(operation=Operation(operation), format=Format(picture_format), max_edge=max_edge, data=data)


def _send(sink: BinaryIO, reply: Reply) -> None:
    sink.write(reply.header())
    sink.write(reply.payload)
    sink.flush()


def _answer(request: Request, max_pixels: int) -> Reply:
    try:
        match request.operation:
            case Operation.INSPECT:
                return _inspect(request, max_pixels)
            case Operation.THUMBNAIL:
                return _thumbnail(request, max_pixels)
            case Operation.CLEAN:
                own, end = cleaned(request.data, request.format)
                seen = _inspect(replace(request, data=own), max_pixels)
                return replace(seen, payload=EXTENT.pack(end) + (b"" if own == request.data[:end] else own))
            case _:
                assert_never(request.operation)
    except (_TooLarge, Image.DecompressionBombWarning, Image.DecompressionBombError):
        return Reply(status=Status.TOO_LARGE)
    except MemoryError:
        return Reply(status=Status.OUT_OF_MEMORY)
    except Exception as error:  # noqa: BLE001 - a broken file makes a codec raise anything
        return Reply(status=Status.CORRUPT, payload=f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:500])


def _open(request: Request, max_pixels: int) -> Image.Image:
    return _opened(io.BytesIO(request.data), request.format, max_pixels)


def _opened(source: io.BytesIO, picture_format: Format, max_pixels: int) -> Image.Image:
    picture = Image.open(source, formats=(picture_format.name,))
    if picture.width * picture.height > max_pixels:
        raise _TooLarge
    return picture


def _inspect(request: Request, max_pixels: int) -> Reply:
    if request.format is Format.PNG:
        _verify_png(request, max_pixels)
    picture = _open(request, max_pixels)
    width, height = picture.size
    picture.load()
    return Reply(status=Status.DONE, width=width, height=height)


def _verify_png(request: Request, max_pixels: int) -> None:
    """Check what loading does not ask for: checksums, and that the closing chunk is there to its last byte."""
    source = io.BytesIO(request.data)
    _opened(source, request.format, max_pixels).verify()
    if len(source.read(4)) < 4:
        raise EOFError("the closing chunk is cut off")


def _thumbnail(request: Request, max_pixels: int) -> Reply:
    picture = _open(request, max_pixels)
    picture.draft(None, (2 * request.max_edge, 2 * request.max_edge))
    picture.load()
    turn = _UPRIGHT.get(orientation(picture.info.get("exif", b"")))
    profile = picture.info.get("icc_profile") if picture.mode in ("RGB", "RGBA", "P") else None
    small = _in_color(picture)
    small.thumbnail((request.max_edge, request.max_edge), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if turn is not None:
        small = small.transpose(turn)
    kept_profile = profile if profile and len(profile) <= _MAX_PROFILE_BYTES else None
    out = io.BytesIO()
    small.save(out, "WEBP", quality=_WEBP_QUALITY, method=_WEBP_METHOD, icc_profile=kept_profile)
    return Reply(status=Status.DONE, width=small.width, height=small.height, payload=_blurhash(small) + out.getbuffer())


def _in_color(picture: Image.Image) -> Image.Image:
    """The picture as RGB, or RGBA where it has transparency; 16-bit gray scaled rather than clipped."""
    if picture.mode in ("RGB", "RGBA"):
        if "transparency" not in picture.info:
            return picture
    elif picture.mode.startswith("I"):
        picture = picture.convert("I").point(lambda level: level / 256).convert("L")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _blurhash(picture: Image.Image) -> bytes:
    """4 by 3 components, transparency over white."""
    tiny = picture.copy()
    tiny.thumbnail((_BLURHASH_EDGE, _BLURHASH_EDGE), Image.Resampling.BOX)
    if tiny.mode == "RGBA":
        tiny = Image.alpha_composite(Image.new("RGBA", tiny.size, "white"), tiny).convert("RGB")
    pixels = tiny.tobytes()
    rows = [
        [pixels[offset : offset + 3] for offset in range(3 * tiny.width * y, 3 * tiny.width * (y + 1), 3)]
        for y in range(tiny.height)
    ]
    encoded: str = blurhash.encode(rows, components_x=4, components_y=3)
    return encoded.encode("ascii")


if __name__ == "__main__":
    main()
