"""API keys and projects: who may ask, and for what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from imagejobs.db.pool import Connection
from imagejobs.ports import Transaction


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key as it rests: its secret is a hash."""

    id: str
    secret_sha256: bytes
    name: str
    scopes: frozenset[str]
    is_bound: bool
    project_ids: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


_KEY = """
SELECT key.*, coalesce(array_agg(bound.project_id) FILTER (WHERE bound.project_id IS NOT NULL), '{}') AS project_ids
FROM imagejobs.api_keys AS key LEFT JOIN imagejobs.api_key_projects AS bound ON bound.key_id = key.id
"""


async def insert_key(tx: Transaction, key: ApiKey) -> None:
    """Write the key and its bindings; the projects it is bound to must exist."""
    await tx.execute(
        "INSERT INTO imagejobs.api_keys (id, secret_sha256, name, scopes, is_bound, expires_at) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        key.id,
        key.secret_sha256,
        key.name,
        sorted(key.scopes),
        key.is_bound,
        key.expires_at,
    )
    await tx.execute(
        "INSERT INTO imagejobs.api_key_projects (key_id, project_id) SELECT $1, unnest($2::text[])",
        key.id,
        sorted(key.project_ids),
    )


async def key_by_id(connection: Connection, key_id: str) -> ApiKey | None:
    """The key of that public id, revoked or not."""
    row = await connection.fetchrow(_KEY + " WHERE key.id = $1 GROUP BY key.id", key_id)
    return None if row is None else _key(row)


async def all_keys(connection: Connection) -> list[ApiKey]:
    """Every key, oldest first."""
    return [_key(row) for row in await connection.fetch(_KEY + " GROUP BY key.id ORDER BY key.created_at, key.id")]


async def revoke_key(tx: Transaction, key_id: str) -> bool:
    """Make the key useless from now on; False where there is none of that id. A repeat changes nothing."""
    found = await tx.fetchval(
        "UPDATE imagejobs.api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING id", key_id
    )
    return found is not None


async def touch_key(connection: Connection, key_id: str) -> None:
    """Note the key's use, to the minute."""
    await connection.execute(
        "UPDATE imagejobs.api_keys SET last_used_at = now() "
        "WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')",
        key_id,
    )


async def ensure_projects(tx: Transaction, project_ids: Sequence[str], created_by: str | None) -> None:
    """Make the projects that do not exist yet."""
    await tx.execute(
        "INSERT INTO imagejobs.projects (id, created_by) SELECT unnest($1::text[]), $2 ON CONFLICT (id) DO NOTHING",
        list(project_ids),
        created_by,
    )


async def project_exists(connection: Connection, project_id: str) -> bool:
    """Whether anybody made that project."""
    return bool(await connection.fetchval("SELECT true FROM imagejobs.projects WHERE id = $1", project_id))


async def on_unknown_outcome(connection: Connection, project_id: str) -> str:
    """The project's policy for purchases whose outcome nobody knows: `fail` or `retry_once`."""
    statement = "SELECT on_unknown_outcome FROM imagejobs.projects WHERE id = $1"
    return str(await connection.fetchval(statement, project_id) or "fail")


def _key(row: asyncpg.Record) -> ApiKey:
    return ApiKey(
        id=row["id"],
        secret_sha256=row["secret_sha256"],
        name=row["name"],
        scopes=frozenset(row["scopes"]),
        is_bound=row["is_bound"],
        project_ids=frozenset(row["project_ids"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )
