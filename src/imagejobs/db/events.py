"""The event rows, read. They are written by the statements that change a job."""

import json
from collections.abc import Mapping
from typing import Any
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


async def of_retry(connection: Connection, job_id: UUID, number: int) -> Mapping[str, Any]:
    """What the event of the job's `number`-th retry by a person says, from 1."""
    query = "SELECT data FROM imagejobs.events WHERE job_id = $1 AND data ? 'retriedBy' ORDER BY seq OFFSET $2 LIMIT 1"
    told: Mapping[str, Any] = json.loads(await connection.fetchval(query, job_id, number - 1))
    return told
