"""Answers that the database will not take, or that it does not know: what is paid for stays on the disk (P4)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagejobs.app.identifiers import new_id
from imagejobs.app.staging import stage_spooled
from imagejobs.db.pool import Database
from imagejobs.imaging import Decoder
from imagejobs.ports import Answer, Call, Submitted
from tests.support.providers import Scripted
from tests.support.world import World, open_world

pytestmark = pytest.mark.database


class Muddled(Scripted):
    """Says something beside its picture that no column takes."""

    async def submit(self, call: Call) -> Answer | Submitted:
        answer = await super().submit(call)
        assert isinstance(answer, Answer)
        return replace(answer, metadata={"note": "\0"})


@pytest.fixture
async def shop(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> AsyncIterator[tuple[World, Scripted]]:
    provider = Muddled()
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": provider}) as world:
        yield world, provider


async def test_p4_an_answer_that_cannot_be_staged_stays_on_the_disk_and_stops_no_worker(
    shop: tuple[World, Scripted], caplog: pytest.LogCaptureFixture
) -> None:
    world, provider = shop
    job = await world.work_off((await world.generate()).json()["jobId"])
    assert job.failure is not None
    assert (job.failure.reason, job.failure.billed) == ("internal_error", "unknown")
    (kept,) = world.deps.spool.waiting()
    assert (kept.job_id, kept.answer.data) == (job.id, provider.data)
    await stage_spooled(world.deps)
    assert "spool.not_staged" in caplog.messages
    world.deps.spool.keep(replace(kept, answer=replace(kept.answer, metadata={})))  # as a later version would have it
    await stage_spooled(world.deps)
    assert not list(world.deps.spool.waiting())
    assert (await world.client.post(f"/api/images/jobs/{job.id}/retry")).json()["isPaidAlready"] is True
    await world.work_off(job.id)
    assert len(provider.sends) == 1


async def test_p4_an_answer_of_another_database_stays_on_the_disk(
    shop: tuple[World, Scripted], caplog: pytest.LogCaptureFixture
) -> None:
    world, _ = shop
    await world.work_off((await world.generate()).json()["jobId"])
    (kept,) = world.deps.spool.waiting()
    world.deps.spool.forget(kept.attempt_id)
    stranger = replace(kept, attempt_id=new_id(), job_id=new_id())
    world.deps.spool.keep(stranger)
    await stage_spooled(world.deps)
    assert list(world.deps.spool.waiting()) == [stranger]
    assert "spool.not_staged" in caplog.messages
