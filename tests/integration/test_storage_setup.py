"""Storage as an operator sets it up and as jobs meet it: the commands, the policies in a real database, failing uploads."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from imagejobs.app.room import StagingRoom
from imagejobs.app.storage_setup import policies_sql
from imagejobs.app.sweep import sweep
from imagejobs.app.verify import verify_all
from imagejobs.bootstrap import Role, make_storage, open_deps
from imagejobs.ports import Storage
from imagejobs.settings import Settings
from imagejobs.storage.filesystem import FilesystemStorage
from tests.support.s3_server import make_bucket, s3_server
from tests.support.supabase_server import ANON_JWT, SECRET_KEY, Bucket, SupabaseDouble, as_json, supabase_double
from tests.support.world import World

pytestmark = pytest.mark.database

SUPABASE_TABLES = """
DO $$ DECLARE name text; BEGIN
  FOREACH name IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN EXECUTE 'CREATE ROLE ' || name; END IF;
  END LOOP; END $$;
CREATE SCHEMA storage;
GRANT USAGE ON SCHEMA storage TO anon, authenticated, service_role;
CREATE TABLE storage.objects (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), bucket_id text, name text);
GRANT ALL ON storage.objects TO anon, authenticated, service_role;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
"""
EXPIRED = as_json(400, {"statusCode": "403", "error": "Unauthorized", "message": '"exp" claim timestamp check failed'})
INSERT = "INSERT INTO storage.objects (bucket_id, name) VALUES ('asset-images', 'a.png')"


@pytest.fixture
def double() -> Iterator[SupabaseDouble]:
    with supabase_double() as made:
        yield made


@pytest.fixture
async def their_database(empty_dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A Supabase project's database, as far as its storage goes."""
    connection = await asyncpg.connect(empty_dsn)
    await connection.execute(SUPABASE_TABLES)
    yield connection
    await connection.close()


async def imagejobs(folder: Path, *words: str, **variables: str) -> tuple[int, str]:
    ours = ("IMAGEJOBS_", "SUPABASE_", "AWS_", "DATABASE_URL")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "imagejobs", *words),
        env={**clean, "IMAGEJOBS_DATA_DIR": str(folder / "data"), **variables},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def with_storage(world: World, storage: Storage) -> World:
    return replace(world, deps=replace(world.deps, storage=storage))


def supabase_settings(url: str, key: str) -> Settings:
    return Settings(SUPABASE_URL=url, SUPABASE_SERVICE_ROLE_KEY=key)  # type: ignore[call-arg]


@pytest.mark.timeout(180)  # several programs, one after another
async def test_c1_c2_setup_makes_bucket_and_policies_tries_them_and_again_is_harmless(
    tmp_path: Path,
    double: SupabaseDouble,
    their_database: "asyncpg.Connection[asyncpg.Record]",
    empty_dsn: str,
) -> None:
    names = {"SUPABASE_URL": double.url, "SUPABASE_SERVICE_ROLE_KEY": SECRET_KEY, "SUPABASE_ANON_KEY": ANON_JWT}
    code, said = await imagejobs(tmp_path, "storage", "setup", DATABASE_URL=empty_dsn, **names)
    assert code == 0, said
    for line in (
        "✓ bucket           asset-images made: public",
        "✓ policies         applied",
        "✓ rule             no key adds: refused",
    ):
        assert line in said
    assert "CREATE POLICY" not in said
    assert SECRET_KEY not in said
    assert double.buckets["asset-images"].objects == {}
    again, said = await imagejobs(tmp_path, "storage", "setup", "--json", DATABASE_URL=empty_dsn, **names)
    assert again == 0, said
    steps = [json.loads(line) for line in said.splitlines()]
    assert {step["level"] for step in steps} == {"ok"}
    del names["SUPABASE_ANON_KEY"]
    code, said = await imagejobs(tmp_path, "storage", "verify", **names)
    assert code == 0, said
    assert "rule             the anon key, which every page shows, adds, changes and removes nothing: not tried" in said
    assert "→ Set SUPABASE_ANON_KEY" in said
    assert "nothing was changed" in next(step["detail"] for step in steps if step["subject"] == "bucket")
    assert await their_database.fetchval("SELECT count(*) FROM pg_policies WHERE schemaname = 'storage'") == 4


