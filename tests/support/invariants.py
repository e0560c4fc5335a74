"""The checks of `imagejobs verify`, as tests ask for them."""

from typing import Any

from imagejobs.db import verify
from imagejobs.db.pool import Connection, Database


async def broken_invariants(database: Database) -> dict[str, list[dict[str, Any]]]:
    """The invariants that do not hold, with the rows that show it."""
    async with database.connection() as connection:
        return await verify.broken(connection)


async def billed(database: Database) -> int:
    """What our books say the provider may have charged, in micro-dollars."""
    async with database.connection() as connection:
        return await books(connection)


async def books(connection: Connection) -> int:
    """What our books say the providers may have charged: posted and unknown, in micro-dollars."""
    total = await connection.fetchval(
        "SELECT coalesce(sum(amount_micros), 0) FROM imagejobs.ledger_entries AS entry "
        "WHERE kind = 'post' OR (kind = 'unknown' AND NOT EXISTS (SELECT FROM imagejobs.ledger_entries AS later "
        "WHERE later.job_id = entry.job_id AND later.reservation_no = entry.reservation_no "
        "AND later.kind IN ('post', 'release')))"
    )
    return int(total)
