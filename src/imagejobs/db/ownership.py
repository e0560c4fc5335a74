"""The operator's query on the application's own tables, which says whose a project is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from imagejobs.db.pool import Connection
from imagejobs.errors import ConfigurationError
from imagejobs.ports import Transaction

STATEMENT_MILLISECONDS = 2_000
_ROWS_AT_ONCE = 1_000
_HOW = "IMAGEJOBS_OWNERSHIP_QUERY must look like: SELECT user_id FROM projects WHERE id = $1"


_CASTS: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("text", "varchar"), str),  # not bpchar or citext: many spellings would be one project of theirs
    **dict.fromkeys(("int2", "int4", "int8"), int),
    "uuid": UUID,
}


async def require_usable(connection: Connection, query: str) -> None:
    """Refuse at start what cannot work: a query that does not parse, or does not take one id and give users."""
    try:
        statement = await connection.prepare(query)
    except asyncpg.PostgresError as error:
        raise ConfigurationError([f"{_HOW}. The database says: {error}."]) from error
    taken = [one.name for one in statement.get_parameters()]
    if len(taken) != 1 or not statement.get_attributes():
        raise ConfigurationError([f"{_HOW}. It takes {len(taken)} values and must take one, and give users' ids."])
    if taken[0] not in _CASTS:
        raise ConfigurationError([f"{_HOW}. Its $1 is of the type {taken[0]}; cast the column to text."])


async def is_owner(tx: Transaction, query: str, project_id: str, user_id: str) -> bool:
    """Whether the query names the user for the project; False where the id cannot be one of that table's.

    Makes the transaction read-only, with a time limit of its own; what follows in it must be reads.
    """
    await tx.execute("SET TRANSACTION READ ONLY")
    await tx.execute(f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
    statement = await tx.prepare(query)
    value = _cast(statement.get_parameters(), project_id)
    if value is None:
        return False
    async for row in statement.cursor(value, prefetch=_ROWS_AT_ONCE):
        if row[0] is not None and str(row[0]) == user_id:
            return True
    return False


def _cast(parameters: Sequence[asyncpg.Type], project_id: str) -> Any:  # noqa: ANN401 - whatever type the column has
    """The id as the column's type has it, in its one usual spelling; None for anything else."""
    try:
        value = _CASTS[parameters[0].name](project_id)
    except (KeyError, IndexError, ValueError):
        return None
    return value if str(value) == project_id else None