async def test_c2_the_policies_let_the_service_role_write_and_everyone_read(
    their_database: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    for _ in range(2):
        await their_database.execute(policies_sql("asset-images"))
    await their_database.execute(f"SET ROLE service_role; {INSERT}")
    assert await their_database.execute("UPDATE storage.objects SET name = 'b.png'") == "UPDATE 1"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await their_database.execute("UPDATE storage.objects SET bucket_id = 'another-bucket'")
    for stranger in ("anon", "authenticated"):
        await their_database.execute(f"SET ROLE {stranger}")
        assert await their_database.fetchval("SELECT name FROM storage.objects") == "b.png"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await their_database.execute(INSERT)
        assert await their_database.execute("UPDATE storage.objects SET name = 'c.png'") == "UPDATE 0"
        assert await their_database.execute("DELETE FROM storage.objects") == "DELETE 0"
    await their_database.execute("SET ROLE service_role")
    assert await their_database.execute("DELETE FROM storage.objects") == "DELETE 1"
    await their_database.execute("RESET ROLE; INSERT INTO storage.objects (bucket_id, name) VALUES ('private', 'x')")
    await their_database.execute("SET ROLE anon")
    assert await their_database.fetchval("SELECT count(*) FROM storage.objects") == 0


@pytest.mark.timeout(180)  # several programs, one after another
async def test_c2_where_the_policies_may_not_be_applied_they_are_printed(
    tmp_path: Path, double: SupabaseDouble, empty_dsn: str, their_database: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    names = {"SUPABASE_URL": double.url, "SUPABASE_SERVICE_ROLE_KEY": SECRET_KEY}
    await their_database.execute("DROP SCHEMA storage CASCADE")
    for database in ({}, {"DATABASE_URL": empty_dsn}, {"DATABASE_URL": "postgresql://127.0.0.1:9/none"}):
        code, said = await imagejobs(tmp_path, "storage", "setup", **names, **database)
        assert code == 0, said
        assert "\N{EN DASH} policies         not applied: " in said
        assert "Not needed while the rules above hold." in said
        assert said.rstrip().endswith("Next: imagejobs up")
        assert len([line for line in said.splitlines() if line.startswith("CREATE POLICY") and line.endswith(";")]) == 4


async def test_c2_verify_fails_where_a_stranger_may_write(tmp_path: Path, double: SupabaseDouble) -> None:
    names = {"SUPABASE_URL": double.url, "SUPABASE_SERVICE_ROLE_KEY": SECRET_KEY, "SUPABASE_ANON_KEY": ANON_JWT}
    double.buckets["asset-images"] = Bucket(name="asset-images", anyone_writes=True)
    code, said = await imagejobs(tmp_path, "storage", "verify", **names)
    assert code == 1
    assert "✗ rule             the anon key adds: refused: it was allowed" in said
    assert double.buckets["asset-images"].objects == {}


async def test_s7_verify_and_setup_say_what_is_wrong_with_key_bucket_and_address(
    tmp_path: Path, double: SupabaseDouble
) -> None:
    for url, key, words in (
        (double.url, SECRET_KEY, "imagejobs storage setup"),
        (double.url, ANON_JWT, "SUPABASE_SERVICE_ROLE_KEY"),
        ("http://127.0.0.1:9", SECRET_KEY, "SUPABASE_URL"),
    ):
        code, said = await imagejobs(tmp_path, "storage", "verify", SUPABASE_URL=url, SUPABASE_SERVICE_ROLE_KEY=key)
        assert code == 1
        assert words in said


async def test_verify_tries_a_bucket_of_ones_own(tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-secret-key"}
    with s3_server() as url:
        for public, expected in ((True, 0), (False, 1)):
            where = {"IMAGEJOBS_STORAGE_URL": f"s3://{make_bucket(url, public=public)}/film", "AWS_ENDPOINT_URL": url}
            code, said = await imagejobs(tmp_path, "storage", "setup", **keys, **where)
            assert code == expected, said
            assert ("it opens in a browser" in said) == public
            assert ("IMAGEJOBS_STORAGE_PUBLIC_URL" in said) != public


async def test_d1_a11_the_guides_placeholders_start_and_the_job_then_fails_gracefully(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = socket.getaddrinfo

    def known(host: str, *rest: Any, **further: Any) -> Any:
        """No name server of a network is waited for."""
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ask(host, *rest, **further)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    storage = make_storage(supabase_settings("https://your-project.supabase.invalid", "your-service-role-key"))
    started = with_storage(world, storage)
    job_id = (await started.generate()).json()["jobId"]
    await started.work_off(job_id)
    await storage.close()
    error = (await started.read(job_id))["error"]
    assert (error["code"], error["failureStage"], error["billed"]) == ("TEMPORARY", "uploading", "yes")
    assert "SUPABASE_URL" in error["message"]


async def test_a11_c4_s4_a_picture_over_the_limit_is_kept_and_stored_by_a_free_retry(
    world: World, double: SupabaseDouble
) -> None:
    double.buckets["asset-images"] = Bucket(name="asset-images", limit=10)
    storage = make_storage(supabase_settings(double.url, SECRET_KEY))
    working = with_storage(world, storage)
    job_id = (await working.generate()).json()["jobId"]
    await working.work_off(job_id)
    failed = await working.read(job_id)
    assert (failed["error"]["reason"], failed["error"]["failureStage"]) == ("storage_rejected", "uploading")
    assert "raise the limit" in failed["error"]["message"]
    double.buckets["asset-images"].limit = None
    await working.client.post(f"/api/images/jobs/{job_id}/retry")
    await working.work_off(job_id)
    done = await working.read(job_id)
    async with httpx2.AsyncClient() as browser:
        picture = await browser.get(done["publicUrl"])
    assert picture.content.startswith(b"\x89PNG")
    assert await working.scalar("SELECT count(*) FROM imagejobs.attempts") == 1
    await storage.close()


async def test_s2_throttled_uploads_wait_and_use_up_nothing(world: World, double: SupabaseDouble) -> None:
    double.buckets["asset-images"] = Bucket(name="asset-images")
    storage = make_storage(supabase_settings(double.url, SECRET_KEY))
    working = with_storage(world, storage)
    job_id = (await working.generate()).json()["jobId"]
    job = await working.job(job_id)
    double.blocks(times=1)
    await working.run(job)
    waiting = await working.job(job_id)
    assert (waiting.status.value, waiting.retries_used) == ("queued", 0)
    await working.run(waiting)
    assert (await working.read(job_id))["status"] == "completed"
    await storage.close()


async def test_s13_a_picture_that_was_removed_behind_us_is_listed(world: World, double: SupabaseDouble) -> None:
    double.buckets["asset-images"] = Bucket(name="asset-images")
    storage = make_storage(supabase_settings(double.url, SECRET_KEY))
    working = with_storage(world, storage)
    job_id = (await working.generate()).json()["jobId"]
    await working.work_off(job_id)
    assert (await verify_all(world.deps.database, storage)).is_sound
    key = (await working.read(job_id))["publicUrl"].partition("/asset-images/")[2]
    del double.buckets["asset-images"].objects[key]
    assert (await verify_all(world.deps.database, storage)).missing == (key,)
    double.fault = lambda _: as_json(503, {"message": "upstream"})
    away = await verify_all(world.deps.database, storage)
    assert (away.missing, away.altered, away.is_sound) == ((), (), False)
    assert "503" in str(away.unread)
    assert (await working.read(job_id))["status"] == "completed"
    await storage.close()


async def test_a_worker_removes_at_its_start_what_dead_writers_left(dsn: str, tmp_path: Path) -> None:
    files = tmp_path / "files"
    await FilesystemStorage(files, "http://localhost").put("a.png", b"picture", "image/png")
    for name in (".tmp-old", ".tmp-young"):
        (files / name).touch()
    os.utime(files / ".tmp-old", (0, 0))
    settings = Settings(DATABASE_URL=dsn, IMAGEJOBS_DATA_DIR=tmp_path)  # type: ignore[call-arg]
    async with open_deps(settings, Role.WORKER):
        assert {path.name for path in files.iterdir()} == {"a.png", ".tmp-young"}


async def test_s1_s8_while_the_storage_refuses_its_key_jobs_wait_and_nothing_is_bought(
    world: World, double: SupabaseDouble, caplog: pytest.LogCaptureFixture
) -> None:
    double.buckets["asset-images"] = Bucket(name="asset-images")
    storage = make_storage(supabase_settings(double.url, SECRET_KEY))
    working = with_storage(world, storage)
    await sweep(working.deps)
    double.fault = lambda _: EXPIRED
    found = (await working.generate()).json()["jobId"]
    await working.work_off(found)
    error = (await working.read(found))["error"]
    assert (error["code"], error["failureStage"], error["billed"]) == ("AUTH_ERROR", "uploading", "yes")
    later = [(await working.generate()).json()["jobId"] for _ in range(2)]
    for job_id in later:
        await sweep(working.deps)
        await working.run(await working.job(job_id))
        waiting = await working.job(job_id)
        assert (waiting.status.value, waiting.retries_used) == ("queued", 0)
        last = (await working.events(job_id))[-1]["data"]
        assert (last["reason"], last["billed"], last["retryInSeconds"]) == ("storage_paused", "no", 15)
    assert await working.scalar("SELECT count(*) FROM imagejobs.attempts") == 1
    assert "storage.not_well" in caplog.messages
    another = with_storage(world.twin(), world.deps.storage)
    healthy = replace(another, deps=replace(another.deps, staging_room=StagingRoom()))
    await healthy.run(await healthy.job(later[0]))  # a worker whose key is good takes the job over
    double.fault = None
    await sweep(working.deps)
    await working.run(await working.job(later[1]))
    await working.client.post(f"/api/images/jobs/{found}/retry")
    await working.work_off(found)
    assert [(await working.read(job_id))["status"] for job_id in (found, *later)] == ["completed"] * 3
    assert await working.scalar("SELECT count(*) FROM imagejobs.attempts") == 3
    await storage.close()


async def test_s7_a_worker_asks_its_storage_once_at_its_start_and_says_what_is_wrong(
    world: World, double: SupabaseDouble, caplog: pytest.LogCaptureFixture
) -> None:
    storage = make_storage(supabase_settings(double.url, SECRET_KEY))
    for _ in range(2):
        await sweep(with_storage(world, storage).deps)
    (said,) = [record for record in caplog.records if record.getMessage() == "storage.not_well"]
    assert "imagejobs storage setup" in vars(said)["detail"]
    assert double.count("GET", "/bucket") == 1
    await storage.close()


async def test_s14_the_staging_warns_at_half_its_limit_and_at_the_whole_of_it_jobs_wait_and_nothing_is_bought(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def limited(limit_bytes: int) -> World:
        policy = replace(world.deps.policy, staged_bytes_limit=limit_bytes)
        return replace(world, deps=replace(world.deps, policy=policy))

    away = make_storage(supabase_settings("http://127.0.0.1:9", SECRET_KEY))
    first = (await world.generate()).json()["jobId"]
    await with_storage(world, away).work_off(first)
    await away.close()
    assert (await world.read(first))["error"]["failureStage"] == "uploading"
    staged: int = await world.scalar("SELECT sum(octet_length(data)) FROM imagejobs.staged_bytes")
    await sweep(limited(2 * staged + 1).deps)
    assert "staging.filling" not in caplog.messages
    await sweep(limited(2 * staged).deps)
    assert "staging.filling" in caplog.messages
    world.deps.staging_room.require()
    await sweep(limited(staged).deps)
    second = (await world.generate()).json()["jobId"]
    await world.run(await world.job(second))
    waiting = await world.job(second)
    assert (waiting.status.value, waiting.retries_used) == ("queued", 0)
    assert (await world.events(second))[-1]["data"]["reason"] == "storage_paused"
    assert await world.scalar("SELECT count(*) FROM imagejobs.attempts") == 1
    await world.client.post(f"/api/images/jobs/{first}/retry")
    await world.work_off(first)
    await sweep(limited(staged).deps)
    await world.run(await world.job(second))
    assert [(await world.read(job))["status"] for job in (first, second)] == ["completed", "completed"]
