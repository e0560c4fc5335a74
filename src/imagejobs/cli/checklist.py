"""`imagejobs checklist`: the guide's checklist, ticked."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated
from uuid import UUID, uuid4

import typer
from asyncpg import Record

from imagejobs.app.findings import Finding, Level, fail, ok, warn
from imagejobs.cli.advice import free_retries, next_step
from imagejobs.cli.console import AsJson, command_app, credits_of
from imagejobs.cli.doctor import examine
from imagejobs.cli.findings import collected, report
from imagejobs.cli.home import Home
from imagejobs.cli.local import located, opened
from imagejobs.cli.progress import Progress
from imagejobs.cli.readiness import lets_in
from imagejobs.cli.remote import client_of
from imagejobs.client import Client, ClientError, Interrupted, Wait
from imagejobs.db import condition
from imagejobs.db.verify import BROKEN, Statement, answer, broken
from imagejobs.settings import Settings, load_settings

app = command_app()

_TABLE_SECONDS = 150.0  # the invariants read every row


@app.command()
def checklist(
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Buy the picture without being asked.")] = False,
    model: Annotated[str | None, typer.Option(help="Who draws it; `sketch` is free [the default provider].")] = None,
    project: Annotated[str, typer.Option(help="The project that the job belongs to.")] = "default",
    as_json: AsJson = False,
) -> None:
    """Tick the guide's checklist, line by line, by trying each thing; it costs one picture.

    First everything that `doctor` looks at. Then what an application does: each page of CORS_ORIGINS is let in, a job is
    made with an idempotency key and found again by it, it goes to its end, its picture opens without a key. Last what the
    database says: indexes, the guide's four statements, rows and money that agree.

    The price of the picture is told first. One that costs money is bought only with --yes or when you say so at the
    terminal, and only while nothing above it is wrong. Each line begins with ✓, with ✗ and has the next step below it, or
    with a dash for what may do as it is or was not tried. The exit code is 1 if a line has ✗.

    ```
    imagejobs checklist
    imagejobs checklist --model sketch
    imagejobs checklist --yes --json | jq 'select(.level != "ok")'
    ```
    """
    agrees = (lambda _: True) if yes else _agrees
    raise report(ticked(request_of(project, model), agrees), as_json=as_json)


def _agrees(price: str) -> bool:
    return sys.stdin.isatty() and typer.confirm(f"{price}. Buy it?", err=True)


def ticked(request: Mapping[str, object], agrees: Callable[[str], bool]) -> Iterator[Finding]:
    """Every line as it comes; the job of `request` is made only while no line above it is wrong."""
    found = asyncio.run(examine())
    yield from found
    obstacles = [finding.subject for finding in found if _prevents(finding)]
    if "settings" in obstacles:
        return
    settings, job_id = load_settings(), None
    try:
        with client_of(settings) as client:
            yield from _pages(client.url, settings.cors_origins)
            if obstacles:
                yield fail("job", f"not made, because of: {', '.join(obstacles)}", "Put that right, then run it again.")
            else:
                job_id = yield from picture_findings(client, request, agrees)
    except ClientError as error:
        yield fail("job", str(error), "Put that right, then run it again; a job that was made goes on.")
    yield from asyncio.run(collected("table", table_findings(settings, job_id), _TABLE_SECONDS))


def _prevents(finding: Finding) -> bool:
    """Whether a picture had better not be bought now."""
    return finding.level is Level.FAIL or (finding.level is Level.WARN and finding.subject == "workers")


def _pages(url: str, origins: Sequence[str]) -> Iterator[Finding]:
    """The preflight of a browser, for each page."""
    if not origins:
        yield warn("page", "none may call the API", "Set CORS_ORIGINS to the origin of your page, if you have one.")
    for origin in origins:
        if lets_in(url, origin):
            yield ok("page", f"{origin} is let in")
        else:
            yield fail("page", f"{origin} is not let in by {url}", "Start the service again, with this CORS_ORIGINS.")


_JOB_SECONDS = 300  # the job's own deadline
_WAIT_SECONDS = _JOB_SECONDS + 30.0  # and time for the sweep to see that it has passed
_NO_PICTURE = "`imagejobs storage verify` tries the place of the pictures; see that IMAGEJOBS_PUBLIC_URL is right."


def request_of(project: str, model: str | None) -> dict[str, object]:
    """A small picture, of the kind that the guide asks for; without a model, by the default provider."""
    place = {"projectId": project, "branchId": "main", "jobType": "master_asset", "assetId": "checklist"}
    wanted = {**place, "prompt": "a red fox in snow", "model": model, "deadlineSeconds": _JOB_SECONDS}
    return {name: value for name, value in wanted.items() if value is not None}


def picture_findings(
    client: Client, request: Mapping[str, object], agrees: Callable[[str], bool]
) -> Generator[Finding, None, str | None]:
    """Price, job, replay, end and picture; returns the job's id, where one was made.

    `agrees` is asked, with the price, before a picture that costs money. Raises the leaves of `ClientError`.
    """
    quote = client.quote(request)
    price = f"{credits_of(quote.total)} for one picture by {quote.model or 'nobody'}"
    if quote.obstacle is not None:
        yield fail("price", f"{price}: {quote.obstacle['message']}", "Put that right, or name another one with --model.")
        return None
    yield ok("price", price)
    if quote.total != 0 and not agrees(price):
        yield warn(
            "job",
            "not made: nobody said yes to the price",
            "Run it again with --yes, or with --model sketch, free of charge.",
        )
        return None
    key, began = f"checklist-{uuid4()}", time.monotonic()
    job_id = client.generate(request, idempotency_key=key).jobs[0].id
    yield ok("job", f"{job_id} accepted within {time.monotonic() - began:.2f} s")
    again = client.generate(request, idempotency_key=key)
    if again.is_replay and again.jobs[0].id == job_id:
        yield ok("same key", "sent again, the idempotency key names the same job")
    else:
        yield fail("same key", f"sent again, the key made another job, {again.jobs[0].id}", "Report it as a bug.")
    yield from _to_its_end(client, job_id)
    return job_id


def _to_its_end(client: Client, job_id: str) -> Iterator[Finding]:
    wait = Wait(client, timeout_seconds=_WAIT_SECONDS)
    states = []
    with Progress([job_id], sys.stderr) as progress:
        for _, event in wait.follow([job_id]):
            progress.show(job_id, event)
            states += [event.status] if event.status else []
    job, way = wait.job(job_id), " → ".join(states)
    if job.public_url is None:
        why = f": {job.failure.code}, {job.failure.reason}: {job.failure.message}" if job.failure else ""
        yield fail("end", f"{way}{why}", next_step(job) or "Run it again.")
    else:
        yield ok("end", f"{way}, after {job.seconds or 0:.1f} s, for {credits_of(job.actual_cost)}")
        yield _opened(client, job.public_url)


def _opened(client: Client, url: str) -> Finding:
    with TemporaryDirectory() as folder:
        try:
            file = client.download(url, Path(folder), "picture")
        except Interrupted as error:
            return fail("picture", str(error), _NO_PICTURE)
        is_picture = file.suffix != ".bin"
    return ok("picture", f"opens without a key: {url}") if is_picture else fail("picture", f"{url} is none", _NO_PICTURE)


_INDEXES = {
    f"image_generation_jobs_{name}" for name in ("pkey", "key_idx", "project_idx", "branch_idx", "status_idx", "created_idx")
}


async def table_findings(settings: Settings, job_id: str | None) -> AsyncIterator[Finding]:
    """The guide's statements and the invariants; `job_id` is the newest job, where one was made."""
    if settings.database_url is None and not Home(settings.data_dir).has_database():
        yield warn("table", "not read: the service's database is not known here", "Set DATABASE_URL, and run it again.")
        return
    with located(settings) as found:
        async with opened(found.settings) as database, database.connection() as connection:
            free = (await condition.staging(connection)).free_retries
            for statement in Statement:
                yield _judged(statement, await answer(connection, statement), job_id, free)
            if names := await broken(connection):
                yield fail("books", f"broken: {'; '.join(names)}", "`imagejobs verify` shows the rows; report it as a bug.")
            else:
                yield ok("books", f"rows and money agree: {len(BROKEN)} invariants hold")


