"""`imagejobs jobs`: list, show, watch, retry, cancel, priority, resolve."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import typer

from imagejobs.cli.console import command_app, credits_of, instant_of, print_either, print_json, print_table, printable
from imagejobs.cli.remote import connected
from imagejobs.cli.waiting import OutputOption, TimeoutOption, WaitOption, wait_and_report
from imagejobs.client import Canceled, Client, Job, JobQuery, Retried

app = command_app(no_args_is_help=True, help="List, show, watch, prioritize, retry, cancel, resolve jobs.")

_PAGE = 100
_LONGEST_PROMPT = 60

JobId = Annotated[str, typer.Argument(help="The job's id.", show_default=False)]


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
    elif not jobs:
        print("No jobs yet." if query == JobQuery(limit=query.limit) else "No such jobs.", file=sys.stderr)
    else:
        _print_table(jobs)


@app.command("get")
def get_job(
    job_id: JobId, as_json: Annotated[bool, typer.Option("--json", help="Print the job as the API gives it.")] = False
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
        print(f"{name:<24} {printable(_shown(name, value))}")


@app.command("watch")
def watch_jobs(
    job_ids: Annotated[list[str], typer.Argument(help="The ids of one or more jobs.", show_default=False)],
    output: OutputOption = None,
    timeout: TimeoutOption = None,
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


@app.command("retry")
def retry_job(
    job_id: JobId,
    *,
    wait: WaitOption = True,
    output: OutputOption = None,
    timeout: TimeoutOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Queue a failed job again under its id, and wait for it as `generate` does.

    Where the picture is paid for and only has to be stored, it is free; otherwise it is bought, within the budgets. The exit
    code is 2 if the job has not failed, and 6 if a budget leaves no room.

    ```
    imagejobs jobs retry 01a204ca-bc16-790b-bd72-338f7db0f40a -o pictures
    ```
    """
    with connected(as_json=as_json) as client:
        seen = max((event.seq for event in client.events(job_id)), default=0)
        retried = client.retry(job_id)
        print(_retried(retried), file=sys.stderr)
        if wait:
            after = {job_id: seen}
            wait_and_report(client, [job_id], timeout_seconds=timeout, directory=output, as_json=as_json, after=after)
        else:
            print_either(retried.raw, retried.job_id, as_json=as_json)


@app.command("cancel")
def cancel_job(
    job_id: JobId, as_json: Annotated[bool, typer.Option("--json", help="Print the receipt as the API gives it.")] = False
) -> None:
    """Stop a job, and say what it may cost.

    A job that waits is stopped at once and costs nothing. One whose provider is at work is stopped if the provider can; a
    picture that has to be paid for all the same is finished and kept. Again is harmless, and says how it stands by then. The
    exit code is 2 if the job has failed.

    ```
    imagejobs jobs cancel 01a204ca-bc16-790b-bd72-338f7db0f40a
    ```
    """
    with connected(as_json=as_json) as client:
        receipt = client.cancel(job_id)
    if as_json:
        print_json(receipt.raw)
        return
    if receipt.public_url is not None:
        print(receipt.public_url)
    print(f"{_CANCELED[receipt.outcome]}. {printable(receipt.detail)}{_may_cost(receipt)}", file=sys.stderr)


@app.command("priority", context_settings={"ignore_unknown_options": True})
def set_priority(
    job_id: JobId,
    priority: Annotated[int, typer.Argument(help="From -10 to 10; higher goes first.", min=-10, max=10, show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print the job as the API gives it.")] = False,
) -> None:
    """Move a job that waits within the queue.

    The exit code is 2 once a worker has it.

    ```
    imagejobs jobs priority 01a204ca-bc16-790b-bd72-338f7db0f40a 10
    ```
    """
    with connected(as_json=as_json) as client:
        job = client.set_priority(job_id, priority)
    if as_json:
        print_json(job.raw)
    else:
        print(f"{job.id} now has priority {job.raw['priority']}.", file=sys.stderr)


@app.command("resolve")
def resolve_job(
    job_id: JobId,
    billed: Annotated[
        bool, typer.Option("--billed/--not-billed", help="Whether the provider charged for it.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Say whether a job whose outcome is unknown was billed, as the provider's usage page shows.

    Its unknown spend is posted, or released. The job itself stays failed; `retry` runs it again. The exit code is 2 if
    nothing about its cost is unknown.

    ```
    imagejobs jobs resolve 01a204ca-bc16-790b-bd72-338f7db0f40a --not-billed
    ```
    """
    with connected(as_json=as_json) as client:
        resolved = client.resolve(job_id, billed=billed)
    words = f"Posted {credits_of(resolved.posted)}." if billed else "Released: nothing was charged."
    print_either(resolved.raw, words, as_json=as_json)


_CANCELED = {"stopped_before_spend": "Stopped before any spend", "stop_requested": "Stop requested", "too_late": "Too late"}


def _may_cost(receipt: Canceled) -> str:
    if receipt.outcome == "stopped_before_spend" or receipt.may_cost is None:
        return ""
    verb = "cost" if receipt.outcome == "too_late" else "may cost"
    return f" It {verb} {credits_of(receipt.may_cost)}."


def _retried(retried: Retried) -> str:
    price = "its cost is unknown" if retried.estimated is None else f"expected to cost {credits_of(retried.estimated)}"
    if retried.is_paid_already:
        price = "free: the picture is paid for and only has to be stored"
    return f"Queued again: {retried.job_id}, {price}."


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
        made = instant_of(job.created_at)
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


def _shown(name: str, value: Any) -> object:  # noqa: ANN401 - whatever JSON holds
    """A value as a person reads it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int() | float() if name.startswith("cost."):
            return f"{value:.4f}"
        case _:
            return value
