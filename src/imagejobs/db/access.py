"""API keys and projects: who may ask, and for what."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from imagejobs.db.pool import Connection
from imagejobs.db.rows import value_from
from imagejobs.domain.access import KeyText, Role
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

    def is_good(self, now: datetime) -> bool:
        """Whether it is neither revoked nor over."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    def is_opened_by(self, key: KeyText, now: datetime) -> bool:
        """Whether it is good, and that is its text."""
        return hmac.compare_digest(self.secret_sha256, key.secret_sha256) and self.is_good(now)


_KEY = """
SELECT key.*, coalesce(array_agg(bound.project_id) FILTER (WHERE bound.project_id IS NOT NULL), '{}') AS project_ids
FROM imagejobs.api_keys AS key LEFT JOIN imagejobs.api_key_projects AS bound ON bound.key_id = key.id
"""


async def insert_key(tx: Transaction, key: ApiKey) -> None:
    """Write the key and its bindings; the projects it is bound to must exist."""
    columns = "id, secret_sha256, name, scopes, is_bound, expires_at"
    statement = f"INSERT INTO imagejobs.api_keys ({columns}) VALUES ($1, $2, $3, $4, $5, $6)"  # noqa: S608 - a constant
    await tx.execute(statement, key.id, key.secret_sha256, key.name, sorted(key.scopes), key.is_bound, key.expires_at)
    bind = "INSERT INTO imagejobs.api_key_projects (key_id, project_id) SELECT $1, unnest($2::text[])"
    await tx.execute(bind, key.id, sorted(key.project_ids))


async def key_by_id(connection: Connection, key_id: str) -> ApiKey | None:
    """The key of that public id, revoked or not."""
    row = await connection.fetchrow(_KEY + " WHERE key.id = $1 GROUP BY key.id", key_id)
    return None if row is None else value_from(ApiKey, row)


async def all_keys(connection: Connection) -> list[ApiKey]:
    """Every key, oldest first."""
    rows = await connection.fetch(_KEY + " GROUP BY key.id ORDER BY key.created_at, key.id")
    return [value_from(ApiKey, row) for row in rows]


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
    statement = "INSERT INTO imagejobs.projects (id, created_by) SELECT unnest($1::text[]), $2 ON CONFLICT (id) DO NOTHING"
    await tx.execute(statement, list(project_ids), created_by)


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project of ours."""

    id: str
    name: str | None
    on_unknown_outcome: str
    created_by: str | None
    created_at: datetime


async def project(connection: Connection, project_id: str) -> Project | None:
    """The project, if anybody made it."""
    row = await connection.fetchrow("SELECT * FROM imagejobs.projects WHERE id = $1", project_id)
    return None if row is None else value_from(Project, row)


async def all_projects(connection: Connection) -> list[Project]:
    """Every project, oldest first."""
    rows = await connection.fetch("SELECT * FROM imagejobs.projects ORDER BY created_at, id")
    return [value_from(Project, row) for row in rows]


async def put_project(tx: Transaction, project_id: str, name: str | None, policy: str, created_by: str) -> bool:
    """Make the project, or give it this name and policy; whether it is new."""
    statement = (
        "INSERT INTO imagejobs.projects (id, name, on_unknown_outcome, created_by) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (id) DO UPDATE SET name = $2, on_unknown_outcome = $3 RETURNING xmax = 0"
    )
    return bool(await tx.fetchval(statement, project_id, name, policy, created_by))


@dataclass(frozen=True, kw_only=True)
class Membership:
    """A user's place in a project; `confirmed_seconds_ago` is set where the ownership query gave it."""

    project_id: str
    user_id: str
    role: Role
    created_at: datetime
    confirmed_seconds_ago: float | None
    source: str


_MEMBERSHIP = """
SELECT *, extract(epoch FROM now() - confirmed_at)::float8 AS confirmed_seconds_ago,
    CASE WHEN confirmed_at IS NULL THEN 'members' ELSE 'ownership_query' END AS source FROM imagejobs.members
"""


async def memberships(connection: Connection, user_id: str) -> list[Membership]:
    """The user's places in all projects."""
    rows = await connection.fetch(_MEMBERSHIP + "WHERE user_id = $1 ORDER BY project_id", user_id)
    return [value_from(Membership, row) for row in rows]


async def members(connection: Connection, project_id: str) -> list[Membership]:
    """The project's members, oldest first."""
    rows = await connection.fetch(_MEMBERSHIP + "WHERE project_id = $1 ORDER BY created_at, user_id", project_id)
    return [value_from(Membership, row) for row in rows]


async def put_member(tx: Transaction, project_id: str, user_id: str, role: Role) -> None:
    """Give the user this role, whatever the ownership query says from now on."""
    statement = (
        "INSERT INTO imagejobs.members (project_id, user_id, role) VALUES ($1, $2, $3) "
        "ON CONFLICT (project_id, user_id) DO UPDATE SET role = $3, confirmed_at = NULL"
    )
    await tx.execute(statement, project_id, user_id, role.value)


async def remove_member(tx: Transaction, project_id: str, user_id: str) -> bool:
    """End a membership; False where there was none."""
    statement = "DELETE FROM imagejobs.members WHERE project_id = $1 AND user_id = $2 RETURNING true"
    return bool(await tx.fetchval(statement, project_id, user_id))


async def confirm_member(tx: Transaction, project_ids: Sequence[str], user_id: str) -> None:
    """Note that the ownership query names the user just now. A role that a person gave stays as it is."""
    await tx.execute(
        "INSERT INTO imagejobs.members (project_id, user_id, role, confirmed_at) "
        "SELECT unnest($1::text[]), $2, 'admin', now() ORDER BY 1 "
        "ON CONFLICT (project_id, user_id) DO UPDATE SET confirmed_at = now() WHERE members.confirmed_at IS NOT NULL",
        project_ids,
        user_id,
    )


async def end_confirmed(tx: Transaction, project_ids: Sequence[str], user_id: str) -> None:
    """End memberships that only the ownership query gave."""
    await tx.execute(
        "DELETE FROM imagejobs.members WHERE project_id = ANY($1::text[]) AND user_id = $2 AND confirmed_at IS NOT NULL",
        project_ids,
        user_id,
    )


async def on_unknown_outcome(connection: Connection, project_id: str) -> str:
    """The project's policy for purchases whose outcome nobody knows: `fail` or `retry_once`."""
    statement = "SELECT on_unknown_outcome FROM imagejobs.projects WHERE id = $1"
    return str(await connection.fetchval(statement, project_id) or "fail")
