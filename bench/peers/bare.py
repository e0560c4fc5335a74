"""The floor for creation: one FastAPI route that inserts one row with asyncpg, served as imagejobs is."""

import json
import sys
import uuid
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel


class Body(BaseModel):
    projectId: str  # noqa: N815
    jobType: str  # noqa: N815
    prompt: str
    width: int = 512
    height: int = 512


def create_app(dsn: str) -> FastAPI:
    @asynccontextmanager
    async def life(app: FastAPI) -> Any:
        app.state.pool = await asyncpg.create_pool(dsn, min_size=8, max_size=16)
        await app.state.pool.execute("CREATE TABLE IF NOT EXISTS bare (id uuid PRIMARY KEY, body jsonb, at timestamptz)")
        yield
        await app.state.pool.close()

    app = FastAPI(lifespan=life)

    @app.post("/jobs")
    async def create(request: Request, body: Body) -> JSONResponse:
        job_id = uuid.uuid4()
        await request.app.state.pool.execute(
            "INSERT INTO bare VALUES ($1, $2, now())", job_id, json.dumps(body.model_dump())
        )
        return JSONResponse({"jobId": str(job_id), "status": "queued"}, 202)

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]), port=int(sys.argv[2]), access_log=False, log_level="warning", loop="uvloop")
