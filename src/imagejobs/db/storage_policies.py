"""Supabase's own tables: who may read and write the objects of our bucket (C2)."""

import asyncpg

from imagejobs.db.pool import Connection
from imagejobs.ports import Transaction

_REFUSED = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedObjectError,  # no role service_role: not a Supabase database
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedTableError,
)
_VERBS = ("insert", "update", "delete", "select")


class PoliciesRefused(Exception):
    """This database role may not make policies on storage.objects."""


async def has_storage(connection: Connection) -> bool:
    """Whether the database is a Supabase project's, with its table of objects."""
    return bool(await connection.fetchval("SELECT to_regclass('storage.objects') IS NOT NULL"))


async def missing(connection: Connection, bucket: str) -> list[str]:
    """The verbs of ours whose policy is not there under the name that `apply` gives it."""
    rows = await connection.fetch(
        "SELECT policyname FROM pg_policies WHERE schemaname = 'storage' AND tablename = 'objects'"
    )
    there = {row["policyname"] for row in rows}
    return [verb for verb in _VERBS if _name(verb, bucket)[:63] not in there]  # it keeps no more bytes


async def apply(tx: Transaction, bucket: str) -> None:
    """Make the four policies anew, in the caller's transaction; raises `PoliciesRefused`."""
    try:
        for statement in statements(bucket):
            await tx.execute(statement)
    except _REFUSED as error:
        raise PoliciesRefused(str(error)) from error


def statements(bucket: str) -> list[str]:
    """The SQL, statement by statement: writing for the service role only, reading for everyone. Again is harmless."""
    rule = f"bucket_id = {_literal(bucket)}"
    checks = {
        "insert": f"TO service_role WITH CHECK ({rule})",
        "update": f"TO service_role USING ({rule}) WITH CHECK ({rule})",
        "delete": f"TO service_role USING ({rule})",
        "select": f"TO public USING ({rule})",
    }
    made = []
    for verb, check in checks.items():
        name = f'"{_name(verb, bucket)}"'
        made.append(f"DROP POLICY IF EXISTS {name} ON storage.objects")
        made.append(f"CREATE POLICY {name} ON storage.objects FOR {verb.upper()} {check}")
    return made


def _name(verb: str, bucket: str) -> str:
    return f"imagejobs {verb} {bucket}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
