"""A worker's death at every named point of a job that buys from Google, by both of its ways; Google keeps the bill."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus
from imagejobs.imaging import Decoder
from imagejobs.ports import ProviderConfig
from imagejobs.providers.gemini import provider
from tests.crash.test_every_point import run_until_death
from tests.support.gemini_server import KEY, GeminiServer, running_gemini
from tests.support.invariants import billed, broken_invariants
from tests.support.world import World, open_world

pytestmark = [pytest.mark.database, pytest.mark.timeout(180)]


@pytest.fixture
async def google() -> AsyncIterator[GeminiServer]:
    async with running_gemini() as service:
        yield service


@pytest.fixture
async def world(
    google: GeminiServer, dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> AsyncIterator[World]:
    gemini = provider(ProviderConfig(api_key=KEY, base_url=google.url))
    assert gemini is not None
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"gemini": gemini}) as opened:
        yield opened
    await gemini.close()


@pytest.mark.parametrize("refuses_background", [False, True], ids=["lookup", "none"])
async def test_w1_to_w13_no_death_loses_a_job_or_buys_in_silence_at_google(
    google: GeminiServer, world: World, refuses_background: bool
) -> None:
    google.refuses_background = refuses_background
    points: list[str] = []
    for turn in range(1, 30):
        before = len(google.bill)
        job_id = (await world.generate()).json()["jobId"]
        point = await run_until_death(world, job_id, turn)
        job = await world.work_off(job_id)
        bought = len(google.bill) - before
        assert await broken_invariants(world.deps.database) == {}, point
        if job.status is JobStatus.COMPLETED:
            assert bought == 1, point
        else:
            assert job.failure is not None
            assert job.failure.reason == "outcome_unknown", point
            assert refuses_background or point in {"dispatch.after_intent", "async.after_submit"}
            assert bought <= 1, point
        if point is None:
            break
        points.append(point)
    assert await billed(world.deps.database) >= google.billed_micros
    assert {"claim.after_commit", "dispatch.after_intent", "stage.after_commit", "upload.after_put"} <= set(points)
    assert ("async.after_id_commit" in points) is not refuses_background
