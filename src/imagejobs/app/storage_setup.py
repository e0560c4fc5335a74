"""Storage setup: the bucket and its rules made, and everything that a public picture needs tried rather than believed."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from imagejobs.db import storage_policies
from imagejobs.db.pool import Database
from imagejobs.errors import DatabaseUnavailable, StorageError
from imagejobs.net.http import AnswerLost, AnswerTooLarge, NotSent, Outbound, OutboundRequest
from imagejobs.ports import Bucket, Storage, Trial

_PROBE = b"imagejobs"
_SECONDS = 15.0
_PASTE = "paste the statements below into Supabase's SQL editor"


class Verdict(StrEnum):
    """How a step went."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that was done or tried."""

    verdict: Verdict
    subject: str
    detail: str
    advice: str = ""

    def document(self) -> dict[str, Any]:
        return asdict(self)


def ok(subject: str, detail: str) -> Step:
    """It is as it should be."""
    return Step(verdict=Verdict.OK, subject=subject, detail=detail)


def warn(subject: str, detail: str, advice: str) -> Step:
    """It may do as it is; `advice` says what is missing."""
    return Step(verdict=Verdict.WARN, subject=subject, detail=detail, advice=advice)


def fail(subject: str, detail: str, advice: str = "") -> Step:
    """It does not hold."""
    return Step(verdict=Verdict.FAIL, subject=subject, detail=detail, advice=advice)


async def make_bucket(bucket: Bucket) -> Step:
    """C1: the public bucket; again is harmless."""
    try:
        return ok("bucket", f"{bucket.name} {await bucket.ensure()}")
    except StorageError as error:
        return fail("bucket", error.detail)


async def apply_policies(database: Database, bucket: str) -> Step:
    """C2: the four policies in one transaction, where the database is the project's and the role may; else a warning."""
    try:
        async with database.connection() as connection:
            if not await storage_policies.has_storage(connection):
                return warn("policies", "not applied: DATABASE_URL names no Supabase database", _PASTE)
        async with database.transaction() as tx:
            await storage_policies.apply(tx, bucket)
    except storage_policies.PoliciesRefused as error:
        return warn("policies", f"not applied: {error}", _PASTE)
    except DatabaseUnavailable as error:
        return warn("policies", f"not applied: {error.detail}", _PASTE)
    return ok("policies", "applied: the service role writes, everyone reads")


def policies_unapplied() -> Step:
    """The step of a setup without the project's database."""
    return warn("policies", "not applied: DATABASE_URL is not set", _PASTE)


def policies_sql(bucket: str) -> str:
    """The same policies for pasting."""
    return "".join(f"{statement};\n" for statement in storage_policies.statements(bucket))


async def try_rules(bucket: Bucket) -> AsyncIterator[Step]:
    """Each rule of the bucket, tried on objects that are removed again."""
    try:
        for trial in await bucket.trials():
            yield _step_of(trial)
    except StorageError as error:
        yield fail("tried", error.detail)


def _step_of(trial: Trial) -> Step:
    if trial.holds is None:
        return warn("tried", f"{trial.rule}: not tried", _ANON_KEY)
    return ok("tried", trial.rule) if trial.holds else fail("tried", f"{trial.rule}: {trial.detail or 'no'}", _SETUP)


_ANON_KEY = "Set SUPABASE_ANON_KEY (the project's anon or sb_publishable_ key), and run this again."
_SETUP = "Run `imagejobs storage setup`; if it goes on, look for other policies on storage.objects."


async def try_storage(storage: Storage, outbound: Outbound) -> AsyncIterator[Step]:
    """Whether an object can be stored, opens without a key at its public address, and can be removed."""
    key = f"imagejobs-probe/{secrets.token_hex(12)}.png"
    try:
        await storage.put(key, _PROBE, "image/png")
        yield ok("tried", "an object is stored")
        yield await _opens(storage.public_url(key), outbound)
        await storage.delete(key)
        yield ok("tried", "the object is removed")
    except StorageError as error:
        yield fail("tried", error.detail)


async def _opens(url: str, outbound: Outbound) -> Step:
    request = OutboundRequest(method="GET", url=url, deadline_seconds=_SECONDS, is_repeatable=True)
    place = url.rpartition("/imagejobs-probe/")[0]
    advice = "Let everyone read the objects there, or name another address in IMAGEJOBS_STORAGE_PUBLIC_URL."
    try:
        answer = await outbound.send(request)
    except (NotSent, AnswerLost, AnswerTooLarge) as error:
        return fail("tried", f"{place} does not answer: {error}", advice)
    if answer.status == 200 and answer.body == _PROBE:
        return ok("tried", f"it opens in a browser, at {place}/…")
    return fail("tried", f"{place} answers {answer.status} to a reader without a key", advice)
