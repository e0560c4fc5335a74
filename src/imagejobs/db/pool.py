"""Connections to PostgreSQL, and which of its errors mean "not now"."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg

from imagejobs.errors import ConfigurationError, DatabaseUnavailable
from imagejobs.ports import Transaction

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

NOT_NOW = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server said its last words, and its end was not heard yet
    asyncpg.OperatorInterventionError,  # shutdown, crash recovery, canceled by a timeout
    asyncpg.InsufficientResourcesError,  # disk full, too many connections, out of memory
    asyncpg.ReadOnlySQLTransactionError,  # a failover left us on the standby
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.PostgresIOError,
    asyncpg.InvalidCachedStatementError,  # a table got a column after the statement was prepared
)

_NOT_LET_IN = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
_MINIMUM_VERSION = 15
UNREADABLE_ADDRESS = "it cannot be read as an address; in a password write # / ? [ @ : % as %23 %2F %3F %5B %40 %3A %25"


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """How to connect. `is_pooled` says that a transaction-mode pooler stands between: then no session state is used.

    The server gives a statement up after `statement_seconds`, the client a silent server `silence_seconds` later.
    """

    min_size: int = 1
    max_size: int = 10
    acquire_seconds: float = 5.0
    statement_seconds: float = 20.0
    silence_seconds: float = 5.0
    is_pooled: bool = False
    application_name: str = "imagejobs"


class Database:
    """A pool of connections. Each use maps "not now" errors to `DatabaseUnavailable`; other errors are bugs and pass."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", options: PoolOptions) -> None:
        self._pool = pool
        self._options = options

    @classmethod
    async def connect(cls, dsn: str, options: PoolOptions) -> "Database":
        """A pool with at least one working connection to a server that may be written to and is new enough."""
        try:
            pool = await asyncpg.create_pool(dsn, **_arguments(options))
        except (asyncpg.InterfaceError, *_NOT_LET_IN) as error:
            raise DatabaseUnavailable(str(error)) from error
        except ValueError:  # Python's own words may quote the password
            raise DatabaseUnavailable(UNREADABLE_ADDRESS) from None
        except NOT_NOW as error:
            raise DatabaseUnavailable(f"PostgreSQL cannot be reached: {str(error) or type(error).__name__}") from error
        database = cls(pool, options)
        await database._refuse_unsuitable_server()
        return database

    async def _refuse_unsuitable_server(self) -> None:
        async with self.connection() as connection:
            version = connection.get_server_version()
            durable = await connection.fetchval("SELECT current_setting('fsync') = 'on'")
            standby = await connection.fetchval("SELECT pg_is_in_recovery()")
        problems = []
        if version.major < _MINIMUM_VERSION:
            problems.append(f"PostgreSQL {version.major} is too old: {_MINIMUM_VERSION} or newer is needed.")
        if standby:
            problems.append("DATABASE_URL names a read-only standby: name the primary.")
        if not durable and self._options.application_name != "imagejobs-test":
            problems.append("The server runs with fsync = off and would lose accepted jobs in a crash: switch it on.")
        if problems:
            await self.close()
            raise ConfigurationError(problems)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for reading, statement by statement."""
        try:
            async with self._pool.acquire(timeout=self._options.acquire_seconds) as connection:
                try:
                    yield connection
                except asyncpg.InternalClientError:
                    connection.terminate()
                    raise
        except (*NOT_NOW, asyncpg.PostgresError) as error:
            if not (isinstance(error, NOT_NOW) or "FATAL" in (error.severity, error.severity_en)):
                raise  # what is fatal ends a session, or refuses one
            why = f"The database does not answer just now ({type(error).__name__}); try again in a moment."
            raise DatabaseUnavailable(why) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction: committed when the block ends, rolled back when it raises.

        `DatabaseUnavailable` from the end of the block leaves open whether the commit took place: read before repeating.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def close(self) -> None:
        """Close every connection, at the latest after five seconds."""
        try:
            await asyncio.wait_for(self._pool.close(), 5.0)
        except NOT_NOW:
            self._pool.terminate()


async def _reset(connection: Connection) -> None:
    """Nothing: no statement of ours leaves session state, and four statements a release would halve the rate."""
    if connection.is_in_transaction():
        connection.terminate()


def _arguments(options: PoolOptions) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "min_size": options.min_size,
        "max_size": options.max_size,
        "timeout": options.acquire_seconds,
        "command_timeout": options.statement_seconds + options.silence_seconds,
        "reset": _reset,
        "max_inactive_connection_lifetime": 300.0,
    }
    if options.is_pooled:
        return arguments | {"statement_cache_size": 0}
    return arguments | {
        "server_settings": {
            "application_name": options.application_name,
            "timezone": "UTC",
            "jit": "off",
            "synchronous_commit": "on",
            "statement_timeout": str(int(options.statement_seconds * 1000)),
            "lock_timeout": "10000",
            "idle_in_transaction_session_timeout": "60000",
        }
    }
