"""Where the commands that speak HTTP find the service, and how their calls end."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from imagejobs.cli.console import print_json, printable
from imagejobs.cli.exits import ExitCode
from imagejobs.cli.home import Home
from imagejobs.client import Client, ClientError, Interrupted, Job, Refused, Unreachable, WaitTimedOut
from imagejobs.settings import Settings, load_settings

_NEXT_STEPS: Mapping[type[ClientError], str] = {
    Unreachable: " Does it run? `imagejobs up` starts one here, `imagejobs doctor` looks for the fault.",
    Interrupted: " The job is completed: `imagejobs jobs watch` fetches its picture again. Where the address is one that is "
    "served no more, serve there again (`up --port`); for later ones set IMAGEJOBS_PUBLIC_URL to an address that stays.",
}
_BY_STATUS = {401: ExitCode.LOGIN, 403: ExitCode.LOGIN, 404: ExitCode.NOT_FOUND, 402: ExitCode.CAP_REACHED}


class NoService(ClientError):
    """Nothing says where the service is."""


class NoKey(ClientError):
    """Nothing says which key to send."""


@contextmanager
def connected(*, as_json: bool) -> Iterator[Client]:
    """A client of the service that the settings name, else of the `up` of the data directory.

    What goes wrong in the block is told, to a person or as a line of JSON, and ends the command with its exit code.
    """
    try:
        with client_of(load_settings()) as client:
            yield client
    except ClientError as error:
        raise typer.Exit(tell(error, as_json=as_json)) from error


def tell(error: ClientError, *, as_json: bool) -> ExitCode:
    """Say what went wrong and what to do, to a person and as a line of JSON; its exit code."""
    code = code_of_error(error)
    if as_json:
        print_json({"error": _document(error, code)})
    print(f"imagejobs: {printable(error)}{_NEXT_STEPS.get(type(error), '')}", file=sys.stderr)
    return code


def client_of(settings: Settings) -> Client:
    """The admin key of the data directory goes to the service that runs on it, and to no other."""
    home = Home(settings.data_dir)
    running = home.running()
    local_url = None if running is None else running.url
    url = settings.url or local_url
    if url is None:
        raise NoService(
            "No service is known here. Start one with `imagejobs up`, or set IMAGEJOBS_URL and IMAGEJOBS_API_KEY."
        )
    key = settings.api_key or (home.read_admin_key() if url.rstrip("/") == local_url else None)
    if key is None:
        raise NoKey(f"No key for {url} is known. Set IMAGEJOBS_API_KEY; `imagejobs keys create` makes one on the server.")
    return Client(url, key)


def code_of_error(error: ClientError) -> ExitCode:
    """The exit code for a call that did not succeed."""
    match error:
        case Refused(status=status):
            return _BY_STATUS.get(status, ExitCode.UNREACHABLE if status in (408, 429) or status >= 500 else ExitCode.USAGE)
        case NoKey():
            return ExitCode.LOGIN
        case WaitTimedOut():
            return ExitCode.WAIT_TIMED_OUT
        case Unreachable() | NoService() | Interrupted():
            return ExitCode.UNREACHABLE
        case _:
            return ExitCode.JOB_FAILED


def code_of_job(job: Job) -> ExitCode:
    """The exit code for a job that has ended."""
    if job.failure is None:
        return ExitCode.JOB_FAILED if job.status == "canceled" else ExitCode.OK
    if job.failure.billed == "unknown":
        return ExitCode.OUTCOME_UNKNOWN
    return ExitCode.CAP_REACHED if job.failure.reason == "budget_exhausted" else ExitCode.JOB_FAILED


def _document(error: ClientError, code: ExitCode) -> dict[str, Any]:
    document: dict[str, Any] = {"message": str(error), "exitCode": int(code)}
    if isinstance(error, Refused):
        document |= {"status": error.status, "code": error.code, "reason": error.reason}
    if isinstance(error, WaitTimedOut | Unreachable) and error.open_ids:
        document["openJobs"] = list(error.open_ids)
    return document
