"""Every storage adapter, empty and ready; the contract runs on each."""

from collections.abc import Callable
from pathlib import Path

from imagejobs.ports import Storage
from imagejobs.storage.filesystem import FilesystemStorage
from imagejobs.storage.rehearsal import RehearsalStorage

PUBLIC_BASE = "https://pictures.example/base"


def filesystem(folder: Path) -> Storage:
    return FilesystemStorage(folder / "pictures", PUBLIC_BASE)


def rehearsed_filesystem(folder: Path) -> Storage:
    return RehearsalStorage(filesystem(folder))


CASES: dict[str, Callable[[Path], Storage]] = {
    "filesystem": filesystem,
    "rehearsed filesystem": rehearsed_filesystem,
}
