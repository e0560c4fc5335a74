"""Pictures on a local disk."""

import asyncio
import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from imagejobs.errors import StorageError, StorageRejected, StorageUnavailable
from imagejobs.ports import Health, StoredObject
from imagejobs.storage.folders import (
    NotAPlainFile,
    make_root,
    move_file,
    opened_folder,
    opened_root,
    read_file,
    remove_file,
    remove_older,
    write_file,
)
from imagejobs.storage.keys import segments_of

_TEMPORARY = ".tmp-"  # no segment of a key begins with a dot
_MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"}
_OUT_OF_PLACE = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ENXIO}
_ADVICE = {
    errno.ENOSPC: "The disk that holds the pictures is full; free some space and retry.",
    errno.EDQUOT: "The disk quota for the pictures is used up; raise it or free some space, and retry.",
    errno.EROFS: "The folder that holds the pictures is read-only; mount it writable and retry.",
    errno.EACCES: "This program may not use the folder that holds the pictures; give its user access and retry.",
    errno.EPERM: "This program may not use the folder that holds the pictures; give its user access and retry.",
    errno.EIO: "The disk that holds the pictures fails; look at the system's log, and retry once it is well.",
}


class FilesystemStorage:
    """Keeps each object as one file below `root`; `public_base` is the address under which `/files/` is served.

    A put is durable when it returns. It writes beside the objects and renames, so a crash leaves the earlier object or the
    new one, never a mix, and at worst a temporary file for `sweep_temporary`. Nothing outside `root` is read or written: a
    hostile key, a link on the way, and anything else that is neither file nor folder, is refused as StorageRejected. What a
    file is follows from its key's ending; nothing is kept beside the pictures.
    """

    def __init__(self, root: Path, public_base: str) -> None:
        self._root = root
        self._public_base = public_base.rstrip("/")

    @property
    def name(self) -> str:
        return "filesystem"

    async def put(self, key: str, data: bytes, media_type: str) -> None:  # noqa: ARG002 - the key's ending says it
        await asyncio.to_thread(self._put, segments_of(key), data)

    async def get(self, key: str) -> StoredObject | None:
        data = await asyncio.to_thread(self._get, segments_of(key))
        if data is None:
            return None
        ending = key.rpartition(".")[2].lower()
        return StoredObject(data=data, media_type=_MEDIA_TYPES.get(ending, "application/octet-stream"))

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._delete, segments_of(key))

    def public_url(self, key: str) -> str:
        return f"{self._public_base}/files/{quote('/'.join(segments_of(key)))}"

    async def sign(self, key: str, seconds: int) -> str:  # noqa: ARG002 - nothing here expires
        """The public address: a local disk has no private objects, their names are the secret."""
        return self.public_url(key)

    async def check(self) -> Health:
        """Write, sync and remove a small file."""
        try:
            await asyncio.to_thread(self._probe)
        except StorageError as error:
            return Health(ok=False, detail=f"{self._root}: {error.detail}")
        return Health(ok=True, detail=f"{self._root}: a file was written, synced and removed.")

    async def close(self) -> None:
        """Nothing is held open."""

    async def sweep_temporary(self, older_than_seconds: float = 3600.0) -> int:
        """Remove what crashed writers left behind, and say how many files; younger ones may still be in use."""
        return await asyncio.to_thread(self._sweep, time.time() - older_than_seconds)

    def _put(self, segments: list[str], data: bytes) -> None:
        *folders, name = segments
        with _explained(), self._temporary(data) as (root, temporary), opened_folder(root, folders, create=True) as folder:
            move_file(root, temporary, folder, name)

    def _get(self, segments: list[str]) -> bytes | None:
        with suppress(FileNotFoundError), self._folder(segments[:-1]) as folder:
            return read_file(folder, segments[-1])
        return None

    def _delete(self, segments: list[str]) -> None:
        with suppress(FileNotFoundError), self._folder(segments[:-1]) as folder:
            remove_file(folder, segments[-1])

    def _probe(self) -> None:
        with _explained(), self._temporary(b"imagejobs"):
            pass

    def _sweep(self, instant: float) -> int:
        with _explained(), suppress(FileNotFoundError), opened_root(self._root) as root:
            return remove_older(root, _TEMPORARY, instant)
        return 0

    @contextmanager
    def _folder(self, segments: list[str]) -> Iterator[int]:
        """The descriptor of a folder of objects; `FileNotFoundError` where there is none."""
        with _explained(), opened_root(self._root) as root, opened_folder(root, segments) as folder:
            yield folder

    @contextmanager
    def _temporary(self, data: bytes) -> Iterator[tuple[int, str]]:
        """The root's descriptor and the name of a synced file in it, which is gone afterwards unless it was renamed."""
        make_root(self._root)
        name = _TEMPORARY + secrets.token_hex(16)
        with opened_root(self._root) as root:
            try:
                write_file(root, name, data)
                yield root, name
            finally:
                with suppress(OSError):
                    os.unlink(name, dir_fd=root)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except NotAPlainFile as error:
        raise _out_of_place() from error
    except OSError as error:
        if error.errno in _OUT_OF_PLACE:
            raise _out_of_place() from error
        otherwise = f"The folder that holds the pictures does not work ({error.strerror}); check the disk and retry."
        raise StorageUnavailable(_ADVICE.get(error.errno or 0, otherwise)) from error


def _out_of_place() -> StorageRejected:
    return StorageRejected(
        "A link, or something else that is no picture, stands where the object belongs; remove it and retry."
    )
