"""Whose a project is by the application's own tables."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx2
import pytest

from imagejobs.bootstrap import Role, open_deps
from imagejobs.settings import load_settings
from imagejobs.web.server import create_app
from tests.support.tokens import as_user, tokens_by_secret

pytestmark = pytest.mark.database

PAGE = (Path(__file__).parents[2] / "docs/how-to/supabase-users.md").read_text()
QUERY = re.findall(r"^IMAGEJOBS_OWNERSHIP_QUERY=(.+)$", PAGE, re.MULTILINE)[0]
OWNER, STRANGER = "2d1c7e54-9a3b-4f60-8b1e-c0ffee000001", "2d1c7e54-9a3b-4f60-8b1e-c0ffee000002"
THEIRS = "7fb0d6a2-41c8-4e95-a2d7-c0ffee000003"


async def change(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def make_tables(dsn: str, schema: str = "public") -> None:
    """The application's own."""
    await change(
        dsn,
        f"CREATE TABLE {schema}.projects (id uuid PRIMARY KEY, user_id uuid NOT NULL)",
        f"INSERT INTO {schema}.projects VALUES ('{THEIRS}', '{OWNER}')",  # noqa: S608 - of this test
    )


@asynccontextmanager
async def started() -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    """The API as `api` and `up` start it, and the path along which its connections go on to look for tables."""
    async with open_deps(load_settings(), Role.API) as deps:
        transport = httpx2.ASGITransport(create_app(deps, tokens=tokens_by_secret()), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://x.test") as client:
            answers = [await client.get(f"/api/projects/{THEIRS}", headers=as_user(user)) for user in (OWNER, STRANGER)]
            assert [answer.status_code for answer in answers] == [200, 404], answers[0].text
        async with deps.database.connection() as connection:
            assert await connection.fetchval("SELECT current_user::text") == "imagejobs"
            yield client, await connection.fetchval("SHOW search_path")


@pytest.mark.parametrize("is_pooled", [False, True])
@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("public", '"$user", public'),
        ('"a ""B"', 'pg_catalog, imagejobs, "a ""B", public'),
        ("app", "nowhere, app, imagejobs"),
    ],
)
async def test_a12_the_pages_query_never_finds_our_own_table_though_the_role_is_called_as_our_schema(
    here: pytest.MonkeyPatch, dsn: str, schema: str, path: str, *, is_pooled: bool
) -> None:
    await change(dsn, *([] if schema == "public" else [f"CREATE SCHEMA {schema}"]))
    await make_tables(dsn, schema)
    name = dsn.rpartition("/")[2]
    await change(dsn, f"ALTER DATABASE {name} SET search_path = {path}")
    here.setenv("IMAGEJOBS_OWNERSHIP_QUERY", QUERY)
    if is_pooled:
        here.setenv("IMAGEJOBS_DIRECT_DATABASE_URL", dsn)
    async with started() as (_, kept):
        assert kept == path
