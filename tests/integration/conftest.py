from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imagejobs.db.pool import Database
from imagejobs.imaging import Decoder
from tests.support.world import World, open_world


@pytest.fixture(scope="session")
async def decoder() -> AsyncIterator[Decoder]:
    made = Decoder()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def world(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(dsn, database, decoder, tmp_path / "files") as opened:
        yield opened
