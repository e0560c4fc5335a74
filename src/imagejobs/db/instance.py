"""The one row that says what this instance is."""

from imagejobs.db.pool import Connection


async def micros_per_credit(connection: Connection) -> int:
    """What one credit is worth, in micro-dollars; chosen when the instance was set up (B6)."""
    return int(await connection.fetchval("SELECT micros_per_credit FROM imagejobs.instance"))
