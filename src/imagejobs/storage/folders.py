"""Folders and files below a root, reached one segment at a time so that no symbolic link is ever followed.

Everything takes and gives descriptors, and raises OSError as it comes.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_ROOT = os.O_RDONLY | os.O_DIRECTORY
_FOLDER = _ROOT | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a planted FIFO must not hold the reader
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class NotAPlainFile(OSError):
    """Something that is no regular file stands under the object's name: a link, a folder, a FIFO."""


def make_root(root: Path) -> None:
    """Make `root` and the folders above it that are missing, durably."""
    if root.is_dir():
        return
    make_root(root.parent)
    with suppress(FileExistsError):
        root.mkdir()
    with opened_root(root.parent) as parent:
        os.fsync(parent)


@contextmanager
def opened_root(root: Path) -> Iterator[int]:
    """A descriptor of `root`; the operator's own path to it may contain links."""
    folder = os.open(root, _ROOT)
    try:
        yield folder
    finally:
        os.close(folder)


@contextmanager
def opened_folder(root: int, segments: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """A descriptor of the folder `segments` below `root`.

    Where `create` is set, missing folders are made, and all of them are durable when this yields.
    """
    folder = os.dup(root)
    try:
        for segment in segments:
            if create:
                _make_folder(folder, segment)
            below = os.open(segment, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def _make_folder(parent: int, name: str) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=parent)
    os.fsync(parent)  # also where it exists: whoever made it may not have come this far


def read_file(folder: int, name: str) -> bytes:
    """All bytes of the regular file `name`; raises NotAPlainFile."""
    descriptor = os.open(name, _READ, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotAPlainFile
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def write_file(folder: int, name: str, data: bytes) -> None:
    """Make the new file `name` and bring its bytes to the disk; the name itself is not durable yet."""
    with os.fdopen(os.open(name, _CREATE, 0o644, dir_fd=folder), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def move_file(source: int, name: str, target: int, new_name: str) -> None:
    """Give a file its new name in one step, durably, replacing a regular file of that name; raises NotAPlainFile."""
    with suppress(FileNotFoundError):
        _refuse_unless_plain(target, new_name)
    os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    os.fsync(target)


def remove_file(folder: int, name: str) -> None:
    """Remove the regular file `name`, durably; raises NotAPlainFile."""
    _refuse_unless_plain(folder, name)
    os.unlink(name, dir_fd=folder)
    os.fsync(folder)


def _refuse_unless_plain(folder: int, name: str) -> None:
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise NotAPlainFile


def remove_older(folder: int, prefix: str, instant: float) -> int:
    """Remove the regular files directly in `folder` that begin with `prefix` and were last written before `instant`."""
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if entry.name.startswith(prefix) and entry.is_file(follow_symlinks=False)]
    return sum(_remove_if_older(folder, entry, instant) for entry in found)


def _remove_if_older(folder: int, entry: "os.DirEntry[str]", instant: float) -> bool:
    """True where it was removed; one that vanished meanwhile is somebody else's finished work."""
    with suppress(FileNotFoundError):
        if entry.stat(follow_symlinks=False).st_mtime < instant:
            os.unlink(entry.name, dir_fd=folder)
            return True
    return False
