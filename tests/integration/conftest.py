import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from imagejobs.db.pool import Database
from imagejobs.imaging import Decoder
from imagejobs.net.http import Outbound
from tests.support.world import World, open_world


@pytest.fixture(scope="session")
async def decoder() -> AsyncIterator[Decoder]:
    made = Decoder()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port of this machine that refuses connections, and that nobody else can get while the test lasts."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
async def put_forward(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Puts the loop's clock forward, so that a deadline passes when the test says so and not sooner on a busy machine."""
    loop = asyncio.get_running_loop()
    clock, ahead = loop.time, 0.0

    def put(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    monkeypatch.setattr(loop, "time", lambda: clock() + ahead)
    return put


@pytest.fixture
async def world(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(dsn, database, decoder, tmp_path / "files") as opened:
        yield opened


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dsn: str) -> pytest.MonkeyPatch:
    """The settings of an instance in its own folder, on a migrated database."""
    for name in os.environ:
        if name.startswith(("IMAGEJOBS_", "SUPABASE_", "GOOGLE_", "GEMINI_", "NANO_", "DATABASE_URL")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGEJOBS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DATABASE_URL", dsn)
    return monkeypatch


@pytest.fixture(scope="session")
def tls() -> ssl.SSLContext:
    """The machine's certificates, read once."""
    return ssl.create_default_context()


@pytest.fixture
async def outbound(tls: ssl.SSLContext) -> AsyncIterator[Outbound]:
    made = Outbound(tls=tls)
    yield made
    await made.close()
