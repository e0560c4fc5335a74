"""`imagejobs generate`: pictures from a prompt."""

import re
import sys
from typing import Annotated, Any
from uuid import uuid4

import typer

from imagejobs.cli.console import command_app, credits_of, print_either, printable
from imagejobs.cli.exits import ExitCode
from imagejobs.cli.pictures import PictureOptions
from imagejobs.cli.remote import connected
from imagejobs.cli.waiting import OutputOption, TimeoutOption, WaitOption, wait_and_report
from imagejobs.client import Quote, Submission

app = command_app()

JobTypeOption = Annotated[
    str | None, typer.Option(help="What the picture is for [generate; edit with --source, inpaint with a mask too].")
]
ReferenceOption = Annotated[
    list[str] | None,
    typer.Option(help="A picture to resemble; `:style` behind it: in its style only.", metavar="FILE|URL[:style]"),
]
SourceOption = Annotated[str | None, typer.Option(help="The picture to change.", metavar="FILE|URL|JOB")]
MaskOption = Annotated[
    str | None, typer.Option(help="Which part of the source to change, as a picture of its size.", metavar="FILE|URL")
]
MaskDescriptionOption = Annotated[str | None, typer.Option(help="Which part of the source to change, in words.")]
KeyOption = Annotated[
    str | None, typer.Option(help="The same key and request never make a second job [a new key each time].")
]

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


FallbackOption = Annotated[
    list[str] | None, typer.Option(help="A model to go on to where the first cannot; may be repeated.", metavar="MODEL")
]


@app.command()
def generate(
    prompt: Annotated[str, typer.Argument(help="What to draw; `-` reads it from standard input.", show_default=False)],
    *,
    output: OutputOption = None,
    wait: WaitOption = True,
    size: Annotated[str | None, typer.Option(help="Width and height in pixels, as `1024x768`.", metavar="WxH")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed and prompt draw the same, where the model can.")] = None,
    model: Annotated[str | None, typer.Option(help="`provider`, `provider:model` or an alias.")] = None,
    fallback: FallbackOption = None,
    count: Annotated[int, typer.Option("-n", help="How many pictures.", min=1)] = 1,
    project: Annotated[str, typer.Option(help="The project that the job belongs to.")] = "default",
    job_type: JobTypeOption = None,
    reference: ReferenceOption = None,
    source: SourceOption = None,
    mask: MaskOption = None,
    mask_description: MaskDescriptionOption = None,
    style: Annotated[str | None, typer.Option(help="The project's style capsule that it wears.")] = None,
    quote: Annotated[bool, typer.Option("--quote", help="Say what it would cost, and make nothing.")] = False,
    idempotency_key: KeyOption = None,
    timeout: TimeoutOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for each job.")] = False,
) -> None:
    """Make a picture: the job, how it moves, and in the end its public address, its file and its cost.

    The service is the one that IMAGEJOBS_URL and IMAGEJOBS_API_KEY name, else the `up` that runs here. Addresses and files
    go to stdout, all else to stderr. A service that goes away meanwhile is waited for: until --timeout, else five minutes.
    Ctrl-C leaves the job running and says how to come back to it.

    ```
    imagejobs generate "a red fox in snow" -o pictures
    imagejobs generate "a lighthouse" --size 1024x768 -n 3 --quote
    echo "a quiet harbor" | imagejobs generate - --no-wait
    imagejobs generate "the fox at night" --source fox.png --reference etching.jpg:style
    ```
    """
    pictures = PictureOptions(references=reference or (), source=source, mask=mask, mask_description=mask_description)
    named = {"projectId": project, "jobType": job_type or pictures.job_type(), "visualStyleCapsuleId": style, "n": count}
    request = _request(prompt, size, {**named, "model": model, "fallback": fallback or None, "seed": seed})
    with connected(as_json=as_json) as client:
        request |= pictures.fields(client, project)
        if quote:
            _print_quote(client.quote(request), as_json=as_json)
            return
        submission = client.generate(request, idempotency_key=idempotency_key or str(uuid4()))
        _say_accepted(submission, is_waiting=wait)
        if wait:
            ids = [job.id for job in submission.jobs]
            wait_and_report(client, ids, timeout_seconds=timeout, directory=output, as_json=as_json)
        else:
            print_either(submission.raw, "\n".join(job.id for job in submission.jobs), as_json=as_json)


def _request(prompt: str, size: str | None, named: dict[str, Any]) -> dict[str, Any]:
    width, height = _pixels(size)
    words = sys.stdin.read().strip() if prompt == "-" else prompt
    wanted = {**named, "branchId": "main", "prompt": words, "width": width, "height": height}
    return {name: value for name, value in wanted.items() if value is not None}


def _say_accepted(submission: Submission, *, is_waiting: bool) -> None:
    job_ids = " ".join(job.id for job in submission.jobs)
    if submission.is_replay:
        print(f"This idempotency key named that job before: {job_ids}", file=sys.stderr)
    elif is_waiting:
        print(f"Accepted: {job_ids}", file=sys.stderr)


def _print_quote(quote: Quote, *, as_json: bool) -> None:
    """The price on stdout; ends with the exit code of a cap or a failed job where something would stop it."""
    size = f"{quote.raw['width']}x{quote.raw['height']}"
    price = f"{credits_of(quote.total)} for {quote.raw['n']} of {size} by {quote.model or 'nobody'}"
    print_either(quote.raw, price, as_json=as_json)
    if quote.obstacle is None:
        return
    print(f"imagejobs: {printable(quote.obstacle['message'])}", file=sys.stderr)
    raise typer.Exit(ExitCode.CAP_REACHED if quote.obstacle["reason"] == "budget_exhausted" else ExitCode.JOB_FAILED)


def _pixels(size: str | None) -> tuple[int | None, int | None]:
    if size is None:
        return None, None
    match = _SIZE.fullmatch(size.lower())
    if match is None:
        raise typer.BadParameter("must look like 1024x768, each edge with five digits at most", param_hint="--size")
    return int(match[1]), int(match[2])
