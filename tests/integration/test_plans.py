"""The statements on the hot paths use their indexes, seen by EXPLAIN of what the functions really send."""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from imagejobs.db import access, attempts, condition, job_reads, jobs
from imagejobs.db.job_reads import Filters
from imagejobs.domain.jobs import JobStatus
from tests.support.databases import sibling

pytestmark = pytest.mark.database

ROWS = 20_000
FILL = """
INSERT INTO public.image_generation_jobs
    (id, idempotency_key, fingerprint, project_id, branch_id, job_type, status, prompt, width, height,
     deadline_seconds, deadline_at, created_at, completed_at, public_url, storage_path, batch_id)
SELECT md5('job' || n)::uuid, 'key' || n, '', 'project' || n % 50, 'branch' || n % 500, 'generate',
       CASE WHEN n % 100 = 0 THEN 'queued' ELSE 'completed' END, 'x', 1, 1, 900, now() + interval '1 hour',
       now() - make_interval(secs => n), CASE WHEN n % 100 = 0 THEN NULL ELSE now() END, 'u', 'p', md5('b' || n / 4)::uuid
FROM generate_series(1, $1::int) AS n
"""
FILL_ATTEMPTS = """
INSERT INTO imagejobs.attempts (id, job_id, number, provider, model, resume_class, stage, outcome, closed_at,
    idempotency_key, reservation_no, call_deadline_seconds, object_nonce)
SELECT id, id, 1, 'p', 'm', 'none', 'settled', 'succeeded', now(), id::text, 1, 180, 'x'
FROM public.image_generation_jobs WHERE status = 'completed'
"""
FILL_STAGED = """
INSERT INTO imagejobs.staged_bytes (attempt_id, job_id, data, media_type, size_bytes, sha256)
SELECT id, job_id, convert_to(repeat('picture', 1000), 'UTF8'), 'image/png', 7000, '' FROM imagejobs.attempts LIMIT 20
"""


@pytest.fixture(scope="module")
async def filled(postgres: str, template: str) -> Any:

    admin = await asyncpg.connect(postgres)
    await admin.execute(f"CREATE DATABASE plans TEMPLATE {template}")
    connection = await asyncpg.connect(sibling(postgres, "plans"))
    await connection.execute(FILL, ROWS)
    await connection.execute(FILL_ATTEMPTS)
    await connection.execute(FILL_STAGED)
    await connection.execute("ANALYZE")
    yield connection
    await connection.close()
    await admin.execute("DROP DATABASE plans WITH (FORCE)")
    await admin.close()


async def relations_scanned(connection: Any, call: Callable[[Any], Awaitable[object]]) -> set[str]:
    """The relations that the statements sent by `call` read from end to end."""
    sent: list[Any] = []
    transaction = connection.transaction()
    await transaction.start()
    with connection.query_logger(sent.append):
        await call(connection)
    scanned: set[str] = set()
    for record in sent:
        plan = await connection.fetchval("EXPLAIN (FORMAT json) " + record.query, *record.args)
        _collect(json.loads(plan)[0]["Plan"], scanned)
    await transaction.rollback()
    assert sent
    return scanned


def _collect(node: dict[str, Any], scanned: set[str]) -> None:
    if node["Node Type"] == "Seq Scan":
        scanned.add(node["Relation Name"])
    for child in node.get("Plans", []):
        _collect(child, scanned)


ID = UUID("00000000-0000-0000-0000-000000000001")
CALLS: dict[str, Callable[[Any], Awaitable[object]]] = {
    "claim": lambda c: jobs.claim(c, ID, 1, ID),
    "move": lambda c: jobs.move(c, ID, jobs.Change(to=JobStatus.GENERATING, fence=1)),
    "lock": lambda c: jobs.lock(c, ID, 1),
    "status": lambda c: job_reads.by_id(c, ID),
    "key": lambda c: job_reads.by_key(c, "project1", "key1"),
    "batch": lambda c: job_reads.by_batch(c, ID),
    "open attempt": lambda c: attempts.open_attempt_of(c, ID),
    "list": lambda c: job_reads.page(c, Filters(), None, 50),
    "list of a project": lambda c: job_reads.page(c, Filters(project_ids=("project1",)), None, 50),
    "list of a branch": lambda c: job_reads.page(c, Filters(project_ids=("project1",), branch_id="branch1"), None, 50),
    "list by status": lambda c: job_reads.page(c, Filters(statuses=(JobStatus.FAILED,)), None, 50),
    "queue depth": lambda c: job_reads.count_queued(c, "project1", 100, 100),
    "overdue": lambda c: jobs.overdue(c, 300),
    "api key": lambda c: access.key_by_id(c, "abc"),
    "weight of the staging": lambda c: attempts.staged_total(c, is_exact=False),
    "exact weight of the staging": lambda c: attempts.staged_total(c, is_exact=True),
    "room in the staging": lambda c: attempts.drop_useless_bytes(c, 200),
    "what is kept no longer": lambda c: attempts.prune_staged_bytes(c, 30, 200),
    "free retry": lambda c: attempts.reopen(c, ID, ID),
    "staging told": condition.staging,
    "refused picture": lambda c: attempts.refused_picture(c, ID),
}


@pytest.mark.parametrize("name", CALLS)
async def test_b2_the_hot_statements_never_read_the_whole_table(filled: Any, name: str) -> None:
    scanned = await relations_scanned(filled, CALLS[name])
    assert not scanned & {"image_generation_jobs", "attempts"}


GUIDE_QUERIES = [
    (
        "SELECT id, status, failure_stage, attempt_count, created_at, completed_at FROM image_generation_jobs "
        "ORDER BY created_at DESC LIMIT 5;"
    ),
    (
        "SELECT job_type, status, cost_credits, estimated_cost FROM image_generation_jobs "
        "WHERE created_at > NOW() - INTERVAL '1 hour';"
    ),
    (
        "SELECT id, status, created_at FROM image_generation_jobs "
        "WHERE status = 'queued' AND created_at < NOW() - INTERVAL '5 minutes';"
    ),
    "SELECT id, error_message, failure_stage FROM image_generation_jobs WHERE failure_stage = 'uploading';",
]


@pytest.mark.parametrize("query", GUIDE_QUERIES)
async def test_b3_the_guides_queries_run_as_they_stand(filled: Any, query: str) -> None:
    await filled.fetch(query)


async def test_b2_the_indexes_of_the_contract_are_there_and_used(filled: Any) -> None:
    rows = await filled.fetch("SELECT indexdef FROM pg_indexes WHERE tablename = 'image_generation_jobs'")
    definitions = " ".join(row["indexdef"] for row in rows)
    for wanted in ("(project_id, created_at", "(project_id, branch_id,", "(status, ", "(created_at DESC"):
        assert wanted in definitions
    assert "UNIQUE" in next(row["indexdef"] for row in rows if "idempotency_key" in row["indexdef"])
    for query in (GUIDE_QUERIES[0], GUIDE_QUERIES[2]):
        plan = await filled.fetchval("EXPLAIN (FORMAT json) " + query)
        scanned: set[str] = set()
        _collect(json.loads(plan)[0]["Plan"], scanned)
        assert not scanned
