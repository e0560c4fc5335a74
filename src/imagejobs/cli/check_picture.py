"""What `checklist` tries over HTTP, as an application does: one job, from its price to its picture in a browser."""

import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from imagejobs.app.findings import Finding, fail, ok, warn
from imagejobs.cli.advice import next_step
from imagejobs.cli.console import credits_of
from imagejobs.cli.progress import Progress
from imagejobs.client import Client, Interrupted, Wait

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
