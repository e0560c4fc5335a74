"""The event rows, read. They are written by the statements that change a job."""

from uuid import UUID

from imagejobs.db.pool import Connection
from imagejobs.db.rows import value_from
from imagejobs.domain.events import Event

MOST = 1000


async def of_job(connection: Connection, job_id: UUID, after_seq: int) -> list[Event]:
    """The job's events after `after_seq`, in order, at most a thousand."""
    rows = await connection.fetch(
        "SELECT * FROM imagejobs.events WHERE job_id = $1 AND seq > $2 ORDER BY seq LIMIT $3", job_id, after_seq, MOST
    )
    return [value_from(Event, row) for row in rows]
