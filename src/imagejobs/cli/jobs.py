"""`imagejobs jobs`: list, show, watch."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from imagejobs.cli.console import command_app, print_json, print_table, printable
from imagejobs.cli.remote import connected
from imagejobs.cli.waiting import wait_and_report
from imagejobs.client import Client, Job, JobQuery

app = command_app(no_args_is_help=True, help="List, show and watch jobs.")

_PAGE = 100
_LONGEST_PROMPT = 60


@app.command("ls")
def list_jobs(
    project: Annotated[str | None, typer.Option(help="Only this project's.")] = None,
    status: Annotated[str | None, typer.Option(help="Only those in this state, as `failed`.")] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="Only those of this job type.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    batch: Annotated[str | None, typer.Option(help="Only those of this batch.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for each job.")] = False,
) -> None:
    """List jobs, newest first.

    With a project, a state, a type, a tag or a batch, only those.

    ```
    imagejobs jobs ls --status failed
    imagejobs jobs ls --project film --limit 500 --json | jq -r .publicUrl
    ```
    """
    query = JobQuery(project_id=project, status=status, job_type=job_type, tag=tag, batch_id=batch, limit=min(limit, _PAGE))
    with connected(as_json=as_json) as client:
        jobs = list(_pages(client, query, limit))
    if as_json:
        for job in jobs:
            print_json(job.raw)
    else:
        _print_table(jobs)


@app.command("get")
def get_job(
    job_id: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print the job as the API gives it.")] = False,
) -> None:
    """Show one job, whatever became of it.

    It does not wait; `watch` does.

    ```
    imagejobs jobs get 01a204ca-bc16-790b-bd72-338f7db0f40a --json | jq .error
    ```
    """
    with connected(as_json=as_json) as client:
        job = client.job(job_id)
    if as_json:
        print_json(job.raw)
        return
    for name, value in _flat(job):
        print(f"{name:<24} {printable(value)}")


@app.command("watch")
def watch_jobs(
    job_ids: Annotated[list[str], typer.Argument(help="The ids of one or more jobs.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Save the picture in this directory too.", file_okay=False)
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Wait no longer than so many seconds.", min=0)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for each job.")] = False,
) -> None:
    """Wait for jobs that were made before, exactly as `generate` does.

    Everything is shown from their first event on, and Ctrl-C leaves them running.

    ```
    imagejobs jobs watch 01a204ca-bc16-790b-bd72-338f7db0f40a -o pictures
    ```
    """
    with connected(as_json=as_json) as client:
        wait_and_report(client, job_ids, timeout_seconds=timeout, directory=output, as_json=as_json)


def _pages(client: Client, query: JobQuery, limit: int) -> Iterator[Job]:
    while limit > 0:
        page = client.jobs(query)
        yield from page.jobs[:limit]
        limit -= len(page.jobs)
        if page.next_cursor is None:
            return
        query = replace(query, cursor=page.next_cursor)


def _print_table(jobs: list[Job]) -> None:
    rows = []
    for job in jobs:
        status = job.status if job.failure is None else f"{job.status}: {job.failure.reason}"
        cost = "" if job.actual_cost is None else f"{job.actual_cost:.4f}"
        made = f"{job.created_at.astimezone():%Y-%m-%d %H:%M:%S}"
        rows.append((job.id, status, made, job.job_type, cost, _one_line(job.prompt)))
    print_table(("job", "status", "made", "type", "cost", "prompt"), rows)


def _one_line(prompt: str) -> str:
    words = " ".join(prompt.split())
    return words if len(words) <= _LONGEST_PROMPT else words[: _LONGEST_PROMPT - 1] + "…"


def _flat(job: Job) -> Iterator[tuple[str, object]]:
    for name, value in job.raw.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", content) for inner, content in value.items())
        elif value not in (None, []):
            yield name, value
