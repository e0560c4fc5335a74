"""`imagejobs checklist` (F7) on an instance that works and on ones that do not: real service, worker and database."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from imagejobs.app.findings import Finding, Level
from imagejobs.app.identifiers import new_id
from imagejobs.app.sweep import sweep
from imagejobs.cli.checklist import request_of, table_findings, ticked
from imagejobs.cli.findings import collected, report
from imagejobs.db.pool import Database
from imagejobs.db.verify import Statement
from imagejobs.imaging import Decoder
from imagejobs.settings import load_settings
from imagejobs.storage.filesystem import FilesystemStorage
from imagejobs.storage.rehearsal import RehearsalStorage
from tests.support.providers import Scripted
from tests.support.serving import serving
from tests.support.world import SOON, World, open_world

pytestmark = pytest.mark.database

MADE = ("price", "job", "same key", "end", "picture")


def never(price: str) -> bool:
    raise AssertionError(price)


@asynccontextmanager
async def served(here: pytest.MonkeyPatch, world: World) -> AsyncIterator[str]:
    """The world as the service that the settings name, without a worker; its address."""
    async with serving(world.deps, world.client.headers) as service:
        address = str(service.client.base_url).rstrip("/")
        here.setenv("IMAGEJOBS_URL", address)
        here.setenv("IMAGEJOBS_API_KEY", world.client.headers["authorization"].removeprefix("Bearer "))
        here.setenv("IMAGEJOBS_DEFAULT_PROVIDER", "sketch")
        here.setattr("imagejobs.cli.checklist._WAIT_SECONDS", SOON)
        yield address


@asynccontextmanager
async def working(here: pytest.MonkeyPatch, world: World, tmp_path: Path, public: str = "") -> AsyncIterator[None]:
    """The same with a worker, whose pictures open at `public`, else where the service is."""
    async with served(here, world) as address:
        storage = RehearsalStorage(FilesystemStorage(tmp_path / "files", public or address))
        async with replace(world, deps=replace(world.deps, storage=storage)).working(), asyncio.timeout(SOON) as limit:
            while await world.scalar("SELECT count(*) FROM imagejobs.workers") == 0:
                await asyncio.sleep(0.01)
            limit.reschedule(None)
            yield


async def lines(
    model: str | None = "sketch", agrees: Callable[[str], bool] = never, **changes: object
) -> dict[str, Finding]:
    """By subject; whatever does not hold has a next step."""
    request = {**request_of("film", model), "width": 64, "height": 64, **changes}
    found = await asyncio.to_thread(lambda: list(ticked(request, agrees)))
    assert all(finding.advice for finding in found if finding.level is not Level.OK)
    return {finding.subject: finding for finding in found}


def failed(found: dict[str, Finding]) -> set[str]:
    return {subject for subject, finding in found.items() if finding.level is Level.FAIL}


async def test_f7_b3_every_line_is_ticked_from_the_price_to_the_row(
    here: pytest.MonkeyPatch, world: World, tmp_path: Path
) -> None:
    async with working(here, world, tmp_path):
        found = await lines()
    assert failed(found) == set()
    assert {subject for subject, finding in found.items() if finding.level is Level.WARN} == {"page"}
    tail = list(found)[list(found).index("page") :]
    assert tail == ["page", *MADE, "indexes", "last jobs", "last hour", "waiting", "failed uploads", "books"]
    assert found["price"].detail == "0.0000 credits for one picture by sketch:sketch-1"
    assert found["end"].detail.startswith("queued → processing → generating → uploading → completed, after")
    assert found["last jobs"].detail == "completed"
    assert found["last hour"].detail == "1 made, for 0.0000 credits"
    assert await world.scalar("SELECT count(*) FROM image_generation_jobs") == 1


async def test_f7_a_picture_that_costs_money_is_bought_after_a_yes_to_its_price_only(
    here: pytest.MonkeyPatch, dsn: str, database: Database, decoder: Decoder, tmp_path: Path
) -> None:
    asked = list[str]()

    def says_no(price: str) -> bool:
        asked.append(price)
        return False

    selling = open_world(dsn, database, decoder, tmp_path / "files", providers={"scripted": Scripted()})
    async with selling as world, working(here, world, tmp_path):
        found = await lines(None, says_no)
        assert failed(found) == set()
        assert found["job"].level is Level.WARN
        assert "--yes" in found["job"].advice
        assert asked == [found["price"].detail]
        assert await world.scalar("SELECT count(*) FROM image_generation_jobs") == 0
        found = await lines(None, lambda price: price == asked[0])
        assert failed(found) == set()
        assert await world.scalar("SELECT count(*) FROM imagejobs.attempts") == 1
        found = await lines(None, maxCost=0.001)
        assert failed(found) == {"price"}
        assert await world.scalar("SELECT count(*) FROM imagejobs.attempts") == 1


@pytest.mark.parametrize(
    ("prompt", "public", "where", "step"),
    [("[refuse]", "", "end", "Change the request"), ("a fox", "http://127.0.0.1:9", "picture", "imagejobs storage verify")],
)
async def test_f7_a_job_that_fails_and_a_picture_that_does_not_open_are_told_with_the_next_step(
    here: pytest.MonkeyPatch, world: World, tmp_path: Path, prompt: str, public: str, where: str, step: str
) -> None:
    here.setenv("CORS_ORIGINS", "http://localhost:5173")  # which this service does not know
    async with working(here, world, tmp_path, public):
        found = await lines(prompt=prompt)
    assert failed(found) == {"page", where}
    assert "CORS_ORIGINS" in found["page"].advice
    assert step in found[where].advice


async def test_f7_nothing_is_bought_while_something_is_wrong(here: pytest.MonkeyPatch, world: World) -> None:
    async with served(here, world):
        assert failed(found := await lines()) == {"job"}
        assert found["job"].detail == "not made, because of: workers"
        here.setenv("IMAGEJOBS_STORAGE_URL", "s3://nowhere")
        here.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        assert failed(found := await lines()) == {"storage", "job"}
        assert found["job"].detail == "not made, because of: workers, storage"
        here.delenv("IMAGEJOBS_STORAGE_URL")
    assert failed(await lines()) == {"service", "job"}
    here.delenv("IMAGEJOBS_URL")
    assert "imagejobs up" in (await lines())["job"].detail
    assert await world.scalar("SELECT count(*) FROM image_generation_jobs") == 0
    here.setenv("PORT", "none")
    assert set(await lines()) == {"versions", "settings"}


@pytest.mark.usefixtures("here")
async def test_f7_b3_what_the_table_says_is_judged(world: World, dsn: str, empty_dsn: str) -> None:
    waiting = (await world.generate()).json()["jobId"]
    await world.scalar(
        "UPDATE image_generation_jobs SET created_at = now() - interval '6 minutes' WHERE id = $1 RETURNING 1", waiting
    )
    gone, unstored = [(await world.generate(prompt="[storage]")).json()["jobId"] for _ in range(2)]
    for job in (gone, unstored):
        await world.work_off(job)
    await world.scalar("UPDATE imagejobs.staged_bytes SET staged_at = now() - interval '31 days' WHERE job_id = $1", gone)
    await sweep(world.deps)
    found = await table(dsn, unstored)
    assert failed(found) == set()
    assert {subject for subject, finding in found.items() if finding.level is Level.WARN} == {"waiting", "failed uploads"}
    assert (unstored in found["failed uploads"].advice, gone in found["failed uploads"].advice) == (True, False)
    await world.client.post(f"/api/images/jobs/{unstored}/retry")
    assert "buys again" in (await table(dsn, unstored))["failed uploads"].advice
    await world.scalar("DROP INDEX image_generation_jobs_branch_idx")
    await world.scalar("UPDATE imagejobs.reservations SET state = 'reserved'")
    found = await table(dsn, str(new_id()))
    assert failed(found) == {"indexes", "last jobs", "books"}
    assert "branch_idx" in found["indexes"].detail
    assert "DATABASE_URL" in found["last jobs"].advice
    assert (await table(empty_dsn, None))["table"].detail == "could not be checked: UndefinedTableError"


async def table(dsn: str, job_id: str | None) -> dict[str, Finding]:
    found = await collected("table", table_findings(load_settings(database_url=dsn), job_id))
    return {finding.subject: finding for finding in found}


async def test_f7_without_the_services_database_the_table_is_left_out(here: pytest.MonkeyPatch) -> None:
    here.delenv("DATABASE_URL")
    found = await collected("table", table_findings(load_settings(), None))
    assert [(finding.level, finding.subject) for finding in found] == [(Level.WARN, "table")]


def test_b3_the_guides_statements_are_those_of_the_page_for_operators() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/database.md").read_text()
    assert all(statement in page for statement in Statement if statement is not Statement.INDEXES)


def test_the_exit_code_is_that_of_a_failed_line(capsys: pytest.CaptureFixture[str]) -> None:
    levels = (Level.OK, Level.WARN, Level.FAIL)
    codes = [report([Finding(level=level, subject="s", detail="d")], as_json=True).exit_code for level in levels]
    assert codes == [0, 0, 1]
    assert [json.loads(line)["level"] for line in capsys.readouterr().out.splitlines()] == list(levels)
