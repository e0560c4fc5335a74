"""From a bearer token to a caller."""

import hmac
from datetime import UTC, datetime

from imagejobs.app.deps import Deps
from imagejobs.db import access
from imagejobs.domain.access import Caller, KeyText, Scope, parse_key
from imagejobs.errors import Unauthenticated

_REFUSED = "The API key is not valid: check it, or make a new one with `imagejobs keys create`."


async def authenticate(deps: Deps, token: str | None) -> Caller:
    """The caller behind the token. Every reason to refuse gives the same answer."""
    if not token:
        raise Unauthenticated("Send an API key: `Authorization: Bearer ij_…`.")
    key = parse_key(token)
    if key is None:
        raise Unauthenticated(_REFUSED)
    now = deps.clock.monotonic()
    known = deps.keys.get(key.id, now)
    if known is None:
        return await _look_up(deps, key, now)
    if not hmac.compare_digest(known[0], key.secret_sha256):
        raise Unauthenticated(_REFUSED)
    return known[1]


async def _look_up(deps: Deps, key: KeyText, now: float) -> Caller:
    async with deps.database.connection() as connection:
        found = await access.key_by_id(connection, key.id)
        if found is None or not found.is_opened_by(key, datetime.now(UTC)):
            raise Unauthenticated(_REFUSED)
        await access.touch_key(connection, key.id)
    caller = Caller(
        name=found.name,
        key_id=found.id,
        scopes=frozenset(Scope(scope) for scope in found.scopes),
        project_ids=found.project_ids if found.is_bound else None,
    )
    deps.keys.put(key.id, (found.secret_sha256, caller), now)
    return caller
