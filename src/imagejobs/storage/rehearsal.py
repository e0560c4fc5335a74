"""Storages around another: one acts out its own failure for pictures that ask for it, one knows where they lay before."""

from imagejobs.domain.rehearsal import STORAGE_FAULT_MARKER
from imagejobs.errors import StorageUnavailable
from imagejobs.ports import Health, Storage, StoredObject

_LOOK_BYTES = 4096


class RehearsalStorage:
    """Refuses to put a picture that carries the fault marker in its first 4096 bytes; all else is `inner`'s business."""

    def __init__(self, inner: Storage) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        return self._inner.name

    async def put(self, key: str, data: bytes, media_type: str) -> None:
        if data.find(STORAGE_FAULT_MARKER, 0, _LOOK_BYTES) >= 0:
            raise StorageUnavailable("The prompt asked to rehearse a storage failure; use a prompt without the fault word.")
        await self._inner.put(key, data, media_type)

    async def get(self, key: str) -> StoredObject | None:
        return await self._inner.get(key)

    async def delete(self, key: str) -> None:
        await self._inner.delete(key)

    def public_url(self, key: str) -> str:
        return self._inner.public_url(key)

    async def sign(self, key: str, seconds: int) -> str:
        return await self._inner.sign(key, seconds)

    async def check(self) -> Health:
        return await self._inner.check()

    async def close(self) -> None:
        await self._inner.close()


class MovedStorage(RehearsalStorage):
    """Everything new goes to `inner`; what lay on a disk before is still read there."""

    def __init__(self, inner: Storage, disk: Storage) -> None:
        super().__init__(inner)
        self._disk = disk

    async def get(self, key: str) -> StoredObject | None:
        return await super().get(key) or await self._disk.get(key)
