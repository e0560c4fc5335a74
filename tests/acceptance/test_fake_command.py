"""The command `fake-provider` as a process, and the how-to page as its readers run it."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

READY = 100.0
HOW_TO = Path(__file__).parents[2] / "docs/how-to/test-your-integration.md"
PYTHON_BLOCK = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ORDER = {"prompt": "a red fox", "width": 64, "height": 64}


@asynccontextmanager
async def fake_provider(*words: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """The command, once it is ready; ended by SIGTERM unless it is dead already."""
    command = (sys.executable, "-m", "imagejobs", "fake-provider", "--port", "0", *words)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY):
            said: dict[str, Any] = json.loads(await process.stdout.readline())
        assert said["pid"] == process.pid
        yield said["url"], process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(READY):
            await process.communicate()


async def bought(url: str, key: str) -> httpx2.Response:
    async with httpx2.AsyncClient(headers={"authorization": "Bearer k", "idempotency-key": key}) as client:
        return await client.post(f"{url}/v1/key/images", json=ORDER)


async def test_the_bill_can_be_read_after_a_kill_and_is_continued(tmp_path: Path) -> None:
    bill = tmp_path / "bill.jsonl"
    async with fake_provider("--bill", str(bill), "--price-micros", "7") as (url, process):
        first = await bought(url, "k-1")
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert [json.loads(line)["idempotency_key"] for line in bill.read_text().splitlines()] == ["k-1"]
    async with fake_provider("--bill", str(bill), "--price-micros", "7") as (url, process):
        assert (await bought(url, "k-1")).content == first.content
        await bought(url, "k-2")
        process.terminate()
        assert await process.wait() == 0
    assert [json.loads(line)["micros"] for line in bill.read_text().splitlines()] == [7, 7]


async def test_the_options_shape_the_pictures(tmp_path: Path) -> None:
    async with fake_provider("--image-bytes", "500000", "--fault-rate", "0.0") as (url, _):
        assert len((await bought(url, "k")).content) > 500_000 * 4 / 3
    not_a_bill = tmp_path / "precious.txt"
    not_a_bill.write_text("something else")
    command = (sys.executable, "-m", "imagejobs", "fake-provider", "--port", "0", "--bill", str(not_a_bill))
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert (process.returncode, not_a_bill.read_text()) == (78, "something else")
    assert b"is no bill" in said


@pytest.mark.database
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_the_how_to_page_works_as_it_stands(empty_dsn: str, tmp_path: Path) -> None:
    files = dict(PYTHON_BLOCK.findall(HOW_TO.read_text()))
    assert set(files) == {"conftest.py", "test_pictures.py"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)),
        cwd=tmp_path,
        env={**os.environ, "DATABASE_URL": empty_dsn},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert b"9 passed" in said
