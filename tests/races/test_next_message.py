"""A job's next message that comes while the run of its last one is still in hand at the same worker; steered by a probe."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from imagejobs.domain.jobs import JobStatus
from tests.support.invariants import broken_invariants
from tests.support.world import SOON, World

pytestmark = pytest.mark.database


@dataclass
class FirstRunHeld:
    """Holds the first run before its claim and lets every later one pass."""

    runs: int = 0
    is_held: asyncio.Event = field(default_factory=asyncio.Event)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, point: str) -> None:
        if point != "claim.before":
            return
        self.runs += 1
        if self.runs == 1:
            self.is_held.set()
            await self.may_go_on.wait()


async def test_p2_the_next_message_is_not_swallowed_by_the_run_of_the_last_one(world: World) -> None:
    """Its run begins, and ends, while the other is in hand; taken for a repeat of it, it would wait for it and be lost."""
    probe = FirstRunHeld()
    held = replace(world, deps=replace(world.deps, probe=probe))
    async with held.working():
        job_id = (await world.generate()).json()["jobId"]
        async with asyncio.timeout(SOON):
            await probe.is_held.wait()
        moved = await world.client.patch(f"/api/images/jobs/{job_id}", json={"priority": 3})
        assert moved.status_code == 200, moved.text
        body = await world.finished(job_id)
        events = await world.events(job_id)
        probe.may_go_on.set()
    assert body["status"] == JobStatus.COMPLETED
    assert await world.events(job_id) == events
    assert await broken_invariants(world.deps.database) == {}
