"""A load generator that costs little: HTTP/1.1 over plain streams, in a process of its own."""

import asyncio
import itertools
import json
import sys
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Target:
    """What to ask, again and again; each `{n}` in the body becomes a number of its own."""

    url: str
    body: str
    headers: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a run showed: rate in requests a second, latencies in milliseconds."""

    rate: float
    p50: float
    p99: float
    errors: int


async def _ask(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], target: Target, number: int) -> int:
    reader, writer = streams
    parts = urlsplit(target.url)
    body = target.body.replace("{n}", str(number)).encode()
    lines = [f"POST {parts.path} HTTP/1.1", f"host: {parts.netloc}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in target.headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    status = int((await reader.readline()).split()[1])
    length = 0
    while (line := await reader.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    await reader.readexactly(length)
    return status


async def saturate(target: Target, connections: int, seconds: float = 3600.0, count: int = 1_000_000) -> Figures:
    """Closed loop: as many requests as `connections` clients get through in that time, or `count` of them."""
    latencies: list[float] = []
    errors = 0
    numbers = itertools.count()
    began = time.perf_counter()

    async def client(first: int) -> None:
        nonlocal errors
        parts = urlsplit(target.url)
        streams = await asyncio.open_connection(parts.hostname, parts.port)
        number = first
        while time.perf_counter() - began < seconds and next(numbers) < count:
            at = time.perf_counter()
            status = await _ask(streams, target, number)
            latencies.append(time.perf_counter() - at)
            errors += status >= 300
            number += connections
        streams[1].close()

    await asyncio.gather(*(client(10_000_000 + n) for n in range(connections)))
    return _figures(latencies, errors, time.perf_counter() - began)


async def steady(target: Target, rate: float, seconds: float) -> Figures:
    """Open loop: `rate` requests a second, the earlier ones answered or not; latency counts from the due time."""
    latencies: list[float] = []
    errors = 0
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    parts = urlsplit(target.url)
    for _ in range(32):
        idle.put_nowait(await asyncio.open_connection(parts.hostname, parts.port))

    async def one(number: int, due: float) -> None:
        nonlocal errors
        streams = await idle.get()
        status = await _ask(streams, target, number)
        idle.put_nowait(streams)
        latencies.append(time.perf_counter() - due)
        errors += status >= 300

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(one(number, due))
    return _figures(latencies, errors, time.perf_counter() - began)


def _figures(latencies: list[float], errors: int, seconds: float) -> Figures:
    ordered = sorted(latencies)
    return Figures(
        rate=len(ordered) / seconds,
        p50=1000 * ordered[len(ordered) // 2],
        p99=1000 * ordered[int(len(ordered) * 0.99)],
        errors=errors,
    )


def main() -> None:
    order = json.load(sys.stdin)
    target = Target(**order["target"])
    if order["mode"] == "steady":
        figures = asyncio.run(steady(target, order["rate"], order["seconds"]))
    else:
        limits = {name: order[name] for name in ("seconds", "count") if name in order}
        figures = asyncio.run(saturate(target, order["connections"], **limits))
    print(json.dumps(vars(figures)))


if __name__ == "__main__":
    main()
