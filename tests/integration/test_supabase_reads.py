"""B4: what a user of Supabase reads and writes by themselves, on a database made to look like Supabase's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from typing import TypeAlias

import asyncpg
import pytest

from imagejobs.db.migrate import known_migrations, migrate
from imagejobs.engine.pgq import install
from tests.support.tokens import USER

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# As Supabase sets a database up: roles without login, auth.uid() out of the request's claims, and everything on new tables
# of `public` granted to its roles.
ROLES = """
DO $$ BEGIN
    FOR name IN SELECT unnest(ARRAY['anon', 'authenticated', 'service_role']) LOOP
        BEGIN EXECUTE format('CREATE ROLE %I NOLOGIN', name); EXCEPTION WHEN duplicate_object OR unique_violation THEN END;
    END LOOP;
END $$
""".replace("DO $$ BEGIN", "DO $$ DECLARE name text; BEGIN")
SUPABASE = """
CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('request.jwt.claims', true)::jsonb ->> 'sub', '')::uuid
$$;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
"""
OTHER = "00000000-0000-4000-8000-000000000001"
INSERT = (
    "INSERT INTO image_generation_jobs (id, project_id, job_type, prompt, width, height, fingerprint, deadline_seconds, "
    "deadline_at) VALUES (gen_random_uuid(), 'mine', 'generate', 'x', 1, 1, '', 1, now())"
)
WRITES = [
    INSERT,
    "UPDATE image_generation_jobs SET prompt = 'theirs now'",
    "DELETE FROM image_generation_jobs",
    "TRUNCATE image_generation_jobs CASCADE",
]
CLOSED = [
    "SELECT * FROM imagejobs.members",
    "SELECT * FROM imagejobs.api_keys",
    "SELECT imagejobs.projects_of_user()",
    "SELECT imagejobs.admit_supabase_users()",
]


@asynccontextmanager
async def acting(connection: Connection, role: str, user_id: str = "") -> AsyncIterator[None]:
    """What PostgREST does before each statement."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(
            "SELECT set_config('request.jwt.claims', json_build_object('sub', $1::text)::text, true)", user_id
        )
        await connection.execute(f"SET LOCAL ROLE {role}")
        yield
    finally:
        await transaction.rollback()


async def prompts(connection: Connection, role: str, user_id: str = "") -> list[str]:
    async with acting(connection, role, user_id):
        return [row["prompt"] for row in await connection.fetch("SELECT prompt FROM image_generation_jobs ORDER BY prompt")]


async def fill(connection: Connection) -> None:
    for project in ("mine", "theirs", "lent", "lapsed"):
        await connection.execute("INSERT INTO imagejobs.projects (id) VALUES ($1)", project)
        await connection.execute(INSERT.replace("'mine'", "$1::text").replace("'x'", "$1::text"), project)
    await connection.execute(
        "INSERT INTO imagejobs.members (project_id, user_id, role, confirmed_at) VALUES ('mine', $1, 'viewer', NULL), "
        "('theirs', $2, 'admin', NULL), ('lent', $1, 'admin', now()), ('lapsed', $1, 'admin', now() - interval '2 days')",
        USER,
        OTHER,
    )


@pytest.fixture
async def supabase(empty_dsn: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(empty_dsn)
    await connection.execute(ROLES)
    await connection.execute(SUPABASE)
    yield connection
    await connection.execute("DROP OWNED BY anon, authenticated, service_role")
    await connection.close()


@pytest.fixture
async def migrated(supabase: Connection) -> Connection:
    await migrate(supabase, install)
    await fill(supabase)
    return supabase


async def test_b4_a_user_reads_the_jobs_of_their_own_projects_and_no_others(migrated: Connection) -> None:
    assert await prompts(migrated, "authenticated", USER) == ["lent", "mine"]
    assert await prompts(migrated, "authenticated", OTHER) == ["theirs"]
    assert await prompts(migrated, "authenticated", "00000000-0000-4000-8000-000000000002") == []
    assert await prompts(migrated, "authenticated") == []


async def test_b4_anon_reads_nothing(migrated: Connection) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await prompts(migrated, "anon", USER)
    await migrated.execute("GRANT SELECT ON image_generation_jobs TO anon")
    assert await prompts(migrated, "anon", USER) == [], "the policy holds where somebody grants the table again"


async def test_b4_users_write_nothing_and_the_schema_imagejobs_stays_closed_to_them(migrated: Connection) -> None:
    for role, statement in product(("anon", "authenticated"), (*WRITES, *CLOSED)):
        async with acting(migrated, role, USER):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await migrated.execute(statement)


async def test_b4_supabase_may_come_after_us_and_migrating_again_is_enough(empty_dsn: str) -> None:
    connection = await asyncpg.connect(empty_dsn)
    first = await migrate(connection, install)
    assert "supabase users" not in first, "harmless where there is no Supabase"
    await fill(connection)
    await connection.execute(ROLES)
    await connection.execute(SUPABASE)
    assert await migrate(connection, install) == ["supabase users"]
    assert await migrate(connection, install) == []
    assert await prompts(connection, "authenticated", USER) == ["lent", "mine"]
    await connection.execute("DROP OWNED BY anon, authenticated, service_role")
    await connection.close()


async def test_b4_a_schema_auth_that_is_not_supabases_changes_nothing(empty_dsn: str) -> None:
    connection = await asyncpg.connect(empty_dsn)
    await connection.execute(ROLES)
    await connection.execute("CREATE SCHEMA auth; CREATE FUNCTION auth.uid(int) RETURNS int LANGUAGE sql RETURN 1")
    done = await migrate(connection, install)
    assert len(done) == len(known_migrations()) + 1
    await connection.close()


async def test_b4_reading_ones_own_uses_the_index_on_the_project(migrated: Connection) -> None:
    async with acting(migrated, "authenticated", USER):
        await migrated.execute("SET LOCAL enable_seqscan = off")
        plan = await migrated.fetch("EXPLAIN SELECT id FROM image_generation_jobs")
    assert any("Index Cond: (project_id = ANY" in row[0] for row in plan), plan
