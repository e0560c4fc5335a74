"""Following jobs to their end: shown while it lasts, saved and told when it is over."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from imagejobs.cli.advice import next_step
from imagejobs.cli.console import credits_of, print_json, printable
from imagejobs.cli.exits import ExitCode
from imagejobs.cli.progress import Progress
from imagejobs.cli.remote import code_of_job, tell
from imagejobs.client import Client, ClientError, Failure, Job, Refused, Wait

OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", help="Save the picture in this directory too.", file_okay=False)
]
TimeoutOption = Annotated[float | None, typer.Option(help="Wait no longer than so many seconds.", min=0)]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the picture, or print the job's id.")]

_NAME_LENGTH = 40
_NOT_FOUND = 404
_GRAVEST_FIRST = (ExitCode.OUTCOME_UNKNOWN, ExitCode.CAP_REACHED, ExitCode.JOB_FAILED, ExitCode.UNREACHABLE)


def wait_and_report(
    client: Client,
    job_ids: Sequence[str],
    *,
    timeout_seconds: float | None,
    directory: Path | None,
    as_json: bool,
    after: Mapping[str, int] | None = None,
) -> None:
    """Show how the jobs move, then save and print their pictures; ends the command with the gravest of their codes.

    `after` is the last event of each job that is not shown any more. A service that goes away is waited for. Ctrl-C, a
    timeout and a service that stays away leave the jobs running, and say how to come back to them.
    """
    progress = Progress(job_ids, sys.stderr)
    wait = Wait(client, timeout_seconds=timeout_seconds, on_silence=progress.tell_silence)
    try:
        with progress:
            for job_id, event in wait.follow(job_ids, after=after):
                progress.show(job_id, event)
        jobs = [wait.job(job_id) for job_id in job_ids]
    except KeyboardInterrupt:
        _tell_way_back(job_ids)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except ClientError as error:
        if not (isinstance(error, Refused) and error.status == _NOT_FOUND):
            _tell_way_back(job_ids)
        raise
    codes = {_report(client, job, directory, as_json=as_json) for job in jobs}
    raise typer.Exit(next((code for code in _GRAVEST_FIRST if code in codes), ExitCode.OK))


def _tell_way_back(job_ids: Sequence[str]) -> None:
    subject = "The job goes on" if len(job_ids) == 1 else "The jobs go on"
    print(f"{subject}; come back with: imagejobs jobs watch {' '.join(job_ids)}", file=sys.stderr)


def _report(client: Client, job: Job, directory: Path | None, *, as_json: bool) -> ExitCode:
    saved, trouble = None, None
    if directory is not None and job.public_url is not None:
        try:
            saved = client.download(job.public_url, directory, _file_name(job))
        except ClientError as error:
            trouble = error
    if as_json:
        outcome: dict[str, Any] = {**job.raw, "file": saved and str(saved), "seconds": job.seconds}
        print_json(outcome)
    elif job.public_url is not None:
        print(job.public_url)
    if saved is not None and not as_json:
        print(saved)
    print(_told(job), file=sys.stderr)
    return code_of_job(job) if trouble is None else tell(trouble, as_json=as_json)


def _file_name(job: Job) -> str:
    words = "-".join(re.findall("[a-z0-9]+", job.prompt.lower()))[:_NAME_LENGTH].strip("-")
    return f"{words or 'picture'}-{job.id[-12:]}"


def _told(job: Job) -> str:
    if job.failure is not None:
        return _failure_told(job, job.failure)
    if job.status == "canceled":
        return f"The job was canceled (job {job.id})."
    return f"Completed in {job.seconds or 0:.2f} s. Cost: {credits_of(job.actual_cost)} ({job.provider}, {job.model})."


def _failure_told(job: Job, failure: Failure) -> str:
    where = f", while {failure.stage}" if failure.stage else ""
    rows = [
        ("What happened", printable(failure.message)),
        ("Billed", failure.billed),
        ("Next", printable(next_step(job))),
        ("Job", job.id),
    ]
    lines = [f"  {name:<14} {text}" for name, text in rows]
    return "\n".join([f"The job failed: {failure.code}, {failure.reason}{where}.", *lines])
