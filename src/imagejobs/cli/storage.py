"""`imagejobs storage`: the place of the pictures, made and tried."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from imagejobs.app.findings import Finding, Level, fail, ok, warn
from imagejobs.app.storage_setup import apply_policies, make_bucket, policies_sql, try_rules, try_storage
from imagejobs.bootstrap import make_bucket_of, make_storage, storage_place, supabase_project
from imagejobs.cli.console import AsJson, command_app
from imagejobs.cli.exits import ExitCode
from imagejobs.cli.findings import collected, report
from imagejobs.cli.home import Home
from imagejobs.cli.local import opened
from imagejobs.errors import ConfigurationError, StorageError, StorageKeyRejected, StorageRejected
from imagejobs.net.http import Outbound
from imagejobs.ports import Bucket
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


_SERVICE_ROLE = "service_role"
_SET_KEY = "Set SUPABASE_SERVICE_ROLE_KEY to the project's service_role or sb_secret_ key, and restart."
_SETUP = "Run `imagejobs storage setup`; if it stays, see that SUPABASE_URL and the bucket's name are right."
_AWAY = "See that SUPABASE_URL is right and the network lets us through; else look at the project's status page."
_OWN = "See `imagejobs storage verify`, and the address and credentials in the settings."
_DISK = "Give this user access to the directory, or make room on its disk."


async def storage_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Whether pictures can be stored where the settings say, and open for everyone."""
    outbound = Outbound()
    try:
        bucket = make_bucket_of(settings, outbound)
        found = _own(settings, outbound) if bucket is None else _supabase(settings, bucket)
        async for finding in found:
            yield finding
    finally:
        await outbound.close()


async def _own(settings: Settings, outbound: Outbound) -> AsyncIterator[Finding]:
    path = Home(settings.data_dir).path / "files"
    is_on_disk = settings.storage_url is None
    if is_on_disk and not path.exists():
        yield _unmade(path)
        return
    storage = make_storage(settings)
    try:
        health = await storage.check()
        if not health.ok:
            yield fail("storage", health.detail, _DISK if is_on_disk else _OWN)
            return
        yield ok("storage", f"{storage.name}: {health.detail}")
        if not is_on_disk:
            async for finding in try_storage(storage, outbound):
                yield finding
    finally:
        await storage.close()


def _unmade(path: Path) -> Finding:
    """The folder is left to the first picture: looking must not make it."""
    existing = next(parent for parent in path.parents if parent.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return ok("storage", f"{path} is not there yet; the first picture makes it")
    return fail("storage", f"{path} is not there, and cannot be made in {existing}", "Give this user access to it.")


async def _supabase(settings: Settings, bucket: Bucket) -> AsyncIterator[Finding]:
    """The key and its role, the bucket, and the rules of the four policies, each tried."""
    project = supabase_project(settings)
    role = project.role if project else None
    try:
        if role not in (None, _SERVICE_ROLE):
            raise StorageKeyRejected(f"SUPABASE_SERVICE_ROLE_KEY is a key of the role {role}")
        health = await bucket.health()
    except StorageKeyRejected as error:
        yield fail("storage key", error.detail, _SET_KEY)
        yield warn("bucket", "it and its rules were not looked at: the key is of no use for that", "Correct the key first.")
    except StorageRejected as error:
        yield fail("bucket", error.detail, _SETUP)
    except StorageError as error:
        yield fail("storage", error.detail, _AWAY)
    else:
        yield ok("storage key", "Supabase takes it" + (f", of the role {role}" if role else ""))
        yield ok("bucket", health.detail) if health.ok else fail("bucket", health.detail, _SETUP)
        async for finding in try_rules(bucket):
            yield finding
