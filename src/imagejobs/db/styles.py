"""Style capsules, and how long the pictures in them are kept."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from imagejobs.db.pool import Connection
from imagejobs.domain.styles import Style
from imagejobs.ports import Transaction

KEPT_AFTER_USE_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class NewStyle:
    """What a caller says of a style."""

    name: str
    descriptors: tuple[str, ...]
    pillars: tuple[str, ...]
    inputs: tuple[UUID, ...]


async def lock_project(tx: Transaction, project_id: str) -> None:
    """Let nobody else change the project's styles until the transaction ends."""
    await tx.execute("SELECT FROM imagejobs.projects WHERE id = $1 FOR NO KEY UPDATE", project_id)


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


async def delete(tx: Transaction, project_id: str, style_id: str) -> None:
    """Remove the style. Jobs keep what they took from it."""
    await tx.execute("DELETE FROM imagejobs.style_capsules WHERE project_id = $1 AND id = $2", project_id, style_id)


async def missing_inputs(connection: Connection, project_id: str, inputs: Sequence[UUID]) -> list[UUID]:
    """Those that the project does not have, or no longer."""
    rows = await connection.fetch(
        "SELECT wanted.id FROM unnest($2::uuid[]) WITH ORDINALITY AS wanted(id, place) WHERE NOT EXISTS ("
        "SELECT FROM imagejobs.inputs AS found WHERE found.id = wanted.id AND found.project_id = $1 "
        "AND found.expires_at > now()) ORDER BY place",
        project_id,
        inputs,
    )
    return [row["id"] for row in rows]


async def keep_inputs(tx: Transaction, project_id: str, inputs: Sequence[UUID]) -> None:
    """Keep those of the inputs that are in a style for as long as they are, and the others for `KEPT_AFTER_USE_DAYS`.

    Call it under `lock_project`, after the change.
    """
    await tx.execute(
        "UPDATE imagejobs.inputs AS kept SET expires_at = CASE WHEN EXISTS ("
        "SELECT FROM imagejobs.style_capsules AS style WHERE style.project_id = $1 AND kept.id = ANY(style.inputs)) "
        "THEN 'infinity' ELSE now() + make_interval(days => $3) END WHERE project_id = $1 AND id = ANY($2::uuid[])",
        project_id,
        inputs,
        KEPT_AFTER_USE_DAYS,
    )


def _style(row: asyncpg.Record) -> Style:
    return Style(
        id=row["id"],
        name=row["name"],
        descriptors=tuple(json.loads(row["descriptors"])),
        pillars=tuple(json.loads(row["pillars"])),
        inputs=tuple(row["inputs"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
