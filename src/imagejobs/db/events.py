"""The event rows, read. They are written by the statements that change a job."""

import json
from uuid import UUID

from imagejobs.db.pool import Connection
from imagejobs.domain.events import Event, EventKind

MOST = 1000


async def of_job(connection: Connection, job_id: UUID, after_seq: int) -> list[Event]:
    """The job's events after `after_seq`, in order, at most a thousand."""
    rows = await connection.fetch(
        "SELECT * FROM imagejobs.events WHERE job_id = $1 AND seq > $2 ORDER BY seq LIMIT $3", job_id, after_seq, MOST
    )
    return [
        Event(
            id=row["id"],
            job_id=row["job_id"],
            project_id=row["project_id"],
            seq=row["seq"],
            kind=EventKind(row["kind"]),
            data=json.loads(row["data"]),
            created_at=row["created_at"],
        )
        for row in rows
    ]
