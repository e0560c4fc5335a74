import asyncio

import asyncpg
import pytest

from imagejobs.db.migrate import known_migrations, migrate
from imagejobs.engine.pgq import install
from imagejobs.errors import ConfigurationError

CONTRACT_COLUMNS = [
    "id",
    "idempotency_key",
    "project_id",
    "branch_id",
    "scene_id",
    "shot_id",
    "asset_id",
    "job_type",
    "status",
    "failure_stage",
    "attempt_count",
    "retry_count",
    "max_retries",
    "last_attempt_at",
    "error_code",
    "error_message",
    "prompt",
    "visual_style_capsule_id",
    "width",
    "height",
    "storage_path",
    "public_url",
    "cost_credits",
    "estimated_cost",
    "provider_metadata",
    "created_at",
    "processing_started_at",
    "generating_started_at",
    "uploading_started_at",
    "completed_at",
    "updated_at",
]


async def test_b1_the_contracts_columns_are_there_and_it_is_our_only_table_in_public(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    columns = await connection.fetch(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name = 'image_generation_jobs'"
    )
    tables = await connection.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    kinds = await connection.fetch(
        "SELECT typname FROM pg_type JOIN pg_namespace ON typnamespace = pg_namespace.oid "
        "WHERE nspname = 'public' AND typname LIKE 'pgqueuer%'"
    )
    await connection.close()
    assert set(CONTRACT_COLUMNS) <= {row["column_name"] for row in columns}
    assert [row["table_name"] for row in tables] == ["image_generation_jobs"]
    assert not kinds


async def test_b2_migrating_twice_is_harmless_and_says_so(empty_dsn: str) -> None:
    connection = await asyncpg.connect(empty_dsn)
    first = await migrate(connection, install)
    second = await migrate(connection, install)
    await connection.close()
    assert len(first) == len(known_migrations()) + 1
    assert second == []


async def test_migrating_from_several_processes_at_once_takes_turns(empty_dsn: str) -> None:
    connections = [await asyncpg.connect(empty_dsn) for _ in range(5)]
    done = await asyncio.gather(*(migrate(connection, install) for connection in connections))
    for connection in connections:
        await connection.close()
    assert sorted(step for steps in done for step in steps) == sorted(
        [f"{migration.number:04d}_{migration.name}" for migration in known_migrations()] + ["engine"]
    )


async def test_b2_a_foreign_table_of_that_name_is_refused_and_left_alone(empty_dsn: str) -> None:
    connection = await asyncpg.connect(empty_dsn)
    await connection.execute("CREATE TABLE image_generation_jobs (id text, theirs text)")
    with pytest.raises(ConfigurationError, match="did not make"):
        await migrate(connection, install)
    assert await connection.fetchval("SELECT to_regnamespace('imagejobs') IS NULL")
    await connection.close()


class Mortal(asyncpg.Connection):
    """A connection whose server process is ended at its nth statement, as a kill of the client would end it."""

    statements_left: int
    killer: "asyncpg.Connection[asyncpg.Record]"

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109
        self.statements_left -= 1
        if self.statements_left == 0:
            await self.killer.execute("SELECT pg_terminate_backend($1)", self.get_server_pid())
        return await super().execute(query, *args, timeout=timeout)


@pytest.mark.parametrize("statement", range(1, 10))
async def test_a_migration_killed_midway_leaves_whole_steps_and_the_next_run_finishes(
    empty_dsn: str, statement: int
) -> None:
    victim = await asyncpg.connect(empty_dsn, connection_class=Mortal)
    killer = await asyncpg.connect(empty_dsn)
    victim.statements_left, victim.killer = statement, killer
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        await migrate(victim, install)
    await migrate(killer, install)
    assert await migrate(killer, install) == []
    assert await killer.fetchval("SELECT count(*) FROM imagejobs.pgqueuer") == 0
    await killer.close()


async def test_b4_row_level_security_is_on(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    secured = await connection.fetchval(
        "SELECT relrowsecurity FROM pg_class WHERE oid = 'public.image_generation_jobs'::regclass"
    )
    await connection.close()
    assert secured is True


async def test_the_engines_tables_are_durable_and_ours(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT relname, relpersistence::text FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid "
        "WHERE nspname = 'imagejobs' AND relkind = 'r' AND relname LIKE 'pgqueuer%'"
    )
    await connection.close()
    assert {row["relname"] for row in rows} >= {"pgqueuer", "pgqueuer_log"}
    assert {row["relpersistence"] for row in rows} == {"p"}
