"""What a stranger, a demoted member and a lapsed credential can no longer do, see, hold up or find out."""

import asyncio
from uuid import UUID

import pytest

from imagejobs.app.keys import create_key
from imagejobs.domain.access import KeyText, Scope
from tests.support.world import World

pytestmark = pytest.mark.database


async def bound_key(world: World, *scopes: Scope, project: str = "mine") -> dict[str, str]:
    key = await create_key(world.deps.database, "bound", scopes=scopes, project_ids=(project,))
    return {"authorization": f"Bearer {key}"}


async def test_a12_a_key_is_used_by_whoever_has_its_secret_and_by_nobody_else(world: World) -> None:
    key = await create_key(world.deps.database, "film back end")
    used = "SELECT last_used_at FROM imagejobs.api_keys WHERE id = $1"
    forged = {"authorization": f"Bearer {KeyText(id=key.id, secret='A' * 43)}"}
    assert (await world.client.get("/api/images/jobs", headers=forged)).status_code == 401
    assert await world.scalar(used, key.id) is None
    assert (await world.client.get("/api/images/jobs", headers={"authorization": f"Bearer {key}"})).status_code == 200
    assert await world.scalar(used, key.id) is not None


@pytest.mark.parametrize("method_and_path", ["PATCH ", "POST /cancel", "POST /retry", "POST /resolve"])
async def test_p7_a_stranger_neither_takes_nor_awaits_the_lock_of_anothers_job(world: World, method_and_path: str) -> None:
    job_id = (await world.generate()).json()["jobId"]
    stranger = await bound_key(world, Scope.READ, Scope.WRITE)
    method, _, path = method_and_path.partition(" ")
    body = {"PATCH ": {"priority": 1}, "POST /resolve": {"billed": True}}.get(method_and_path)
    async with world.deps.database.transaction() as tx, asyncio.timeout(5):
        await tx.execute("SELECT FROM image_generation_jobs WHERE id = $1 FOR UPDATE", UUID(job_id))
        answer = await world.client.request(method, f"/api/images/jobs/{job_id}{path}", json=body, headers=stranger)
    assert answer.status_code == 404
