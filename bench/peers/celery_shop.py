"""The peer for throughput: Celery and Redis doing the same job on the same tables, as durably, written as one would.

Redis syncs its log at each command, tasks are acknowledged late. Each step of a job is a commit of its own, as ours is:
taken, intent, bytes with their cost, uploading, stored (fsync) and completed. No fence, no budgets, no sweep, no probes.
"""

import base64
import hashlib
import io
import json
import os
import secrets
import sys
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import celery
import httpx2
import psycopg
import uvicorn
from celery.signals import worker_process_init
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from PIL import Image
from pydantic import BaseModel

PRICE = 40_000
app = celery.Celery("shop", broker=os.environ.get("BENCH_REDIS", "redis://127.0.0.1:1/0"))
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=4, task_ignore_result=True)
held: dict[str, Any] = {}


@worker_process_init.connect  # type: ignore[untyped-decorator]
def open_everything(**_: object) -> None:
    held["database"] = psycopg.connect(os.environ["BENCH_DSN"], autocommit=True)
    held["http"] = httpx2.Client(timeout=30)


def move(db: Any, job_id: str, status: str, extra: str = "") -> None:
    db.execute(
        "UPDATE image_generation_jobs SET status = %s, updated_at = now(), event_seq = event_seq + 1 "  # noqa: S608
        f"{extra} WHERE id = %s",
        (status, job_id),
    )
    db.execute(
        "INSERT INTO imagejobs.events (job_id, project_id, seq, kind, data) "
        "SELECT id, project_id, event_seq, 'job.' || status, '{}' FROM image_generation_jobs WHERE id = %s",
        (job_id,),
    )


def call(attempt_id: str, prompt: str) -> bytes:
    answer = held["http"].post(
        os.environ["BENCH_FAKE"] + "/v1/key/images",
        headers={"authorization": "Bearer any", "idempotency-key": attempt_id},
        json={"prompt": prompt, "width": 64, "height": 64, "seed": None, "model": "key"},
    )
    answer.raise_for_status()
    return base64.b64decode(answer.json()["image"]["data"])


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


@app.task(name="generate")  # type: ignore[untyped-decorator]
def generate(job_id: str, prompt: str) -> None:
    db, attempt_id = held["database"], str(uuid.uuid4())
    with db.transaction():
        move(db, job_id, "processing", ", processing_started_at = now()")
    with db.transaction():
        move(db, job_id, "generating", ", generating_started_at = now(), attempt_count = attempt_count + 1")
        db.execute(
            "INSERT INTO imagejobs.attempts (id, job_id, number, provider, model, resume_class, idempotency_key, "
            "reservation_no, call_deadline_seconds, object_nonce) VALUES (%s, %s, 1, 'fake', 'key', 'key', %s, 1, 180, %s)",
            (attempt_id, job_id, attempt_id, secrets.token_hex(12)),
        )
    data = call(attempt_id, prompt)
    sha256 = hashlib.sha256(data).digest()
    with db.transaction():
        db.execute("UPDATE imagejobs.attempts SET stage = 'answered', answered_at = now() WHERE id = %s", (attempt_id,))
        db.execute(
            "INSERT INTO imagejobs.staged_bytes VALUES (%s, %s, %s, 'image/png', %s, %s)",
            (attempt_id, job_id, data, len(data), sha256),
        )
        db.execute("UPDATE imagejobs.reservations SET state = 'posted', closed_at = now() WHERE job_id = %s", (job_id,))
        db.execute(
            "INSERT INTO imagejobs.ledger_entries (job_id, reservation_no, attempt_id, project_id, kind, amount_micros, "
            "price_version) VALUES (%s, 1, %s, 'bench', 'post', %s, 'fake-1')",
            (job_id, attempt_id, PRICE),
        )
        db.execute("UPDATE image_generation_jobs SET cost_micros = %s, cost_credits = 0.04 WHERE id = %s", (PRICE, job_id))
    picture = Image.open(io.BytesIO(data))
    picture.load()
    with db.transaction():
        move(db, job_id, "uploading", ", uploading_started_at = now()")
    key = f"project_bench/branch_main/misc/{attempt_id}_{secrets.token_hex(12)}.png"
    write(Path(os.environ["BENCH_FILES"]) / key, data)
    with db.transaction():
        url = f", completed_at = now(), storage_path = '{key}', public_url = 'http://127.0.0.1/files/{key}'"
        move(db, job_id, "completed", url)
        db.execute(
            "UPDATE imagejobs.attempts SET stage = 'settled', outcome = 'succeeded', closed_at = now() WHERE id = %s",
            (attempt_id,),
        )
        db.execute(
            "INSERT INTO imagejobs.artifacts (attempt_id, job_id, object_key, storage, sha256, media_type, size_bytes, "
            "width, height) VALUES (%s, %s, %s, 'filesystem', %s, 'image/png', %s, %s, %s)",
            (attempt_id, job_id, key, sha256, len(data), *picture.size),
        )
        db.execute("DELETE FROM imagejobs.staged_bytes WHERE attempt_id = %s", (attempt_id,))
    make_thumbnail(db, attempt_id, key, picture)


def make_thumbnail(db: Any, attempt_id: str, key: str, picture: Image.Image) -> None:
    thumbnail, name = io.BytesIO(), key + ".thumb.webp"
    picture.thumbnail((512, 512))
    picture.convert("RGB").save(thumbnail, "WEBP", quality=75)
    write(Path(os.environ["BENCH_FILES"]) / name, thumbnail.getvalue())
    db.execute("UPDATE imagejobs.artifacts SET thumbnail_key = %s WHERE attempt_id = %s", (name, attempt_id))


class Body(BaseModel):
    projectId: str  # noqa: N815
    jobType: str  # noqa: N815
    prompt: str
    width: int = 512
    height: int = 512


INSERT = """
WITH job AS (
    INSERT INTO image_generation_jobs (id, project_id, job_type, prompt, width, height, fingerprint, provider, model,
        deadline_seconds, deadline_at, estimated_micros, estimated_cost, event_seq)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 'fake', 'key', 900, now() + interval '15 minutes', 40000, 0.04, 1) RETURNING *
), reserved AS (
    INSERT INTO imagejobs.reservations (job_id, reservation_no, project_id, amount_micros, price_version)
    SELECT id, 1, project_id, 40000, 'fake-1' FROM job
), entered AS (
    INSERT INTO imagejobs.ledger_entries (job_id, reservation_no, project_id, kind, amount_micros, price_version)
    SELECT id, 1, project_id, 'reserve', 40000, 'fake-1' FROM job
)
INSERT INTO imagejobs.events (job_id, project_id, seq, kind) SELECT id, project_id, 1, 'job.queued' FROM job
"""


def create_app() -> FastAPI:
    @asynccontextmanager
    async def life(web: FastAPI) -> Any:
        web.state.pool = await asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=8, max_size=16)
        yield
        await web.state.pool.close()

    web = FastAPI(lifespan=life)

    @web.post("/jobs")
    async def create(request: Request, body: Body) -> JSONResponse:
        job_id = uuid.uuid4()
        fingerprint = hashlib.sha256(json.dumps(body.model_dump()).encode()).digest()
        row = (body.projectId, body.jobType, body.prompt, body.width, body.height, fingerprint)
        await request.app.state.pool.execute(INSERT, job_id, *row)
        generate.delay(str(job_id), body.prompt)
        return JSONResponse({"jobId": str(job_id), "status": "queued"}, 202)

    return web


if __name__ == "__main__":
    uvicorn.run(create_app(), port=int(sys.argv[1]), access_log=False, log_level="warning", loop="uvloop")
