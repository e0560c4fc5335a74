"""The checks of `imagejobs verify`, as tests ask for them."""

from typing import Any

from imagejobs.db import verify
from imagejobs.db.pool import Database


async def broken_invariants(database: Database) -> dict[str, list[dict[str, Any]]]:
    """The invariants that do not hold, with the rows that show it."""
    async with database.connection() as connection:
        return await verify.broken(connection)


async def billed(database: Database) -> int:
    """What our books say the provider may have charged, in micro-dollars."""
    async with database.connection() as connection:
        return await verify.books(connection)
