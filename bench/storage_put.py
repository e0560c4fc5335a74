"""What our adapters cost in CPU per picture, beside obstore's own `put_async` of the same bytes to the same server.

    PYTHONPATH=. .venv/bin/python -m bench.storage_put [--pictures 1200] [--kilobytes 1500]

The server is a sink in a process of its own that reads what it is sent and answers at once. Rounds of the contestants take
turns in one run, on the loop that workers run on. The figure is this process's CPU time (user and system) in the cheapest
round, for whatever else the machine does only adds to it; the ratio is the one that the design bounds.
"""

import argparse
import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import obstore
import uvloop
from obstore.store import S3Store

from bench.report import Claim, report
from imagejobs.net.http import Outbound
from imagejobs.storage.objectstore import Address, ObjectStorage
from imagejobs.storage.supabase import Project, SupabaseStorage

MOST_RATIO = 1.3
ROUNDS = 24
AT_ONCE = 8
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}

SINK = """
import asyncio

kept = {}

async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode("latin-1")
            first, *lines = head.split("\\r\\n")
            headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
            left = size = int(headers.get("content-length", 0))
            while left:
                left -= len(await reader.read(min(left, 1 << 20)))
            method, path, _ = first.split(" ", 2)
            key = path.partition("/asset-images/")[2]
            if method == "POST":
                kept[key] = size
            length = kept.get(key, 0) if method == "HEAD" else 2
            body = b"" if method == "HEAD" else b"{}"
            writer.write(b'HTTP/1.1 200 OK\\r\\netag: "1"\\r\\ncontent-length: %d\\r\\n\\r\\n' % length + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 21)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""

Put = Callable[[str, bytes], Awaitable[object]]


async def cpu_ms(put: Put, data: bytes, pictures: int) -> float:
    """CPU milliseconds of this process per picture."""
    numbers = iter(range(pictures))

    async def work() -> None:
        for _ in numbers:
            await put(f"project_film/branch_main/misc/{random.randbytes(12).hex()}.png", data)  # noqa: S311 - a name

    began = time.process_time()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return (time.process_time() - began) * 1000 / pictures


async def measure(contestants: Mapping[str, Put], data: bytes, pictures: int) -> dict[str, float]:
    """The cheapest of many rounds each, taking turns."""
    rounds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, put in contestants.items():
            rounds[name].append(await cpu_ms(put, data, max(AT_ONCE, pictures // ROUNDS)))
    return {name: min(figures) for name, figures in rounds.items()}


async def compare(url: str, data: bytes, pictures: int) -> Sequence[Claim]:
    """Every contestant against the same server."""
    plain = S3Store(
        "asset-images",
        endpoint=url,
        region="us-east-1",
        access_key_id="a",
        secret_access_key="b",  # noqa: S106 - nobody's
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    attributes = {"Content-Type": "image/png"}
    ours = ObjectStorage(Address(url="s3://asset-images", options={"AWS_ENDPOINT_URL": url, **KEYS}))
    supabase = SupabaseStorage(Project(url=url, key="sb_secret_x"), Outbound())
    found = await measure(
        {
            "obstore": lambda key, data: obstore.put_async(plain, key, data, attributes=attributes, use_multipart=False),
            "s3": lambda key, data: ours.put(key, data, "image/png"),
            "supabase": lambda key, data: supabase.put(key, data, "image/png"),
        },
        data,
        pictures,
    )
    await supabase.close()
    await ours.close()
    return [
        Claim("obstore's own put, CPU per picture", found["obstore"], "ms"),
        Claim("ours to S3", found["s3"], "ms"),
        Claim("ours to Supabase: upload and size check", found["supabase"], "ms"),
        Claim("ours to S3 / obstore's own", found["s3"] / found["obstore"], "x", most=MOST_RATIO),
        Claim("ours to Supabase / obstore's own", found["supabase"] / found["obstore"], "x", most=MOST_RATIO),
    ]


def main() -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1200)
    parser.add_argument("--kilobytes", type=int, default=1500)
    asked = parser.parse_args()
    data = random.Random(1).randbytes(asked.kilobytes * 1000)  # noqa: S311 - a picture
    with subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True) as sink:
        assert sink.stdout is not None
        url = f"http://127.0.0.1:{sink.stdout.readline().strip()}"
        try:
            return report(uvloop.run(compare(url, data, asked.pictures)))
        finally:
            sink.terminate()


if __name__ == "__main__":
    sys.exit(main())
