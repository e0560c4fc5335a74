"""Following jobs to their end: shown while it lasts, saved and told when it is over."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from imagejobs.cli.console import print_json, printable
from imagejobs.cli.exits import ExitCode
from imagejobs.cli.progress import Progress
from imagejobs.cli.remote import code_of_job
from imagejobs.client import Client, Failure, Job, follow

_NAME_LENGTH = 40
_GRAVEST_FIRST = (ExitCode.OUTCOME_UNKNOWN, ExitCode.CAP_REACHED, ExitCode.JOB_FAILED)


def wait_and_report(
    client: Client, job_ids: Sequence[str], *, timeout_seconds: float | None, directory: Path | None, as_json: bool
) -> None:
    """Show how the jobs move, then save and print their pictures; ends the command where one of them failed.

    Ctrl-C and a timeout leave the jobs running, and say how to come back to them.
    """
    progress = Progress(job_ids, sys.stderr)
    try:
        with progress:
            for job_id, event in follow(client, job_ids, timeout_seconds=timeout_seconds):
                progress.show(job_id, event)
    except KeyboardInterrupt:
        print(f"The job goes on. Come back to it: imagejobs jobs watch {' '.join(job_ids)}", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    jobs = [client.job(job_id) for job_id in job_ids]
    for job in jobs:
        _report(client, job, directory, as_json=as_json)
    codes = {code_of_job(job) for job in jobs}
    raise typer.Exit(next((code for code in _GRAVEST_FIRST if code in codes), ExitCode.OK))


def _report(client: Client, job: Job, directory: Path | None, *, as_json: bool) -> None:
    saved = None
    if directory is not None and job.public_url is not None:
        saved = client.download(job.public_url, directory, _file_name(job))
    if as_json:
        outcome: dict[str, Any] = {**job.raw, "file": saved and str(saved), "seconds": job.seconds}
        print_json(outcome)
    elif job.public_url is not None:
        print(job.public_url)
    if saved is not None and not as_json:
        print(saved)
    print(_told(job), file=sys.stderr)


def _file_name(job: Job) -> str:
    words = "-".join(re.findall("[a-z0-9]+", job.prompt.lower()))[:_NAME_LENGTH].strip("-")
    return f"{words or 'picture'}-{job.id[-12:]}"


def _told(job: Job) -> str:
    if job.failure is not None:
        return _failure_told(job, job.failure)
    if job.status == "canceled":
        return f"The job was canceled (job {job.id})."
    cost = "unknown" if job.actual_cost is None else f"{job.actual_cost:.6f} credits"
    return f"Completed in {job.seconds or 0:.2f} s. Cost: {cost} ({job.provider}, {job.model})."


def _failure_told(job: Job, failure: Failure) -> str:
    where = f", while {failure.stage}" if failure.stage else ""
    rows = [
        ("What happened", printable(failure.message)),
        ("Billed", failure.billed),
        ("Next", _next_step(failure)),
        ("Job", job.id),
    ]
    lines = [f"  {name:<14} {text}" for name, text in rows]
    return "\n".join([f"The job failed: {failure.code}, {failure.reason}{where}.", *lines])


def _next_step(failure: Failure) -> str:
    if failure.billed == "unknown":
        return "Look at the provider's own list of calls before you ask again: this one may have been charged."
    match failure.code:
        case "TEMPORARY" | "RATE_LIMIT":
            return "Ask again in a while; nothing needs to be changed."
        case "AUTH_ERROR":
            return "Put the provider's key right, then ask again; `imagejobs doctor` checks it free of charge."
        case "PERMANENT":
            return "Change the request as it says above; the same one would fail again."
        case _:
            return "The server's log says more; ask again once the cause is gone."
