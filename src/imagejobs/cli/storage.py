"""`imagejobs storage`: the place of the pictures, made and tried."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import typer

from imagejobs.app.storage_setup import (
    Step,
    Verdict,
    apply_policies,
    fail,
    make_bucket,
    ok,
    policies_sql,
    policies_unapplied,
    try_rules,
    try_storage,
    warn,
)
from imagejobs.bootstrap import make_bucket_of, make_storage, storage_place
from imagejobs.cli.console import command_app, print_json, printable
from imagejobs.cli.exits import ExitCode
from imagejobs.cli.local import opened
from imagejobs.errors import ConfigurationError
from imagejobs.net.http import Outbound
from imagejobs.ports import Bucket
from imagejobs.settings import Settings, load_settings

app = command_app(no_args_is_help=True, help="Where pictures go: make the bucket, and try everything they need.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON for each step.")]


@app.command()
def setup(as_json: AsJson = False) -> None:
    """Make the public bucket and its rules, then try them. Again is harmless.

    With Supabase: the bucket (png, jpeg, webp; 10 MB), and four policies on storage.objects where DATABASE_URL names the
    project's database; else they are printed for pasting. An existing bucket keeps its limits. With another storage
    nothing is made: your bucket must be there.

    ```
    imagejobs storage setup
    ```
    """
    _run(_set_up, as_json=as_json)


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Try whether a picture can be stored, opens without a key, and is safe from strangers. Nothing stays.

    With Supabase a stranger's insert, change and removal are tried too, without a key and, if SUPABASE_ANON_KEY is set,
    with that one. The exit code is 1 if something does not hold.

    ```
    imagejobs storage verify
    ```
    """
    _run(_try, as_json=as_json)


Steps = Callable[[Settings, Outbound], AsyncIterator[Step]]


def _run(steps: Steps, *, as_json: bool) -> None:
    failed = asyncio.run(_report(steps, load_settings(), as_json=as_json))
    raise typer.Exit(ExitCode.JOB_FAILED if failed else ExitCode.OK)


async def _report(steps: Steps, settings: Settings, *, as_json: bool) -> bool:
    """Print each step as it is done; True where one failed."""
    failed, outbound = False, Outbound()
    try:
        async for step in steps(settings, outbound):
            failed = failed or step.verdict is Verdict.FAIL
            print_json(step.document()) if as_json else print(_line(step), flush=True)
    finally:
        await outbound.close()
    return failed


def _line(step: Step) -> str:
    first, *statements = step.advice.splitlines() or [""]
    advice = "\n".join([f"\n{'':<17}→ {printable(first)}" if first else "", *map(printable, statements)])
    return f"{step.verdict.value:<5} {step.subject:<10} {printable(step.detail)}{advice}"


async def _set_up(settings: Settings, outbound: Outbound) -> AsyncIterator[Step]:
    bucket = make_bucket_of(settings, outbound)
    yield ok("place", storage_place(settings))
    if bucket is None:
        yield ok("bucket", "nothing is made here: your own bucket or disk must be there")
    else:
        made = await make_bucket(bucket)
        yield made
        if made.verdict is Verdict.FAIL:
            return
        yield await _policies(settings, bucket)
    async for step in _tried(settings, bucket, outbound):
        yield step


async def _policies(settings: Settings, bucket: Bucket) -> Step:
    step = policies_unapplied()
    if settings.database_url is not None:
        try:
            async with opened(settings) as database:
                step = await apply_policies(database, bucket.name)
        except ConfigurationError as error:
            step = warn("policies", f"not applied: {error.detail}", step.advice)
    if step.verdict is Verdict.OK:
        return step
    return warn(step.subject, step.detail, f"{step.advice}:\n{policies_sql(bucket.name)}")


async def _try(settings: Settings, outbound: Outbound) -> AsyncIterator[Step]:
    yield ok("place", storage_place(settings))
    async for step in _tried(settings, make_bucket_of(settings, outbound), outbound):
        yield step


async def _tried(settings: Settings, bucket: Bucket | None, outbound: Outbound) -> AsyncIterator[Step]:
    storage = make_storage(settings)
    try:
        health = await storage.check()
        yield ok("check", health.detail) if health.ok else fail("check", health.detail)
        if not health.ok:
            return
        if bucket is not None:
            async for step in try_rules(bucket):
                yield step
        elif settings.storage_url is not None:
            async for step in try_storage(storage, outbound):
                yield step
    finally:
        await storage.close()
