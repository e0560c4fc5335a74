"""Style capsules. The pictures in them do not expire."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from imagejobs.db.pool import Connection
from imagejobs.db.rows import value_from
from imagejobs.domain.styles import Style
from imagejobs.ports import Transaction


@dataclass(frozen=True, kw_only=True)
class NewStyle:
    """What a caller says of a style."""

    name: str
    descriptors: tuple[str, ...]
    pillars: tuple[str, ...]
    inputs: tuple[UUID, ...]


_PUT = """
INSERT INTO imagejobs.style_capsules (project_id, id, name, descriptors, pillars, inputs)
VALUES ($1, $2, $3, $4::jsonb, $5::jsonb, $6)
ON CONFLICT (project_id, id) DO UPDATE
SET name = EXCLUDED.name, descriptors = EXCLUDED.descriptors, pillars = EXCLUDED.pillars, inputs = EXCLUDED.inputs,
    updated_at = now()
RETURNING *, xmax = 0 AS is_new
"""


async def put(tx: Transaction, project_id: str, style_id: str, new: NewStyle) -> tuple[Style, bool]:
    """Write the style in place of one of its id; True where there was none. The project must exist."""
    lists = json.dumps(new.descriptors), json.dumps(new.pillars)
    row = await tx.fetchrow(_PUT, project_id, style_id, new.name, *lists, new.inputs)
    assert row is not None
    return _style(row), row["is_new"]


async def by_id(connection: Connection, project_id: str, style_id: str) -> Style | None:
    """The project's style of that id."""
    statement = "SELECT * FROM imagejobs.style_capsules WHERE project_id = $1 AND id = $2"
    row = await connection.fetchrow(statement, project_id, style_id)
    return None if row is None else _style(row)


async def page(connection: Connection, project_id: str, after_id: str | None, limit: int) -> list[Style]:
    """The project's styles in the order of their ids, those after `after_id`."""
    rows = await connection.fetch(
        "SELECT * FROM imagejobs.style_capsules WHERE project_id = $1 AND ($2::text IS NULL OR id > $2) "
        "ORDER BY id LIMIT $3",
        project_id,
        after_id,
        limit,
    )
    return [_style(row) for row in rows]


async def delete(tx: Transaction, project_id: str, style_id: str) -> bool:
    """Remove the style; False where there is none. Jobs keep what they took from it."""
    statement = "DELETE FROM imagejobs.style_capsules WHERE project_id = $1 AND id = $2 RETURNING true"
    return bool(await tx.fetchval(statement, project_id, style_id))


_USABLE = """
SELECT id FROM imagejobs.inputs
WHERE id = ANY($2::uuid[]) AND project_id = $1 AND (expires_at > now()
    OR EXISTS (SELECT FROM imagejobs.style_capsules AS style WHERE style.project_id = $1 AND inputs.id = ANY(style.inputs)))
FOR KEY SHARE
"""


async def usable_inputs(tx: Transaction, project_id: str, inputs: Sequence[UUID]) -> set[UUID]:
    """Those that the project has and that have not expired or are in a style; they stay until the transaction ends."""
    return {row["id"] for row in await tx.fetch(_USABLE, project_id, inputs)}


def _style(row: asyncpg.Record) -> Style:
    lists = {name: tuple(json.loads(row[name])) for name in ("descriptors", "pillars")}
    return value_from(Style, row, **lists)
