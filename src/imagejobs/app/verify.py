"""Verify: whether everything that must hold does, in the rows and in the storage."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from imagejobs.db import verify
from imagejobs.db.pool import Database
from imagejobs.errors import StorageError, StorageRejected
from imagejobs.ports import Storage

_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What does not hold: invariants with the rows that show it, pictures that are missing or not as recorded.

    `unread` says why the storage could not be read on after so many pictures.
    """

    broken: dict[str, list[dict[str, Any]]]
    missing: tuple[str, ...]
    altered: tuple[str, ...]
    pictures: int
    unread: str | None

    @property
    def is_sound(self) -> bool:
        return not (self.broken or self.missing or self.altered or self.unread)


async def verify_all(database: Database, storage: Storage) -> Findings:
    """Check every invariant and read every stored picture; changes nothing, and may run beside everything else.

    A job that moves meanwhile cannot be mistaken for a broken one: each invariant is one statement, one snapshot.
    """
    async with database.connection() as connection:
        broken = await verify.broken(connection)
    missing, altered, pictures, unread = [], [], 0, None
    try:
        async for key, sha256 in _recorded(database):
            data = await _read(storage, key)
            pictures += 1
            if data is None:
                missing.append(key)
            elif hashlib.sha256(data).digest() != sha256:
                altered.append(key)
    except StorageError as error:
        unread = error.detail
    return Findings(broken=broken, missing=tuple(missing), altered=tuple(altered), pictures=pictures, unread=unread)


async def _read(storage: Storage, key: str) -> bytes | None:
    """None also for what stands in its place and is no picture; a storage that is away is raised."""
    try:
        found = await storage.get(key)
    except StorageRejected:
        return None
    return None if found is None else found.data


async def _recorded(database: Database) -> AsyncIterator[tuple[str, bytes]]:
    after: UUID | None = None
    while True:
        async with database.connection() as connection:
            page = await verify.stored_pictures(connection, after, _PAGE)
        for _, key, sha256 in page:
            yield key, sha256
        if len(page) < _PAGE:
            return
        after = page[-1][0]