def _judged(statement: Statement, rows: Sequence[Record], job_id: str | None, free: Sequence[UUID]) -> Finding:
    subject, detail = statement.name.lower().replace("_", " "), f"{len(rows) or 'none'} found"
    match statement:
        case Statement.INDEXES if missing := _INDEXES - {row["indexname"] for row in rows}:
            return fail(subject, f"missing: {', '.join(sorted(missing))}", "Make them again, as db/migrations does.")
        case Statement.LAST_JOBS if job_id and len(rows) < 5 and job_id not in {str(row["id"]) for row in rows}:
            return fail(subject, "the new job is not among them", "See that DATABASE_URL is the one of the service.")
        case Statement.LAST_JOBS:
            detail = ", ".join(row["status"] for row in rows) or detail
        case Statement.LAST_HOUR:
            detail = f"{len(rows)} made, for {sum(row['cost_credits'] or 0 for row in rows):.4f} credits"
        case Statement.WAITING if rows:
            return warn(subject, detail, "See the workers above; `imagejobs jobs ls --status queued` lists them.")
        case Statement.FAILED_UPLOADS if rows:
            kept = free_retries([row["id"] for row in rows if row["id"] in free])
            return warn(subject, detail, kept or "Their pictures are not kept any more: a retry buys again.")
    return ok(subject, detail)
