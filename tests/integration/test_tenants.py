"""What a stranger, a demoted member and a lapsed credential can no longer do, see, hold up or find out."""

import asyncio
from uuid import UUID

import pytest

from imagejobs.app.keys import create_key
from imagejobs.domain.access import Scope
from tests.support.world import World

pytestmark = pytest.mark.database


async def bound_key(world: World, *scopes: Scope, project: str = "mine") -> dict[str, str]:
    key = await create_key(world.deps.database, "bound", scopes=scopes, project_ids=(project,))
    return {"authorization": f"Bearer {key}"}


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
