"""Whose a project is by the application's own tables, and what `doctor` says of the sign-in."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx2
import pytest

from imagejobs.app.findings import Finding, Level
from imagejobs.bootstrap import Role, open_deps
from imagejobs.cli.doctor import examine
from imagejobs.cli.findings import line_of
from imagejobs.db import ownership
from imagejobs.errors import ConfigurationError
from imagejobs.settings import load_settings
from imagejobs.web.server import create_app
from tests.support.scripted_server import Reply, Script, scripted_server
from tests.support.supabase_server import SECRET_KEY, Bucket, supabase_double
from tests.support.tokens import SECRET, EllipticKey, RsaKey, as_user, tokens_by_secret

pytestmark = pytest.mark.database

PAGE = (Path(__file__).parents[2] / "docs/how-to/supabase-users.md").read_text()
QUERY = re.findall(r"^IMAGEJOBS_OWNERSHIP_QUERY=(.+)$", PAGE, re.MULTILINE)[0]
OWNER, STRANGER = "2d1c7e54-9a3b-4f60-8b1e-c0ffee000001", "2d1c7e54-9a3b-4f60-8b1e-c0ffee000002"
THEIRS = "7fb0d6a2-41c8-4e95-a2d7-c0ffee000003"
KEY = EllipticKey()
PUBLISHED = Reply(document={"keys": [KEY.entry]})


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


# What `doctor` says


async def sign_in() -> list[Finding]:
    """Its findings on sign-in; each that is not well has a next step."""
    found = [finding for finding in await examine() if finding.subject == "sign-in"]
    for finding in found:
        assert finding.level is Level.OK or finding.advice, finding
        assert SECRET not in line_of(finding)
    return found


@pytest.fixture
def project(here: pytest.MonkeyPatch) -> Iterator[Script]:
    """A Supabase project that publishes two keys; it is there for its users, not for pictures."""
    with scripted_server(PUBLISHED) as server:
        here.setenv("SUPABASE_URL", server.url)
        yield server


@pytest.mark.usefixtures("here")
async def test_f6_where_no_users_are_let_in_nothing_is_said_of_their_sign_in() -> None:
    assert await sign_in() == []


async def test_f6_sign_in_is_well_where_keys_are_published_and_the_query_runs(
    here: pytest.MonkeyPatch, project: Script, dsn: str
) -> None:
    await make_tables(dsn)
    here.setenv("IMAGEJOBS_OWNERSHIP_QUERY", QUERY)
    query, keys = await sign_in()
    assert {query.level, keys.level} == {Level.OK}
    assert f"{line_of(query)}\n{line_of(keys)}\n" in PAGE
    assert [asked.target for asked in project.asked] == ["/auth/v1/.well-known/jwks.json"]


async def test_f6_with_a_shared_secret_no_published_key_is_looked_for(here: pytest.MonkeyPatch, project: Script) -> None:
    here.setenv("SUPABASE_JWT_SECRET", SECRET)
    (found,) = await sign_in()
    assert (found.level, "HS256" in found.detail) == (Level.OK, True)
    assert project.asked == []


@pytest.mark.parametrize(
    ("reply", "words", "step"),
    [
        (Reply(hang_up=True), "/auth/v1/.well-known/jwks.json cannot be had", "SUPABASE_URL"),
        (Reply(status=404), "status 404", "SUPABASE_URL"),
        (Reply(content=b"<html>"), "cannot be had", "SUPABASE_URL"),
        (Reply(document={"keys": []}), "no key that can be used", "SUPABASE_JWT_SECRET"),
        (Reply(document={"keys": [RsaKey("weak", 1024).entry]}), "no key that can be used", "SUPABASE_JWT_SECRET"),
    ],
)
async def test_f6_keys_that_cannot_be_had_or_used_fail_with_a_next_step(
    project: Script, reply: Reply, words: str, step: str
) -> None:
    project.replies = [reply]
    (found,) = await sign_in()
    assert (found.level, words in found.detail, step in found.advice) == (Level.FAIL, True, True), found


async def test_f6_a_project_that_only_keeps_pictures_is_warned_and_not_failed(here: pytest.MonkeyPatch) -> None:
    with supabase_double() as double:
        double.buckets["asset-images"] = Bucket(name="asset-images")
        here.setenv("SUPABASE_URL", double.url)
        here.setenv("SUPABASE_SERVICE_ROLE_KEY", SECRET_KEY)
        (found,) = await sign_in()
        assert found.level is Level.WARN
        here.setenv("IMAGEJOBS_OWNERSHIP_QUERY", "SELECT 'u' WHERE $1::text <> ''")
        assert [one.level for one in await sign_in()] == [Level.OK, Level.FAIL]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    "query",
    [
        "SELECT user_id FROM nothing WHERE id = $1",
        "SELECT owner FROM projects WHERE id = $1",
        "SELECT * FROM projects WHERE id = $1",
        "SELECT user_id FROM projects",
        "SELECT user_id FROM projects WHERE id = 'film' AND user_id = $1",
        "SELECT 1 WHERE now() > $1",
        "nonsense",
    ],
)
async def test_f6_a_query_that_keeps_the_api_from_its_start_fails_in_the_same_words(
    here: pytest.MonkeyPatch, dsn: str, query: str
) -> None:
    await make_tables(dsn)
    here.setenv("IMAGEJOBS_OWNERSHIP_QUERY", query)
    with pytest.raises(ConfigurationError) as caught:
        async with open_deps(load_settings(), Role.API):
            pass
    found, _ = await sign_in()
    assert (found.level, found.detail) == (Level.FAIL, caught.value.detail)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("DELETE FROM projects WHERE id = $1 RETURNING user_id", "read-only"),
        ("SELECT pg_sleep(60)::text WHERE $1::text <> ''", "statement timeout"),
        ("SELECT user_id FROM projects WHERE id = $1::text::uuid", None),
    ],
)
async def test_f6_a_query_is_asked_as_it_is_in_use(
    here: pytest.MonkeyPatch, dsn: str, query: str, words: str | None
) -> None:
    await make_tables(dsn)
    here.setattr(ownership, "STATEMENT_MILLISECONDS", 200)
    here.setenv("IMAGEJOBS_OWNERSHIP_QUERY", query)
    found, _ = await sign_in()
    assert (found.level is Level.OK) == (words is None)
    assert (words or "") in found.detail


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("IMAGEJOBS_OWNERSHIP_QUERY", "SELECT 'u' WHERE $1::text <> ''", Level.WARN),
        ("SUPABASE_JWT_SECRET", SECRET, Level.FAIL),
    ],
)
async def test_f6_what_is_of_no_use_without_a_project_is_told(
    here: pytest.MonkeyPatch, name: str, value: str, level: Level
) -> None:
    here.setenv(name, value)
    *_, last = await sign_in()
    assert (last.level, "SUPABASE_URL" in last.detail + last.advice) == (level, True)
