"""Through the whole core: what the fake provider billed is what the ledger says was spent, or holds as unknown."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus
from imagejobs.imaging import Decoder
from imagejobs.providers.fake_server import FakeProvider, Options, Terms
from tests.support.fakes import fake_and_adapter, once, script
from tests.support.world import World, open_world

pytestmark = pytest.mark.database

Books = Mapping[str, int]


@asynccontextmanager
async def shop(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path, options: Options | None = None
) -> AsyncIterator[tuple[FakeProvider, World]]:
    """A fake provider, and an instance that buys from it alone."""
    async with (
        fake_and_adapter(options) as (fake, provider),
        open_world(dsn, database, decoder, tmp_path / "files", providers={"fake": provider}) as world,
    ):
        yield fake, world


async def books(world: World) -> Books:
    """What is posted, unknown and still reserved, in micro-dollars."""
    async with world.deps.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT state, sum(CASE WHEN state = 'posted' THEN (SELECT sum(e.amount_micros) "
            "FROM imagejobs.ledger_entries AS e WHERE e.kind = 'post' AND (e.job_id, e.reservation_no) = "
            "(r.job_id, r.reservation_no)) ELSE amount_micros END)::bigint AS micros "
            "FROM imagejobs.reservations AS r GROUP BY state"
        )
    return {row["state"]: row["micros"] for row in rows}


_CHARGED_REFUSAL = {"status": 400, "error_type": "content_refused", "bill": "yes", "says_billed": True}
_LOST = once(reset="before_headers")
SCRIPTS: dict[str, tuple[str, list[dict[str, Any]], JobStatus, int]] = {
    # the class, the script, how the job ends, and how many pictures were bought
    "good, by key": ("key", [], JobStatus.COMPLETED, 1),
    "good, by lookup": ("lookup", [], JobStatus.COMPLETED, 1),
    "good, by nothing": ("none", [], JobStatus.COMPLETED, 1),
    "throttled, then good": ("none", [once(status=429, retry_after="1")], JobStatus.COMPLETED, 1),
    "overloaded, then good": ("none", [once(status=503)], JobStatus.COMPLETED, 1),
    "rejected": ("none", [once(status=400)], JobStatus.FAILED, 0),
    "lost, had again by key": ("key", [once(reset="before_headers")], JobStatus.COMPLETED, 1),
    "cut twice, had again by key": ("key", [once(cut_after_bytes=9), once(html=True)], JobStatus.COMPLETED, 1),
    "lost for good": ("none", [once(reset="before_headers")], JobStatus.FAILED, 1),
    "cut for good": ("none", [once(cut_after_bytes=100)], JobStatus.FAILED, 1),
    "lost before there is an id": ("lookup", [once(reset="before_headers")], JobStatus.FAILED, 1),
    "no picture, but text": ("none", [once(image="text")], JobStatus.FAILED, 1),
    "corrupt": ("key", [once(image="corrupt")], JobStatus.FAILED, 1),
    "a bomb": ("lookup", [once(image="bomb")], JobStatus.FAILED, 1),
    "more expensive than quoted": ("none", [once(price_micros=90_000)], JobStatus.COMPLETED, 1),
    "cheaper than quoted": ("key", [once(price_micros=1)], JobStatus.COMPLETED, 1),
    "task forgotten": ("lookup", [once(task="forgotten")], JobStatus.FAILED, 1),
    "task refused": ("lookup", [once(task="refused")], JobStatus.FAILED, 0),
    "task failed free of charge, then good": ("lookup", [once(task="failed")], JobStatus.COMPLETED, 1),
    "poll throttled": (
        "lookup",
        [{"when": {"on": "poll"}, "then": {"status": 429, "retry_after": "1"}, "times": 1}],
        JobStatus.COMPLETED,
        1,
    ),
    "poll refused": ("lookup", [{"when": {"on": "poll"}, "then": {"status": 401}}], JobStatus.FAILED, 1),
    "a success without a picture": ("none", [once(empty=True)], JobStatus.FAILED, 1),
    "a refusal that was charged": ("none", [once(**_CHARGED_REFUSAL)], JobStatus.FAILED, 1),
    "more bytes than may be kept": ("none", [once(image="huge")], JobStatus.FAILED, 1),
    "lost, then throttled": ("key", [_LOST, once(status=429, retry_after="1")], JobStatus.COMPLETED, 1),
    "lost, then overloaded": ("key", [_LOST, once(status=503)], JobStatus.COMPLETED, 1),
    "lost, then rejected": ("key", [_LOST, once(status=400)], JobStatus.FAILED, 1),
}


@pytest.mark.parametrize("case", SCRIPTS)
async def test_the_bill_is_what_the_books_say(
    dsn: str, database: Database, decoder: Decoder, tmp_path: Path, case: str
) -> None:
    model, rules, ends, bought = SCRIPTS[case]
    async with shop(dsn, database, decoder, tmp_path) as (fake, world):
        script(fake, *rules)
        answer = await world.generate(model=f"fake:{model}")
        job = await world.work_off(answer.json()["jobId"])
        assert job.status is ends
        assert len(fake.bill.entries) == bought
        found = await books(world)
        assert found.get("posted", 0) + found.get("unknown", 0) == fake.bill.total_micros
        assert "reserved" not in found


async def test_random_faults_leave_true_books(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> None:
    # The first hundred faults of seed 7 have no success without a picture.
    options = Options(fault_rate=0.4, seed=7, terms=Terms(image_bytes=20_000))
    async with shop(dsn, database, decoder, tmp_path, options) as (fake, world), world.working():
        answers = [await world.generate(model=f"fake:{model}") for model in ("none", "lookup") * 10]
        for answer in answers:
            await world.finished(answer.json()["jobId"])
        found = await books(world)
        assert fake.bill.total_micros <= found.get("posted", 0) + found.get("unknown", 0)
        assert found.get("posted", 0) <= fake.bill.total_micros
        assert "reserved" not in found
