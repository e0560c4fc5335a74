"""The operator's query on the application's own tables, which says whose a project is."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

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


_NOBODYS = (str(UUID(int=0)), "0")  # the one or the other fits any type above
_WITHOUT_OURS = """
SELECT set_config('search_path', array_to_string(ARRAY(
    SELECT quote_ident(name) FROM unnest(array_remove(current_schemas(false), 'imagejobs')) AS name), ', '), true)
"""


async def require_usable(tx: Transaction, query: str, *, is_asked: bool) -> None:
    """Refuse what cannot work: a query that does not parse, or does not take one id and give users, one a row.

    Where `is_asked`, also one that fails, as it is asked in use, for a project that nobody has.
    """
    try:
        _require_shape(await _prepared(tx, query))
        with suppress(asyncpg.DataError):  # an id that the query itself cannot cast is nobody's
            for project_id in _NOBODYS if is_asked else ():
                await is_owner(tx, query, project_id, "")
    except asyncpg.PostgresError as error:
        raise ConfigurationError([f"{_HOW}. The database says: {error}."]) from error


async def is_owner(tx: Transaction, query: str, project_id: str, user_id: str) -> bool:
    """Whether the query names the user for the project; False where the id cannot be one of that table's.

    Makes the transaction read-only, with a time limit and a search path of its own; what follows in it must be reads.
    """
    await tx.execute(f"SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
    statement = await _prepared(tx, query)
    value = _cast(statement.get_parameters(), project_id)
    if value is None:
        return False
    async for row in statement.cursor(value, prefetch=_ROWS_AT_ONCE):
        if row[0] is not None and str(row[0]) == user_id:
            return True
    return False


async def _prepared(tx: Transaction, query: str) -> "PreparedStatement[asyncpg.Record]":
    """The query, which from here on finds no table of ours by its mere name: our schema may be called as the role is."""
    await tx.execute(_WITHOUT_OURS)
    return await tx.prepare(query)


def _require_shape(statement: "PreparedStatement[asyncpg.Record]") -> None:
    taken, given = [one.name for one in statement.get_parameters()], len(statement.get_attributes())
    if (len(taken), given) != (1, 1):
        problem = (
            f"It must take one value, the id, and give one column, users' ids; it takes {len(taken)} and gives {given}."
        )
        raise ConfigurationError([f"{_HOW}. {problem}"])
    if taken[0] not in _CASTS:
        raise ConfigurationError([f"{_HOW}. Its $1 is of the type {taken[0]}; cast the column to text."])


def _cast(parameters: Sequence[asyncpg.Type], project_id: str) -> Any:  # noqa: ANN401 - whatever type the column has
    """The id as the column's type has it, in its one usual spelling; None for anything else."""
    try:
        value = _CASTS[parameters[0].name](project_id)
    except (KeyError, IndexError, ValueError):
        return None
    return value if str(value) == project_id else None
