"""The decoder's children: killed, stalled, canceled, crowded, orphaned; nobody gets the wrong answer, nothing is left."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable

import psutil
import pytest
import uvloop

from imagejobs.errors import ImageCorrupt, ImageTooLarge, InternalError
from imagejobs.imaging import Decoder, PictureFacts, Thumbnail, process
from imagejobs.imaging.process import ChildProcess
from imagejobs.imaging.wire import Reply, Request
from tests.integration.imaging_pictures import JPEG, PNG, PNG_FACTS, WEBP, drawing, encoded, jpeg_that_claims

SOON = 10.0

HOLDS_A_DECODER = """
import asyncio, sys
from imagejobs.imaging import Decoder

async def main():
    decoder = Decoder()
    await decoder.start()
    print(*(child.pid for child in decoder._living), flush=True)
    while data := bytes.fromhex("".join(sys.argv[1:])):
        await decoder.inspect(data)
    await asyncio.Event().wait()

asyncio.run(main())
"""


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
    await until(decoder._seats.empty)
    return task, child


async def test_a_picture_that_needs_too_much_memory_is_too_large() -> None:
    decoder = Decoder(memory_bytes=128 * 1024 * 1024)
    await decoder.start()
    with pytest.raises(ImageTooLarge, match="memory"):
        await decoder.inspect(jpeg_that_claims(6_000, 6_000))
    assert await decoder.inspect(PNG) == PNG_FACTS
    await decoder.stop()


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
    with pytest.raises(ImageCorrupt, match="crashes the decoder; a retry buys another one"):
        await poison
    assert (await other).media_type == "image/jpeg"
    assert len(set(deaths)) == 2


async def test_a_picture_over_the_time_limit_is_refused_and_its_child_replaced(
    put_forward: Callable[[float], None],
) -> None:
    decoder = Decoder(timeout_seconds=60.0)
    await decoder.start()
    asked, child = await in_flight(decoder, PNG)
    waiting = asyncio.create_task(decoder.inspect(JPEG))
    put_forward(60.0)
    with pytest.raises(ImageTooLarge, match="60 seconds"):
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
    assert child.rlimit(psutil.RLIMIT_NOFILE) == (16, 16)
    for kind in (psutil.RLIMIT_FSIZE, psutil.RLIMIT_CORE, psutil.RLIMIT_NPROC):
        assert child.rlimit(kind) == (0, 0)
    assert child.rlimit(psutil.RLIMIT_AS) == (1024**3, 1024**3)
    await decoder.inspect(PNG)
    assert child.rlimit(psutil.RLIMIT_CPU)[0] not in (resource.RLIM_INFINITY, 0)


async def test_stop_finishes_what_is_in_hand_and_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_END_SECONDS", 60.0)
    decoder = Decoder(children=2)
    await decoder.start()
    children = [psutil.Process(child.pid) for child in decoder._living]
    asked = asyncio.create_task(decoder.inspect(encoded(drawing(2000, 2000), "PNG")))
    await until(lambda: decoder._seats.qsize() == 1)
    await decoder.stop()
    assert (await asked).width == 2000
    assert all(map(is_gone, children))
    with pytest.raises(InternalError):
        await decoder.inspect(PNG)
    await decoder.stop()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "killed in the middle of a request"])
async def test_a_child_does_not_outlive_its_parent(busy: bool) -> None:
    command = [sys.executable, "-I", "-c", HOLDS_A_DECODER, *([PNG.hex()] if busy else [])]
    parent = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
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
