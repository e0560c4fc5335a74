"""`imagejobs doctor` on instances that are well and on ones that are not, over real databases and services."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from imagejobs.app.findings import Finding, Level, ok
from imagejobs.app.identifiers import new_id
from imagejobs.app.keys import create_key
from imagejobs.bootstrap import key_fingerprints
from imagejobs.cli.doctor import examine
from imagejobs.cli.findings import collected, line_of
from imagejobs.cli.home import Home, Running
from imagejobs.db import provider_state
from imagejobs.db.pool import Database
from imagejobs.db.provider_state import Account
from imagejobs.domain.access import make_key
from imagejobs.errors import ProviderCreditExhausted, ProviderKeyRejected, ProviderUnreachable
from imagejobs.settings import load_settings
from tests.support.gemini_server import KEY, running_gemini
from tests.support.scripted_server import Reply, scripted_server
from tests.support.supabase_server import (
    ANON_JWT,
    PUBLISHABLE_KEY,
    SECRET_KEY,
    SERVICE_JWT,
    Bucket,
    SupabaseDouble,
    supabase_double,
)
from tests.support.world import World

pytestmark = pytest.mark.database

Findings = dict[str, Finding]


@pytest.fixture
def double(here: pytest.MonkeyPatch) -> Iterator[SupabaseDouble]:
    with supabase_double() as made:
        made.buckets["asset-images"] = Bucket(name="asset-images")
        here.setenv("SUPABASE_URL", made.url)
        here.setenv("SUPABASE_SERVICE_ROLE_KEY", SECRET_KEY)
        yield made


async def found(*secrets: str, ahead: float = 0.0) -> Findings:
    """By subject the worst, those alike as one. Each failure has a next step, and no line tells a secret."""
    findings = await examine(lambda: time.time() + ahead)
    for finding in findings:
        assert finding.level is Level.OK or finding.advice, finding
        assert not [secret for secret in secrets if secret in json.dumps(finding.document()) + line_of(finding)]
    worst: Findings = {}
    for finding in sorted(findings, key=lambda finding: list(Level).index(finding.level)):
        before = worst.get(finding.subject)
        words = f"{before.detail}; " if before is not None and before.level is finding.level else ""
        worst[finding.subject] = replace(finding, detail=words + finding.detail)
    return worst


def failed(findings: Findings) -> set[str]:
    return {subject for subject, finding in findings.items() if finding.level is Level.FAIL}


async def change(dsn: str, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement, *values)
    await connection.close()


async def test_f6_a_healthy_instance_has_no_failure_and_every_subject(
    here: pytest.MonkeyPatch, double: SupabaseDouble
) -> None:
    without_anon_key = (await found(SECRET_KEY))["rule"]
    assert (without_anon_key.level, "not tried" in without_anon_key.detail) == (Level.WARN, True)
    here.setenv("SUPABASE_ANON_KEY", ANON_JWT)
    findings = await found(SECRET_KEY)
    assert failed(findings) == set()
    assert set(findings) >= {
        *("versions", "settings", "data", "disk", "database", "clock", "schema", "engine", "workers", "jobs", "stuck jobs"),
        *("circuits", "storage key", "bucket", "rule", "sketch", "default provider", "service"),
    }
    assert "service_role" in findings["storage key"].detail
    assert "everyone reads, without a key" in findings["rule"].detail
    assert double.buckets["asset-images"].objects == {}


@pytest.mark.usefixtures("double")
async def test_d1_f6_a_placeholder_that_was_left_is_named_with_where_the_value_is(here: pytest.MonkeyPatch) -> None:
    here.setenv("SUPABASE_SERVICE_ROLE_KEY", "your-service-role-key")
    here.setenv("SUPABASE_ANON_KEY", "YOUR-ANON-KEY")
    left = (await found("your-service-role-key", "YOUR-ANON-KEY"))["placeholder"]
    assert left.level is Level.FAIL
    assert {"SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_ANON_KEY"} <= set(left.detail.split())
    assert "Project Settings" in left.advice


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    "where", ["hidden@127.0.0.1:9/nothing", "hidden@127.0.0.1:port/none", "hidden#@h/d", "hidden@[::1/d"]
)
async def test_f6_a_database_that_is_away_hides_nothing_else(here: pytest.MonkeyPatch, where: str) -> None:
    here.setenv("DATABASE_URL", f"postgresql://nobody:{where}")
    findings = await found("hidden")
    assert failed(findings) == {"database"}
    assert {"bucket", "rule", "sketch", "service"} <= set(findings)


async def test_f6_a_schema_that_is_behind_is_named_with_the_command(
    here: pytest.MonkeyPatch, dsn: str, empty_dsn: str
) -> None:
    await change(
        dsn, "DELETE FROM imagejobs.schema_migrations WHERE number = (SELECT max(number) FROM imagejobs.schema_migrations)"
    )
    findings = await found()
    assert failed(findings) == {"schema"}
    assert "imagejobs migrate" in findings["schema"].advice
    assert "stuck jobs" in findings
    here.setenv("DATABASE_URL", empty_dsn)
    assert failed(await found()) == {"schema", "engine"}


@pytest.mark.usefixtures("here")
async def test_f6_a_table_that_is_gone_does_not_hide_what_was_read_before(dsn: str) -> None:
    await change(dsn, "ALTER TABLE imagejobs.workers RENAME TO mislaid")
    findings = await examine()
    broken = [finding for finding in findings if finding.level is Level.FAIL]
    assert [finding.detail for finding in broken] == ["could not be checked: UndefinedTableError"]
    assert {"schema", "engine", "storage", "sketch"} <= {finding.subject for finding in findings}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("sb_secret_wrong", "wrong, expired"),
        (ANON_JWT, "the role anon"),
        (PUBLISHABLE_KEY, "the role anon"),
        ("x.y.z", "wrong"),
    ],
)
async def test_f6_a_wrong_storage_key_is_told_from_one_of_the_wrong_role(
    here: pytest.MonkeyPatch, double: SupabaseDouble, key: str, words: str
) -> None:
    here.setenv("SUPABASE_SERVICE_ROLE_KEY", key)
    findings = await found(key)
    assert failed(findings) == {"storage key"}
    assert words in findings["storage key"].detail
    assert findings["bucket"].level is Level.WARN
    assert double.buckets["asset-images"].objects == {}


async def test_f6_a_bucket_that_is_private_missing_or_open_to_strangers_fails(
    here: pytest.MonkeyPatch, double: SupabaseDouble
) -> None:
    here.setenv("SUPABASE_SERVICE_ROLE_KEY", SERVICE_JWT)
    here.setenv("SUPABASE_ANON_KEY", ANON_JWT)
    double.buckets["asset-images"].public = False
    findings = await found(SERVICE_JWT)
    assert failed(findings) == {"bucket", "rule"}
    assert "private" in findings["bucket"].detail
    double.buckets["asset-images"] = Bucket(name="asset-images", anyone_writes=True)
    findings = await found(SERVICE_JWT)
    assert failed(findings) == {"rule"}
    assert "it was allowed" in findings["rule"].detail
    del double.buckets["asset-images"]
    findings = await found(SERVICE_JWT)
    assert failed(findings) == {"bucket"}
    assert "imagejobs storage setup" in findings["bucket"].advice


@pytest.mark.usefixtures("double")
async def test_f6_missing_policies_are_listed_where_the_database_is_the_projects(dsn: str) -> None:
    assert "policies" not in await found()
    await change(dsn, "CREATE SCHEMA storage; CREATE TABLE storage.objects (bucket_id text)")
    for verb in ("insert", "select", "update"):
        await change(dsn, f'CREATE POLICY "imagejobs {verb} asset-images" ON storage.objects FOR {verb}')
    missing = (await found())["policies"]
    assert (missing.level, missing.detail) == (Level.WARN, "missing on storage.objects: delete")
    await change(dsn, 'CREATE POLICY "imagejobs delete asset-images" ON storage.objects FOR DELETE')
    assert (await found())["policies"].level is Level.OK


async def test_f6_a_refused_provider_key_is_named_with_its_setting(here: pytest.MonkeyPatch) -> None:
    async with running_gemini() as gemini:
        here.setenv("IMAGEJOBS_GEMINI_BASE_URL", gemini.url)
        here.setenv("GOOGLE_AI_API_KEY", "AIza-not-the-key")
        findings = await found("AIza-not-the-key")
        assert failed(findings) == {"gemini"}
        assert "IMAGEJOBS_GEMINI_API_KEY" in findings["gemini"].advice
        here.setenv("GOOGLE_AI_API_KEY", KEY)
        assert failed(await found(KEY)) == set()


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        (ProviderKeyRejected.reason, "IMAGEJOBS_GEMINI_API_KEY"),
        (ProviderCreditExhausted.reason, "Add credit"),
        (ProviderUnreachable.reason, "status page"),
    ],
)
async def test_f6_an_open_circuit_says_why_and_what_to_do(
    here: pytest.MonkeyPatch, database: Database, reason: str, step: str
) -> None:
    async with running_gemini() as gemini:
        here.setenv("IMAGEJOBS_GEMINI_BASE_URL", gemini.url)
        here.setenv("GOOGLE_AI_API_KEY", KEY)
        ours = Account(provider="gemini", fingerprint=key_fingerprints(load_settings(), ["gemini"])["gemini"])
        async with database.connection() as connection:
            await provider_state.open_circuit(connection, Account(provider="gemini", fingerprint="another key"), reason)
            assert failed(await found(KEY)) == set()
            await provider_state.open_circuit(connection, ours, reason)
        findings = await found(KEY, ours.fingerprint)
    assert failed(findings) == {"circuits"}
    assert "gemini: open for 0 min" in findings["circuits"].detail
    assert step in findings["circuits"].advice


@pytest.mark.usefixtures("here")
async def test_f1_slow_pictures_are_shown_and_warned_of(world: World) -> None:
    assert (await found())["pace"].detail == "no picture in the last hour"
    job = await world.work_off((await world.generate()).json()["jobId"])
    await world.scalar(
        "UPDATE public.image_generation_jobs SET generating_started_at = completed_at - interval '0.9 seconds', "
        "uploading_started_at = completed_at - interval '0.4 seconds'"
    )
    quick = (await found())["pace"]
    assert quick.level is Level.OK
    assert quick.detail.startswith("1 in the last hour, 95 % drawn within 0.5 s and stored within 0.4 s")
    earlier = "UPDATE public.image_generation_jobs SET {0} = {0} - interval '{1} seconds' WHERE id = $1"
    await world.scalar(earlier.format("generating_started_at", 31), job.id)
    slow = (await found())["pace"]
    assert (slow.level, "drawn within 31.5 s" in slow.detail, "provider's status" in slow.advice) == (Level.WARN, True, True)
    await world.scalar(earlier.format("generating_started_at", -31), job.id)
    await world.scalar(earlier.format("uploading_started_at", 6), job.id)
    assert "storage's status" in (await found())["pace"].advice


async def test_s5_s14_paid_pictures_that_wait_for_the_storage_are_told_with_their_age_and_those_whose_retry_is_free(
    here: pytest.MonkeyPatch, world: World
) -> None:
    unstored, corrupt = [(await world.generate(prompt=word)).json()["jobId"] for word in ("[storage]", "[corrupt]")]
    await world.work_off(unstored)
    await world.work_off(corrupt)
    assert (await found())["staging"].level is Level.OK
    await world.scalar("UPDATE imagejobs.staged_bytes SET staged_at = now() - interval '3 hours'")
    waiting = (await found())["staging"]
    assert (waiting.level, "a retry is free" in waiting.advice) == (Level.WARN, True)
    assert waiting.detail.startswith("paid pictures that wait for the storage: 1, the oldest for 3 h 0 min; 0.0 of ")
    assert (unstored in waiting.advice, corrupt in waiting.advice) == (True, False)
    await world.scalar("UPDATE imagejobs.staged_bytes SET size_bytes = 1000000")
    here.setenv("IMAGEJOBS_STAGED_BYTES_LIMIT", "1500000")
    assert "; 1.0 of 1.5 MB" in (await found())["staging"].detail
    here.setenv("IMAGEJOBS_STAGED_BYTES_LIMIT", "1000000")
    full = (await found())["staging"]
    assert (full.level, "nothing more is bought" in full.detail) == (Level.FAIL, True)
    assert (await world.client.post(f"/api/images/jobs/{unstored}/retry")).json()["isPaidAlready"] is True
    assert "go on by themselves" in (await found())["staging"].advice
    well = replace(world, deps=replace(world.deps, storage=world.deps.files))
    assert (await well.work_off(unstored)).public_url is not None
    assert (await found())["staging"].level is Level.OK


@pytest.mark.usefixtures("here")
async def test_f6_jobs_that_wait_too_long_are_told_from_stuck_ones(world: World) -> None:
    jobs = [(await world.generate()).json()["jobId"] for _ in range(3)]
    late = "UPDATE public.image_generation_jobs SET updated_at = now() - $2::interval WHERE id = $1"
    await world.scalar(late, jobs[0], timedelta(minutes=7))
    findings = await found()
    assert failed(findings) == set()
    assert findings["jobs"].detail.startswith("1 waiting for more than five minutes, the oldest for 7 min")
    await world.scalar(
        late.replace(" WHERE", ", status = 'generating', claimed_by = $3 WHERE"), jobs[1], timedelta(hours=3), new_id()
    )
    await world.scalar(
        late.replace(" WHERE", ", deadline_at = now() - interval '1 hour' WHERE"), jobs[2], timedelta(hours=50)
    )
    findings = await found()
    assert failed(findings) == {"stuck jobs"}
    stuck = findings["stuck jobs"]
    assert stuck.detail.startswith(
        "1 open long past the deadline, 1 running for a worker that is gone; the oldest unchanged"
    )
    assert "for 2 d 2 h" in stuck.detail
    assert "Start `imagejobs worker`" in stuck.advice
    assert findings["jobs"].detail.startswith("1 waiting")


@pytest.mark.usefixtures("here")
async def test_f6_a_job_in_a_live_workers_hands_is_not_stuck(world: World) -> None:
    job_id = (await world.generate()).json()["jobId"]
    worker = new_id()
    await world.scalar(
        "INSERT INTO imagejobs.workers (id, version, host, boot_id, pid, pid_started, lanes, concurrency) "
        "VALUES ($1, '1', 'h', 'b', 1, '', '{}', 1)",
        worker,
    )
    await world.scalar(
        "UPDATE public.image_generation_jobs SET status = 'generating', claimed_by = $2, "
        "updated_at = now() - interval '9 minutes' WHERE id = $1",
        job_id,
        worker,
    )
    findings = await found()
    assert failed(findings) == set()
    assert findings["workers"].detail.startswith("1 ")


async def test_f6_an_address_or_a_key_of_another_instance_is_told(
    here: pytest.MonkeyPatch, database: Database, tmp_path: Path, dead_port: int
) -> None:
    home = Home(tmp_path / "data")
    with scripted_server(Reply(document={"jobs": []})) as other, home.occupy():
        home.announce(Running(url="http://127.0.0.1:1", pid=os.getpid()))
        here.setenv("IMAGEJOBS_URL", other.url)
        here.setenv("IMAGEJOBS_API_KEY", str(await create_key(database, "ours", scopes=())))
        service = (await found())["service"]
        assert service.detail == f"{other.url} is ready; the `up` of this data directory is at http://127.0.0.1:1"
        here.setenv("IMAGEJOBS_API_KEY", str(make_key(bytes(40))))
        service = (await found())["service"]
        assert (service.level, "this database has no such key" in service.detail) == (Level.WARN, True)
        home.announce(Running(url=other.url, pid=os.getpid()))
        here.delenv("IMAGEJOBS_API_KEY")
        assert (await found())["service"].detail == f"{other.url} is ready"
        here.setenv("IMAGEJOBS_URL", f"http://127.0.0.1:{dead_port}")
        silent = (await found())["service"]
        assert (silent.level, f"`up` of this data directory is at {other.url}" in silent.detail) == (Level.FAIL, True)


@pytest.mark.usefixtures("here")
async def test_f6_a_clock_that_is_off_by_more_than_five_seconds_is_warned_of() -> None:
    for ahead, level in ((60.0, Level.WARN), (-6.0, Level.WARN), (3.0, Level.OK)):
        clock = (await found(ahead=ahead))["clock"]
        assert clock.level is level, clock
    assert "NTP" in (await found(ahead=60.0))["clock"].advice


async def test_f6_a_check_that_hangs_even_while_it_is_given_up_is_cut_off_and_keeps_what_it_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imagejobs.cli.findings._LETTING_GO_SECONDS", 0.05)
    forever = asyncio.Event()

    async def hangs() -> AsyncIterator[Finding]:
        yield ok("first", "there")
        try:
            await forever.wait()
        finally:
            with suppress(TimeoutError):
                await forever.wait()

    before = time.monotonic()
    first, cut_off = await collected("slow", hangs(), 0.05)
    assert time.monotonic() - before < 5
    assert first.subject == "first"
    assert (cut_off.level, cut_off.detail) == (Level.FAIL, "no answer within 0.05 s")
