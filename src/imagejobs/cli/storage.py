"""`imagejobs storage`: the place of the pictures, made and tried."""

import asyncio
import sys
from collections.abc import AsyncIterator

from imagejobs.app.findings import Finding, Level, ok, warn
from imagejobs.app.storage_setup import apply_policies, make_bucket, policies_sql
from imagejobs.bootstrap import make_bucket_of, storage_place
from imagejobs.cli.check_storage import storage_findings
from imagejobs.cli.console import AsJson, command_app
from imagejobs.cli.exits import ExitCode
from imagejobs.cli.findings import collected, report
from imagejobs.cli.local import opened
from imagejobs.errors import ConfigurationError
from imagejobs.net.http import Outbound
from imagejobs.settings import Settings, load_settings

app = command_app(no_args_is_help=True, help="Where pictures go: make the bucket, and try everything they need.")

_PASTE = "Not needed while the rules above hold. To have them in words too, paste this into Supabase's SQL editor:"


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
    end = report(asyncio.run(collected("storage", _set_up(load_settings()))), as_json=as_json)
    if end.exit_code == ExitCode.OK and not as_json:
        print("Pictures can be kept there. Next: imagejobs up", file=sys.stderr)
    raise end


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Try whether a picture can be stored, opens without a key, and is safe from strangers. Nothing stays.

    With Supabase a stranger's insert, change and removal are tried too, without a key and, if SUPABASE_ANON_KEY is set,
    with that one. The exit code is 1 if something does not hold.

    ```
    imagejobs storage verify
    ```
    """
    raise report(asyncio.run(collected("storage", _verified(load_settings()))), as_json=as_json)


async def _set_up(settings: Settings) -> AsyncIterator[Finding]:
    yield ok("place", storage_place(settings))
    outbound, policies = Outbound(), ok("bucket", "nothing is made here: your own bucket or disk must be there")
    try:
        if (bucket := make_bucket_of(settings, outbound)) is not None:
            made = await make_bucket(bucket)
            yield made
            if made.level is Level.FAIL:
                return
            policies = await _policies(settings, bucket.name)
    finally:
        await outbound.close()
    async for finding in storage_findings(settings):
        yield finding
    yield policies


async def _policies(settings: Settings, bucket: str) -> Finding:
    obstacle: str | None = "DATABASE_URL is not set"
    if settings.database_url is not None:
        try:
            async with opened(settings) as database:
                obstacle = await apply_policies(database, bucket)
        except ConfigurationError as error:
            obstacle = error.detail
    if obstacle is None:
        return ok("policies", "applied: the service role writes, everyone reads")
    return warn("policies", f"not applied: {obstacle}", f"{_PASTE}\n{policies_sql(bucket)}")


async def _verified(settings: Settings) -> AsyncIterator[Finding]:
    yield ok("place", storage_place(settings))
    async for finding in storage_findings(settings):
        yield finding
