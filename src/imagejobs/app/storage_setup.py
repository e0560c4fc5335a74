"""Storage setup: the bucket and its rules made, and everything that a public picture needs tried rather than believed."""

import secrets
from collections.abc import AsyncIterator

from imagejobs.app.findings import Finding, fail, ok, warn
from imagejobs.db import storage_policies
from imagejobs.db.pool import Database
from imagejobs.errors import DatabaseUnavailable, StorageError
from imagejobs.net.http import AnswerLost, AnswerTooLarge, NotSent, Outbound, OutboundRequest
from imagejobs.ports import Bucket, Storage, Trial

_PROBE = b"imagejobs"
_SECONDS = 15.0
_ANON_KEY = "Set SUPABASE_ANON_KEY (the project's anon or sb_publishable_ key), and run this again."
_SETUP = "Run `imagejobs storage setup`; if it goes on, look for other policies on storage.objects."


async def make_bucket(bucket: Bucket) -> Finding:
    """C1: the public bucket; again is harmless."""
    try:
        return ok("bucket", f"{bucket.name} {await bucket.ensure()}")
    except StorageError as error:
        return fail("bucket", error.detail)


async def apply_policies(database: Database, bucket: str) -> str | None:
    """C2: the four policies in one transaction, where the database is the project's and the role may; else why not."""
    try:
        async with database.connection() as connection:
            if not await storage_policies.has_storage(connection):
                return "DATABASE_URL names no Supabase database"
        async with database.transaction() as tx:
            await storage_policies.apply(tx, bucket)
    except storage_policies.PoliciesRefused as error:
        return str(error)
    except DatabaseUnavailable as error:
        return error.detail
    return None


def policies_sql(bucket: str) -> str:
    """The policies for pasting."""
    return "".join(f"{statement};\n" for statement in storage_policies.statements(bucket))


async def try_rules(bucket: Bucket) -> AsyncIterator[Finding]:
    """Each rule of the bucket, tried on objects that are removed again."""
    try:
        for trial in await bucket.trials():
            yield _judged(trial)
    except StorageError as error:
        yield fail("rule", error.detail, _SETUP)


def _judged(trial: Trial) -> Finding:
    if trial.holds is None:
        return warn("rule", f"{trial.rule}: not tried", _ANON_KEY)
    return ok("rule", trial.rule) if trial.holds else fail("rule", f"{trial.rule}: {trial.detail or 'no'}", _SETUP)


async def try_storage(storage: Storage, outbound: Outbound) -> AsyncIterator[Finding]:
    """Whether an object can be stored, opens without a key at its public address, and can be removed."""
    key = f"imagejobs-probe/{secrets.token_hex(12)}.png"
    try:
        await storage.put(key, _PROBE, "image/png")
        yield ok("rule", "an object is stored")
        yield await _opens(storage.public_url(key), outbound)
        await storage.delete(key)
        yield ok("rule", "the object is removed")
    except StorageError as error:
        yield fail("rule", error.detail, "See the address and the credentials in the settings.")


async def _opens(url: str, outbound: Outbound) -> Finding:
    request = OutboundRequest(method="GET", url=url, deadline_seconds=_SECONDS, is_repeatable=True)
    place = url.rpartition("/imagejobs-probe/")[0]
    advice = "Let everyone read the objects there, or name another address in IMAGEJOBS_STORAGE_PUBLIC_URL."
    try:
        answer = await outbound.send(request)
    except (NotSent, AnswerLost, AnswerTooLarge) as error:
        return fail("rule", f"{place} does not answer: {error}", advice)
    if answer.status == 200 and answer.body == _PROBE:
        return ok("rule", f"it opens in a browser, at {place}/…")
    return fail("rule", f"{place} answers {answer.status} to a reader without a key", advice)
