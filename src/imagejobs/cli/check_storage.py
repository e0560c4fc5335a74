"""What `doctor` looks at where pictures are kept. Objects of its own are written, and removed again."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

from imagejobs.app.findings import Finding, fail, ok, warn
from imagejobs.app.storage_setup import try_rules, try_storage
from imagejobs.bootstrap import make_bucket_of, make_storage, supabase_project
from imagejobs.cli.home import Home
from imagejobs.errors import StorageError, StorageKeyRejected, StorageRejected
from imagejobs.net.http import Outbound
from imagejobs.ports import Bucket
from imagejobs.settings import Settings

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
    if role not in (None, _SERVICE_ROLE):
        yield fail("storage key", f"SUPABASE_SERVICE_ROLE_KEY is a key of the role {role}", _SET_KEY)
        yield _unseen()
        return
    try:
        health = await bucket.health()
    except StorageKeyRejected as error:
        yield fail("storage key", error.detail, _SET_KEY)
        yield _unseen()
        return
    except StorageRejected as error:
        yield fail("bucket", error.detail, _SETUP)
        return
    except StorageError as error:
        yield fail("storage", error.detail, _AWAY)
        return
    yield ok("storage key", "Supabase takes it" + (f", of the role {role}" if role else ""))
    yield ok("bucket", health.detail) if health.ok else fail("bucket", health.detail, _SETUP)
    async for finding in try_rules(bucket):
        yield finding


def _unseen() -> Finding:
    return warn("bucket", "it and its rules were not looked at: the key is of no use for that", "Correct the key first.")
