"""The web API on a real socket of this machine, inside the test's own loop, and events read from it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from fastapi import FastAPI

from imagejobs.app.deps import Deps
from imagejobs.cli.api import DrainingServer
from imagejobs.web.server import create_app
from tests.support.tokens import tokens_by_secret


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A running API; `client` speaks to it with the world's key."""

    client: httpx2.AsyncClient
    server: DrainingServer
    task: "asyncio.Task[None]"

    @asynccontextmanager
    async def stream(self, job_id: str, **headers: str) -> AsyncIterator[httpx2.Response]:
        wanted = {"accept": "text/event-stream", **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.client.stream("GET", f"/api/images/jobs/{job_id}/events", headers=wanted) as answer:
            yield answer


@asynccontextmanager
async def serving(deps: Deps, headers: httpx2.Headers, app: FastAPI | None = None) -> AsyncIterator[Serving]:
    """Serve `deps` as `imagejobs api` does, until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = DrainingServer(app or create_app(deps, tokens=tokens_by_secret()), deps.waiters)
    server.config.timeout_keep_alive = 600  # a machine that stands still for five seconds ends no test's connection
    task = asyncio.create_task(server.serve([listening]))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    authorization = {"authorization": headers["authorization"]}
    try:
        async with httpx2.AsyncClient(base_url=address, headers=authorization, timeout=60, trust_env=False) as client:
            yield Serving(client=client, server=server, task=task)
    finally:
        server.should_exit = True
        await task
        listening.close()


async def told(answer: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream as they come, each checked against its own id and name; pings as `{}`."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line.startswith(":"):
            yield {}
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            event = json.loads(fields["data"])
            assert (str(event["seq"]), event["kind"]) == (fields["id"], fields["event"])
            fields = {}
            yield event
