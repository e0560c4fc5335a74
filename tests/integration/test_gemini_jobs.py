"""Whole jobs that buy from a fake of Google: the size that is asked for and had, what is refused before, what it costs."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus
from imagejobs.errors import Billed
from imagejobs.imaging import Decoder
from imagejobs.ports import ProviderConfig
from imagejobs.providers.gemini import provider
from imagejobs.providers.gemini.adapter import Gemini
from imagejobs.providers.gemini.catalogue import load_catalogue
from tests.support.gemini_server import KEY, GeminiServer, Reply, refusal, running_gemini
from tests.support.invariants import billed, broken_invariants
from tests.support.world import World, open_world

pytestmark = pytest.mark.database


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


async def test_a_job_has_the_real_size_and_the_real_price(world: World, google: GeminiServer) -> None:
    for fit in (..., "nearest"):
        job_id = (await world.generate(model="nano-banana", width=1920, height=1080, fit=fit)).json()["jobId"]
        job = await world.work_off(job_id)
        assert (job.status, job.model) == (JobStatus.COMPLETED, "gemini-nano-banana-2.1")
        image = (await world.read(job_id))["image"]
        assert (image["width"], image["height"]) == (2752, 1536)
        assert job.cost_micros == google.bill[-1].micros
    exact = (await world.generate(model="gemini", width=1376, height=768, fit="exact")).json()["jobId"]
    assert (await world.work_off(exact)).status is JobStatus.COMPLETED


@pytest.mark.parametrize(
    ("wish", "reason", "says"),
    [
        ({"width": 1920, "height": 1080, "fit": "exact"}, "unsupported_capability", "2752x1536"),
        ({"width": 5000, "height": 5000}, "unsupported_capability", "pixels"),
        ({"model": "gemini:nano-banana-2"}, "unknown_model", "gemini-nano-banana-2.1"),
        ({"mask": {"inputId": "m"}, "sourceImage": {"inputId": "s"}}, "unsupported_capability", "maskDescription"),
        ({"fit": "cover"}, "invalid_field", "nearest"),
    ],
)
async def test_what_cannot_be_made_is_refused_before_anything_is_written(
    world: World, google: GeminiServer, wish: dict[str, Any], reason: str, says: str
) -> None:
    answer = await world.generate(**wish)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["reason"] == reason
    assert says in answer.text
    assert await world.scalar("SELECT count(*) FROM image_generation_jobs") == 0
    assert not google.asked


async def test_a9_a_model_without_quota_closes_the_account_for_no_other_model(world: World, google: GeminiServer) -> None:
    keyed = replace(world, deps=replace(world.deps, key_fingerprints={"gemini": "one"}))
    violation = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "0"}
    detail = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}
    google.next.append(refusal(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", detail))
    poor = await keyed.work_off((await keyed.generate(model="nano-banana-pro")).json()["jobId"])
    assert poor.failure is not None
    assert (poor.failure.reason, poor.failure.retryable) == ("model_unavailable", False)
    assert "billing" in poor.failure.message
    other = await keyed.work_off((await keyed.generate(model="nano-banana")).json()["jobId"])
    assert other.status is JobStatus.COMPLETED


async def test_a_job_of_a_model_that_died_since_is_still_found_by_its_key(world: World) -> None:
    made = await world.generate(model="gemini", idempotencyKey="k")
    adapter = world.deps.providers["gemini"]
    assert isinstance(adapter, Gemini)
    models = [replace(model, shutdown=date(2020, 1, 1)) for model in load_catalogue().models]
    adapter._catalogue = replace(adapter._catalogue, models=tuple(models))
    again = await world.generate(model="gemini", idempotencyKey="k")
    assert (again.status_code, again.json()["jobId"]) == (200, made.json()["jobId"])
    job = await world.work_off(again.json()["jobId"])
    assert job.failure is not None
    assert (job.failure.reason, job.failure.billed) == ("model_unavailable", Billed.NO)


async def test_a_refusal_leaves_its_money_unknown_and_the_books_whole(
    world: World, google: GeminiServer, database: Database
) -> None:
    google.refuses_background = True
    google.next.append(Reply(document={"candidates": [{"finishReason": "IMAGE_SAFETY"}]}, makes=True))
    job = await world.work_off((await world.generate()).json()["jobId"])
    assert job.failure is not None
    assert (job.failure.reason, job.failure.billed, job.failure.retryable) == ("content_refused", Billed.UNKNOWN, False)
    assert await broken_invariants(database) == {}
    assert await billed(database) >= google.billed_micros
    resolved = await world.client.post(f"/api/images/jobs/{job.id}/resolve", json={"billed": True})
    assert resolved.status_code == 200
    assert await broken_invariants(database) == {}


async def test_an_interaction_in_trouble_is_polled_to_its_end_and_bought_once(world: World, google: GeminiServer) -> None:
    google.on_poll.extend([refusal(429, "RESOURCE_EXHAUSTED"), refusal(500, "INTERNAL"), Reply(hang_up=True)])
    job = await world.work_off((await world.generate()).json()["jobId"])
    assert job.status is JobStatus.COMPLETED
    assert len(google.bill) == 1


async def test_no_capacity_is_tried_again_and_nothing_was_bought(world: World, google: GeminiServer) -> None:
    google.next.extend([refusal(503, "UNAVAILABLE"), refusal(429, "RESOURCE_EXHAUSTED")])
    job = await world.work_off((await world.generate()).json()["jobId"])
    assert job.status is JobStatus.COMPLETED
    assert len(google.bill) == 1
