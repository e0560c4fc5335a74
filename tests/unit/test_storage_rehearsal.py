from pathlib import Path

import pytest

from imagejobs.domain.rehearsal import STORAGE_FAULT_MARKER
from imagejobs.errors import StorageUnavailable
from imagejobs.ports import Storage
from imagejobs.storage.filesystem import FilesystemStorage
from imagejobs.storage.rehearsal import RehearsalStorage

LAST_PLACE = 4096 - len(STORAGE_FAULT_MARKER)


@pytest.fixture
def inner(tmp_path: Path) -> Storage:
    return FilesystemStorage(tmp_path, "https://pictures.example")


@pytest.mark.parametrize("offset", [0, 41, LAST_PLACE])
async def test_a_marked_picture_is_refused_as_an_outage(inner: Storage, offset: int) -> None:
    marked = b"p" * offset + STORAGE_FAULT_MARKER + b"p" * 100
    with pytest.raises(StorageUnavailable):
        await RehearsalStorage(inner).put("a/b.png", marked, "image/png")
    assert await inner.get("a/b.png") is None


@pytest.mark.parametrize("offset", [LAST_PLACE + 1, 10_000])
async def test_a_marker_further_in_is_part_of_the_picture(inner: Storage, offset: int) -> None:
    data = b"p" * offset + STORAGE_FAULT_MARKER
    await RehearsalStorage(inner).put("a/b.png", data, "image/png")
    stored = await inner.get("a/b.png")
    assert stored is not None
    assert stored.data == data


async def test_what_was_marked_before_the_rehearsal_can_be_read_and_removed(inner: Storage) -> None:
    await inner.put("a/b.png", STORAGE_FAULT_MARKER, "image/png")
    rehearsal = RehearsalStorage(inner)
    assert await rehearsal.get("a/b.png") == await inner.get("a/b.png")
    await rehearsal.delete("a/b.png")
    assert await inner.get("a/b.png") is None
