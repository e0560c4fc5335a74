"""A paid picture that was refused is looked at again before a retry buys another: the limit may be higher now (P4)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagejobs.app.keys import create_key
from imagejobs.app.sweep import sweep
from imagejobs.db import access
from imagejobs.db.pool import Database
from imagejobs.domain.access import Role, Scope
from imagejobs.domain.jobs import JobStatus
from imagejobs.imaging import Decoder, PictureFacts
from tests.support.invariants import billed, broken_invariants
from tests.support.providers import PRICE, Scripted, a_png
from tests.support.tokens import as_user
from tests.support.world import World, open_world

pytestmark = pytest.mark.database

EDGE = 100


@pytest.fixture
async def small() -> AsyncIterator[Decoder]:
    """Too small for what the provider sends."""
    made = Decoder(children=1, max_pixels=EDGE * EDGE - 1)
    yield made
    await made.stop()


class Instance:
    """One provider, one database, and the settings that each process was started with."""

    def __init__(self, dsn: str, database: Database, root: Path) -> None:
        self.provider = Scripted(data=a_png(EDGE))
        self._where = dsn, database
        self._root = root

    @asynccontextmanager
    async def under(self, limit: Decoder) -> AsyncIterator[World]:
        async with open_world(*self._where, limit, self._root, providers={"scripted": self.provider}) as world:
            yield world

    async def is_sound(self) -> bool:
        _, database = self._where
        return await broken_invariants(database) == {} and await billed(database) == sum(self.provider.bill.values())


@pytest.fixture
async def instance(dsn: str, database: Database, tmp_path: Path) -> AsyncIterator[Instance]:
    made = Instance(dsn, database, tmp_path / "files")
    yield made
    assert await made.is_sound()


async def refused(world: World) -> str:
    """A job whose picture was paid for and is larger than may be decoded."""
    job = await world.work_off((await world.generate()).json()["jobId"])
    assert job.failure is not None
    assert (job.failure.reason, job.failure.billed, job.cost_micros) == ("image_too_large", "yes", PRICE)
    return str(job.id)


async def retry(world: World, job_id: str) -> tuple[Any, Any]:
    answer = (await world.client.post(f"/api/images/jobs/{job_id}/retry")).json()
    return answer["isPaidAlready"], answer["estimated"]


async def test_p4_under_a_higher_limit_a_retry_stores_what_was_refused_and_buys_nothing(
    instance: Instance, small: Decoder, decoder: Decoder
) -> None:
    async with instance.under(small) as world:
        job_id = await refused(world)
    async with instance.under(decoder) as world:
        assert await retry(world, job_id) == (True, 0.0)
        job = await world.work_off(job_id)
        assert (job.status, job.cost_micros, len(instance.provider.sends)) == (JobStatus.COMPLETED, PRICE, 1)
        assert await world.scalar("SELECT count(*) FROM imagejobs.reservations") == 1
        assert await world.scalar("SELECT count(*) FROM imagejobs.staged_bytes") == 0


async def test_under_the_same_limit_a_retry_says_that_it_buys_and_does(instance: Instance, small: Decoder) -> None:
    async with instance.under(small) as world:
        job_id = await refused(world)
        assert await retry(world, job_id) == (False, PRICE / 1e6)
        await world.work_off(job_id)
        assert len(instance.provider.sends) == 2
        instance.provider.data = a_png()
        assert await retry(world, job_id) == (False, PRICE / 1e6)
        assert (await world.work_off(job_id)).status is JobStatus.COMPLETED


async def test_where_the_workers_still_have_the_old_limit_nothing_is_bought_either(
    instance: Instance, small: Decoder, decoder: Decoder
) -> None:
    async with instance.under(small) as world:
        job_id = await refused(world)
        async with instance.under(decoder) as api:
            assert await retry(api, job_id) == (True, 0.0)
        job = await world.work_off(job_id)
        assert job.failure is not None
        assert (job.failure.reason, job.cost_micros, len(instance.provider.sends)) == ("image_too_large", PRICE, 1)
        await sweep(replace(world.deps, policy=replace(world.deps.policy, staged_bytes_limit=1)))
        world.deps.staging_room.require()
        assert await world.scalar("SELECT count(*) FROM imagejobs.staged_bytes") == 0
        assert await retry(world, job_id) == (False, PRICE / 1e6)
        await world.client.post(f"/api/images/jobs/{job_id}/cancel")


class Watchful(Decoder):
    """Remembers how many pictures it was given."""

    given = 0

    async def inspect(self, data: bytes) -> PictureFacts:
        self.given += 1
        return await super().inspect(data)


async def test_a12_a_refused_picture_is_not_looked_at_for_a_retry_that_is_not_made(
    instance: Instance, small: Decoder, database: Database
) -> None:
    async with instance.under(small) as world:
        job_id = await refused(world)
    watchful = Watchful(children=1)
    async with instance.under(watchful) as world:
        key = await create_key(world.deps.database, "other", scopes=[Scope.READ, Scope.WRITE], project_ids=["theirs"])
        headers = {"authorization": f"Bearer {key}"}
        answer = await world.client.post(f"/api/images/jobs/{job_id}/retry", headers=headers)
        assert (answer.status_code, watchful.given) == (404, 0)
        async with database.transaction() as tx:
            await access.put_member(tx, "film", "vera", Role.VIEWER)
        answer = await world.client.post(f"/api/images/jobs/{job_id}/retry", headers=as_user("vera"))
        assert (answer.status_code, watchful.given) == (403, 0)
        answer = await world.client.post(f"/api/images/jobs/{job_id}/retry", json={"retryCount": 7})
        assert (answer.status_code, watchful.given) == (409, 0)
