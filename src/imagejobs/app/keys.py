"""Making, listing and revoking API keys."""

import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from imagejobs.db import access
from imagejobs.db.access import ApiKey
from imagejobs.db.pool import Database
from imagejobs.domain.access import KeyText, Scope, make_key
from imagejobs.errors import NotFound

DEFAULT_SCOPES = frozenset({Scope.READ, Scope.WRITE, Scope.CREATE_PROJECTS})
NO_KEY = "There is no key {}: `imagejobs keys ls` lists them."


async def create_key(
    database: Database,
    name: str,
    *,
    scopes: Collection[Scope] = DEFAULT_SCOPES,
    project_ids: Collection[str] = (),
    days: int | None = None,
) -> KeyText:
    """Make a key; its text is in the answer and nowhere else.

    With `project_ids` the key is bound to those projects, which are made where they do not exist, and makes no others.
    """
    text = make_key(secrets.token_bytes(40))
    granted = frozenset(scopes) - ({Scope.CREATE_PROJECTS} if project_ids else set())
    now = datetime.now(UTC)
    key = ApiKey(
        id=text.id,
        secret_sha256=text.secret_sha256,
        name=name,
        scopes=frozenset(scope.value for scope in granted),
        is_bound=bool(project_ids),
        project_ids=frozenset(project_ids),
        created_at=now,
        expires_at=None if days is None else now + timedelta(days=days),
        revoked_at=None,
        last_used_at=None,
    )
    async with database.transaction() as tx:
        await access.ensure_projects(tx, sorted(project_ids), None)
        await access.insert_key(tx, key)
    return text


async def list_keys(database: Database) -> list[ApiKey]:
    """Every key, without its secret."""
    async with database.connection() as connection:
        return await access.all_keys(connection)


async def revoke_key(database: Database, key_id: str) -> None:
    """Make a key useless everywhere within seconds; a repeat changes nothing."""
    async with database.transaction() as tx:
        if not await access.revoke_key(tx, key_id):
            raise NotFound(NO_KEY.format(key_id))
