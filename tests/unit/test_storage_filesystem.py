"""What only a disk can do wrong: links, full and read-only disks, and crashes half-way."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from imagejobs.errors import StorageRejected, StorageUnavailable
from imagejobs.ports import Storage, StoredObject
from imagejobs.storage.filesystem import FilesystemStorage

KEY = "project_film/misc/fox.png"
HOUR = 3600.0

DIES_BEFORE_THE_RENAME = """
import asyncio, os, pathlib, signal, sys
from imagejobs.storage.filesystem import FilesystemStorage

os.rename = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(FilesystemStorage(pathlib.Path(sys.argv[1]), "http://localhost").put(sys.argv[2], b"new" * 100_000, "image/png"))
"""

Act = Callable[[Storage], Awaitable[object]]
ACTS: dict[str, Act] = {
    "put": lambda storage: storage.put(KEY, b"new", "image/png"),
    "get": lambda storage: storage.get(KEY),
    "delete": lambda storage: storage.delete(KEY),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "pictures"


@pytest.fixture
def storage(root: Path) -> FilesystemStorage:
    return FilesystemStorage(root, "http://localhost:3001/")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    mount, umount, folder = shutil.which("mount"), shutil.which("umount"), tmp_path / "disk"
    folder.mkdir()
    if mount is None or umount is None or os.geteuid() != 0:
        pytest.skip("needs the right to mount")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run([umount, folder], check=True)


def remount_read_only(disk: Path) -> None:
    subprocess.run([shutil.which("mount") or "mount", "-o", "remount,ro", disk], check=True)


def put_and_die(root: Path) -> int:
    """How a process ends that puts the picture and is killed when it comes to rename it."""
    command = [sys.executable, "-I", "-c", DIES_BEFORE_THE_RENAME, str(root), KEY]
    return subprocess.run(command, check=False, timeout=30).returncode


def plant_link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)


def held_open(folder: Path) -> list[Path]:
    """What this process has open below the folder; sockets of other tests come and go meanwhile."""
    found: list[Path] = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(descriptor.readlink())
    return [path for path in found if path.is_relative_to(folder)]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def leftovers(root: Path) -> list[Path]:
    return list(root.glob(".tmp-*"))


def test_the_address_is_below_files_whatever_the_base_ends_with(storage: FilesystemStorage) -> None:
    assert storage.public_url(KEY) == f"http://localhost:3001/files/{KEY}"


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
@pytest.mark.parametrize("linked", ["project_film", "project_film/misc", "project_film/misc/fox.png"])
@pytest.mark.parametrize("inside", [True, False], ids=["link to inside", "link to outside"])
async def test_s11_a_planted_link_is_refused_and_its_target_untouched(
    storage: FilesystemStorage, root: Path, tmp_path: Path, act: Act, linked: str, inside: bool
) -> None:
    target = (root if inside else tmp_path) / "target"
    secret = target / KEY.removeprefix(linked).lstrip("/") if linked != KEY else target
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_bytes(b"secret")
    plant_link(root / linked, target)

    with pytest.raises(StorageRejected):
        await act(storage)

    assert secret.read_bytes() == b"secret"
    assert (root / linked).is_symlink()
    assert leftovers(root) == []


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
@pytest.mark.parametrize("plant", [os.mkfifo, os.mkdir], ids=["fifo", "folder"])
async def test_s11_what_is_no_file_is_refused_without_waiting(
    storage: FilesystemStorage, root: Path, act: Act, plant: Callable[[Path], None]
) -> None:
    (root / KEY).parent.mkdir(parents=True)
    plant(root / KEY)
    with pytest.raises(StorageRejected):
        await act(storage)
    assert held_open(root) == []


async def test_a_key_below_a_picture_is_refused(storage: FilesystemStorage) -> None:
    await storage.put("fox.png", b"picture", "image/png")
    with pytest.raises(StorageRejected):
        await storage.put("fox.png/fox.png", b"picture", "image/png")


async def test_the_operators_own_link_to_the_root_is_followed(
    storage: FilesystemStorage, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "volume").mkdir()
    plant_link(root, tmp_path / "volume")
    await storage.put(KEY, b"picture", "image/png")
    assert (tmp_path / "volume" / KEY).read_bytes() == b"picture"


async def test_s10_a_full_disk_is_an_outage_that_leaves_the_earlier_picture(small_disk: Path) -> None:
    storage = FilesystemStorage(small_disk, "http://localhost")
    await storage.put(KEY, b"earlier", "image/png")
    for key in (KEY, "project_film/misc/other.png"):
        with pytest.raises(StorageUnavailable, match="full"):
            await storage.put(key, b"x" * 2_000_000, "image/png")
    assert await storage.get(KEY) == StoredObject(data=b"earlier", media_type="image/png")
    assert await storage.get("project_film/misc/other.png") is None
    assert leftovers(small_disk) == []
    await storage.put(KEY, b"later", "image/png")


async def test_s10_a_read_only_disk_is_an_outage_and_can_still_be_read(small_disk: Path) -> None:
    storage = FilesystemStorage(small_disk, "http://localhost")
    await storage.put(KEY, b"earlier", "image/png")
    remount_read_only(small_disk)
    with pytest.raises(StorageUnavailable, match="read-only"):
        await storage.put(KEY, b"later", "image/png")
    with pytest.raises(StorageUnavailable, match="read-only"):
        await storage.delete(KEY)
    health = await storage.check()
    assert not health.ok
    assert "read-only" in health.detail
    assert await storage.get(KEY) == StoredObject(data=b"earlier", media_type="image/png")


async def test_a_root_that_is_a_file_is_not_well() -> None:
    assert not (await FilesystemStorage(Path("/dev/null"), "http://localhost").check()).ok


@pytest.mark.parametrize("earlier", [None, b"earlier"])
async def test_s10_a_crash_before_the_rename_shows_nothing_of_the_new_picture(
    storage: FilesystemStorage, root: Path, earlier: bytes | None
) -> None:
    if earlier is not None:
        await storage.put(KEY, earlier, "image/png")
    assert put_and_die(root) == -signal.SIGKILL

    stored = await storage.get(KEY)
    assert (stored.data if stored else None) == earlier
    (leftover,) = leftovers(root)
    with pytest.raises(StorageRejected):
        await storage.get(leftover.name)
    await storage.put(KEY, b"retried", "image/png")
    assert await storage.get(KEY) == StoredObject(data=b"retried", media_type="image/png")


async def test_the_sweep_removes_old_temporary_files_only(storage: FilesystemStorage, root: Path) -> None:
    assert await storage.sweep_temporary() == 0
    await storage.put("tmp-old.png", b"picture", "image/png")
    old = time.time() - HOUR - 60
    for name in (".tmp-old", ".tmp-new", ".other", "tmp-old.png"):
        (root / name).touch()
    for name in (".tmp-old", ".other", "tmp-old.png"):
        os.utime(root / name, (old, old))
    assert await storage.sweep_temporary(HOUR) == 1
    assert names_in(root) == {".tmp-new", ".other", "tmp-old.png"}


@pytest.mark.parametrize("known", [False, True], ids=["new folders", "folders that another writer has just made"])
async def test_s10_bytes_and_every_name_on_the_way_reach_the_disk(
    storage: FilesystemStorage, root: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    if known:
        (root / KEY).parent.mkdir(parents=True)
    steps: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append("bytes" if path.name.startswith(".tmp-") else str(path.relative_to(root.parent)))
        real_fsync(descriptor)

    def rename(*args: str, src_dir_fd: int, dst_dir_fd: int) -> None:
        steps.append("rename")
        real_rename(*args, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    await storage.put(KEY, b"picture", "image/png")

    made_root = [] if known else ["."]
    assert steps == [*made_root, "bytes", "pictures", "pictures/project_film", "rename", "pictures/project_film/misc"]

    steps.clear()
    await storage.delete(KEY)
    assert steps == ["pictures/project_film/misc"]
