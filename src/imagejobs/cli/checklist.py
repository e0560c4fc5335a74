"""`imagejobs checklist`: the guide's checklist, ticked."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated

import typer

from imagejobs.app.findings import Finding, Level, fail, ok, warn
from imagejobs.cli.check_picture import picture_findings, request_of
from imagejobs.cli.check_table import table_findings
from imagejobs.cli.checks import examine
from imagejobs.cli.console import AsJson, command_app
from imagejobs.cli.findings import collected, report
from imagejobs.cli.readiness import lets_in
from imagejobs.cli.remote import client_of
from imagejobs.client import ClientError
from imagejobs.settings import load_settings

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
