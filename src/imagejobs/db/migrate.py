"""Numbered, forward-only migrations, one transaction each, under an advisory lock: twice is harmless, killed midway too."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import resources

import asyncpg

from imagejobs.db.pool import Connection
from imagejobs.errors import ConfigurationError

_LOCK = 0x696D6A6F62  # "imjob"
_NAME = re.compile(r"(\d{4})_(\w+)\.sql")

_FOREIGN_TABLE = (
    "There is a table public.image_generation_jobs in this database that imagejobs did not make. "
    "Nothing was changed. Rename it (ALTER TABLE image_generation_jobs RENAME TO image_generation_jobs_old), "
    "or give imagejobs a database of its own."
)

InstallEngine = Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[bool]]


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One numbered SQL file."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.sql.encode()).digest()


def known_migrations() -> tuple[Migration, ...]:
    """Every migration this version ships, in order."""
    found = [
        Migration(number=int(match[1]), name=match[2], sql=file.read_text())
        for file in resources.files("imagejobs.db").joinpath("migrations").iterdir()
        if (match := _NAME.fullmatch(file.name))
    ]
    return tuple(sorted(found, key=lambda migration: migration.number))


async def migrate(connection: "asyncpg.Connection[asyncpg.Record]", install_engine: InstallEngine) -> list[str]:
    """Bring the schema up to this version; says what was done, nothing when all was there.

    Each step commits by itself, so a kill in between leaves whole steps, and the next run goes on from there. Two runs at
    once take turns. A table of our name that is not ours is refused before anything is written.
    """
    done = []
    for migration in known_migrations():
        async with connection.transaction():
            await _lock(connection)
            await _prepare(connection)
            if await _apply(connection, migration):
                done.append(f"{migration.number:04d}_{migration.name}")
    async with connection.transaction():
        await _lock(connection)
        if await install_engine(connection):
            done.append("engine")
        if await connection.fetchval("SELECT imagejobs.admit_supabase_users()"):
            done.append("supabase users")
    return done


async def schema_version(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> int:
    """The number of the newest migration applied; 0 for an empty database."""
    if not await connection.fetchval("SELECT to_regclass('imagejobs.schema_migrations') IS NOT NULL"):
        return 0
    return int(await connection.fetchval("SELECT coalesce(max(number), 0) FROM imagejobs.schema_migrations"))


async def require_schema(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
    """Refuse a database whose schema is older than this version needs; a newer one is fine."""
    needed = known_migrations()[-1].number
    found = await schema_version(connection)
    if found < needed or not await connection.fetchval("SELECT to_regclass('imagejobs.pgqueuer') IS NOT NULL"):
        raise ConfigurationError(
            [f"The database schema is at {found}, this version needs {needed}: run `imagejobs migrate` first."]
        )


async def _lock(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    await connection.execute("SET LOCAL lock_timeout = '10s'")


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    ours = await connection.fetchval("SELECT to_regclass('imagejobs.schema_migrations') IS NOT NULL")
    if ours:
        return
    if await connection.fetchval("SELECT to_regclass('public.image_generation_jobs') IS NOT NULL"):
        raise ConfigurationError([_FOREIGN_TABLE])
    await connection.execute("CREATE SCHEMA IF NOT EXISTS imagejobs")
    await connection.execute(
        "CREATE TABLE imagejobs.schema_migrations (number integer PRIMARY KEY, name text NOT NULL, "
        "sha256 bytea NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> bool:
    applied = await connection.fetchval("SELECT sha256 FROM imagejobs.schema_migrations WHERE number = $1", migration.number)
    if applied is not None:
        if applied != migration.sha256:
            raise ConfigurationError([f"Migration {migration.number} of this database is not the one this version ships."])
        return False
    await connection.execute(migration.sql)
    await connection.execute(
        "INSERT INTO imagejobs.schema_migrations (number, name, sha256) VALUES ($1, $2, $3)",
        migration.number,
        migration.name,
        migration.sha256,
    )
    return True


async def micros_per_credit_of(connection: Connection) -> int:
    """What one credit is worth, in micro-dollars; chosen when the instance was set up (B6)."""
    return int(await connection.fetchval("SELECT micros_per_credit FROM imagejobs.instance"))
