"""The first user: an admin key that `up` makes and keeps in the data directory."""

import hmac
import socket
from datetime import UTC, datetime

from imagejobs.app.keys import create_key, list_keys
from imagejobs.cli.home import Home
from imagejobs.cli.local import opened
from imagejobs.db.pool import Database
from imagejobs.domain.access import Scope, parse_key
from imagejobs.settings import Settings


async def ensure_admin_key(settings: Settings, home: Home) -> str:
    """The kept key if the database still accepts it, else a new one, kept in its place."""
    async with opened(settings) as database:
        kept = home.read_admin_key()
        if kept is not None and await _is_accepted(database, kept):
            return kept
        made = str(await create_key(database, f"up on {socket.gethostname()}", scopes={Scope.ADMIN}))
    home.keep_admin_key(made)
    return made


async def _is_accepted(database: Database, text: str) -> bool:
    key = parse_key(text)
    if key is None:
        return False
    now = datetime.now(UTC)
    return any(
        known.id == key.id
        and hmac.compare_digest(known.secret_sha256, key.secret_sha256)
        and known.is_good(now)
        and Scope.ADMIN.value in known.scopes
        for known in await list_keys(database)
    )
