"""Untrusted pictures, decoded in warm child processes with limits on memory, time and pixels."""

import asyncio
import math
from dataclasses import dataclass, field

from imagejobs.errors import ImageCorrupt, ImageTooLarge, InternalError
from imagejobs.imaging.process import ChildDied, ChildProcess
from imagejobs.imaging.sniff import announced_size, sniff
from imagejobs.imaging.wire import BLURHASH_LENGTH, EXTENT, Limits, Operation, Reply, Request, Status

_SPAWN_SECONDS = 30.0
_SPARE_CPU_SECONDS = 5
_MAX_THUMBNAIL_EDGE = 4096


@dataclass(frozen=True, kw_only=True)
class PictureFacts:
    """What a whole and sound picture is: its media type, and its size in pixels as stored, before any EXIF turn.

    `media_type` is image/png, image/jpeg or image/webp. Of an animated picture these are the facts of its first frame.
    """

    media_type: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A small WebP, upright, with its transparency, and a BlurHash of 4 by 3 components to show while it loads."""

    data: bytes = field(repr=False)
    width: int
    height: int
    blurhash: str


class Decoder:
    """Judges pictures and makes thumbnails in `children` processes; what they are fed cannot harm this one.

    `memory_bytes` is the address space of one child, `timeout_seconds` the time for one picture once its turn has come.
    Callers are served in order of arrival. A child that dies, stalls or is left in the middle by a canceled caller is never
    used again; its successor starts with the next picture.
    """

    def __init__(
        self,
        *,
        children: int = 1,
        max_pixels: int = 40_000_000,
        max_bytes: int = 64 * 1024 * 1024,
        memory_bytes: int = 1024 * 1024 * 1024,
        timeout_seconds: float = 30.0,
    ) -> None:
        cpu_seconds = math.ceil(timeout_seconds) + _SPARE_CPU_SECONDS
        self._limits = Limits(max_pixels=max_pixels, memory_bytes=memory_bytes, cpu_seconds=cpu_seconds)
        self._max_bytes = max_bytes
        self._timeout_seconds = timeout_seconds
        self._seats: asyncio.Queue[ChildProcess | None] = asyncio.Queue()
        for _ in range(children):
            self._seats.put_nowait(None)
        self._living: set[ChildProcess] = set()
        self._dying: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def start(self) -> None:
        """Every child is warm when this returns; raises InternalError where one does not come up."""
        outcomes = await asyncio.gather(*(self._warm() for _ in range(self._seats.qsize())), return_exceptions=True)
        problem = next((outcome for outcome in outcomes if outcome is not None), None)
        if problem is not None:
            await self.stop()
            raise problem

    async def stop(self) -> None:
        """End all children; what they have in hand is finished if it takes no more than five seconds."""
        self._stopped = True
        await asyncio.gather(*(child.end() for child in self._living))
        self._living.clear()
        while self._dying:
            await asyncio.gather(*self._dying)

    async def inspect(self, data: bytes) -> PictureFacts:
        """Decode the whole picture and say what it is; raises NotAnImage, ImageCorrupt, ImageTooLarge.

        A picture cut off, or a PNG with a wrong checksum, is corrupt. Of an animated one only the first frame is decoded.
        """
        return (await self._seen(Operation.INSPECT, data))[0]

    async def clean(self, data: bytes) -> tuple[PictureFacts, bytes, int]:
        """As `inspect` of the picture without metadata; also its bytes then, and how many it took up with them.

        What follows these is another file glued on. Pixels, colour profile and orientation are as they were.
        """
        facts, payload = await self._seen(Operation.CLEAN, data)
        end = EXTENT.unpack_from(payload)[0]
        return facts, payload[EXTENT.size :] or data[:end], end

    async def thumbnail(self, data: bytes, max_edge: int = 512) -> Thumbnail:
        """Shrink the picture to at most `max_edge` pixels a side, never enlarging it; raises as `inspect` does.

        It is lenient where `inspect` is strict: broken metadata only costs what it says.
        """
        if not 1 <= max_edge <= _MAX_THUMBNAIL_EDGE:
            raise ValueError(f"max_edge must lie between 1 and {_MAX_THUMBNAIL_EDGE}")
        reply = await self._run(self._request(Operation.THUMBNAIL, data, max_edge))
        blurhash = reply.payload[:BLURHASH_LENGTH].decode("ascii", "replace")
        return Thumbnail(data=reply.payload[BLURHASH_LENGTH:], width=reply.width, height=reply.height, blurhash=blurhash)

    async def _seen(self, operation: Operation, data: bytes) -> tuple[PictureFacts, bytes]:
        request = self._request(operation, data)
        reply = await self._run(request)
        return PictureFacts(media_type=request.format.media_type, width=reply.width, height=reply.height), reply.payload

    def _request(self, operation: Operation, data: bytes, max_edge: int = 0) -> Request:
        picture_format = sniff(data)
        if len(data) > self._max_bytes:
            raise ImageTooLarge(
                f"The picture has {len(data)} bytes and at most {self._max_bytes} are decoded; ask for a smaller one."
            )
        size = announced_size(data, picture_format)
        if size is not None and size[0] * size[1] > self._limits.max_pixels:
            raise ImageTooLarge(self._too_many_pixels(f"{size[0]} by {size[1]} pixels"))
        return Request(operation=operation, format=picture_format, max_edge=max_edge, data=data)

    async def _run(self, request: Request) -> Reply:
        """The answer to `request`, asked a second time where a child died: it may have been somebody else's doing."""
        try:
            reply = await self._exchange(request)
        except ChildDied:
            try:
                reply = await self._exchange(request)
            except ChildDied as error:
                raise ImageCorrupt("The picture crashes the decoder; a retry buys another one.") from error
        self._raise_refusal(reply)
        return reply

    async def _warm(self) -> None:
        child = self._seats.get_nowait()
        try:
            child = await self._usable(child)
        finally:
            self._seats.put_nowait(child)

    async def _exchange(self, request: Request) -> Reply:
        child = await self._seats.get()
        reply: Reply | None = None
        try:
            child = await self._usable(child)
            async with asyncio.timeout(self._timeout_seconds):
                reply = await child.exchange(request)
        except TimeoutError as error:
            raise ImageTooLarge(
                f"The picture was not decoded within {self._timeout_seconds:g} seconds; ask for a smaller or simpler one."
            ) from error
        finally:
            if reply is None or reply.status is Status.OUT_OF_MEMORY:
                self._discard(child)
                child = None
            self._seats.put_nowait(child)
        return reply

    async def _usable(self, child: ChildProcess | None) -> ChildProcess:
        """`child` itself while it lives, else a fresh one."""
        if child is not None and child.alive:
            return child
        self._discard(child)
        return await self._spawn()

    async def _spawn(self) -> ChildProcess:
        if self._stopped:
            raise InternalError("The decoder was stopped; start the worker again.")
        try:
            child = await ChildProcess.spawn(self._limits)
        except OSError as error:
            raise InternalError("No decoder process could be started; look for the system's limits on processes.") from error
        self._living.add(child)
        try:
            async with asyncio.timeout(_SPAWN_SECONDS):
                await child.ready()
        except (ChildDied, TimeoutError) as error:
            self._discard(child)
            raise InternalError(
                "The decoder process ended while it started; its last words are in the worker's log."
            ) from error
        except asyncio.CancelledError:
            self._discard(child)
            raise
        return child

    def _discard(self, child: ChildProcess | None) -> None:
        """Kill and reap `child` without waiting for it."""
        if child is None:
            return
        self._living.discard(child)
        task = asyncio.create_task(child.kill())
        self._dying.add(task)
        task.add_done_callback(self._dying.discard)

    def _raise_refusal(self, reply: Reply) -> None:
        match reply.status:
            case Status.DONE:
                return
            case Status.TOO_LARGE:
                raise ImageTooLarge(self._too_many_pixels("too many pixels"))
            case Status.OUT_OF_MEMORY:
                raise ImageTooLarge("The picture needs more memory than decoding may take; ask for a smaller one.")
            case Status.CORRUPT | Status.READY:
                cause = ValueError(reply.payload.decode("utf-8", "replace"))
                raise ImageCorrupt("The picture is broken or cut off; a retry buys another one.") from cause

    def _too_many_pixels(self, found: str) -> str:
        return f"The picture has {found} and at most {self._limits.max_pixels} pixels are decoded; ask for a smaller one."
