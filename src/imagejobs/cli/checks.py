"""What `doctor` looks at. Every check answers with findings; none of them stops the others."""

import os
import platform
import shutil
import stat
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from imagejobs import __version__
from imagejobs.app.storage_setup import Verdict, try_rules
from imagejobs.bootstrap import default_provider, load_providers, make_bucket_of, make_storage, supabase_project
from imagejobs.cli.database_state import DatabaseState, database_state
from imagejobs.cli.home import Home
from imagejobs.cli.local import located, opened
from imagejobs.cli.readiness import READY, readiness
from imagejobs.client import Backoff, Client, ClientError, JobQuery, Refused
from imagejobs.errors import ConfigurationError, ImageJobsError
from imagejobs.net.http import Outbound
from imagejobs.settings import Settings, load_settings

_LITTLE_BYTES = 1_000_000_000
_TOO_LITTLE_BYTES = 100_000_000
_CLOCK_SECONDS = 2.0
_UNAUTHENTICATED = 401
_FORBIDDEN = 403
_SKETCH = "sketch"
_CORRECT = "Correct it in the environment or in .env."


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at, and what to do about it."""

    level: Level
    subject: str
    detail: str
    advice: str = ""

    def document(self) -> dict[str, Any]:
        return asdict(self)


def _ok(subject: str, detail: str) -> Finding:
    return Finding(level=Level.OK, subject=subject, detail=detail)


def _warn(subject: str, detail: str, advice: str) -> Finding:
    return Finding(level=Level.WARN, subject=subject, detail=detail, advice=advice)


def _fail(subject: str, detail: str, advice: str = "") -> Finding:
    return Finding(level=Level.FAIL, subject=subject, detail=detail, advice=advice)


async def examine() -> list[Finding]:
    """Every finding, in the order in which they depend on one another."""
    findings = [_ok("versions", f"imagejobs {__version__}, Python {platform.python_version()}, {platform.platform()}")]
    try:
        settings = load_settings()
    except ConfigurationError as error:
        return findings + [
            _fail("settings", problem, "Correct it in the environment or in .env.") for problem in error.problems
        ]
    findings.append(_ok("settings", "readable"))
    for check in (_data_directory, _database, _storage, provider_findings, _service):
        findings += [finding async for finding in check(settings)]
    return findings


async def _data_directory(settings: Settings) -> AsyncIterator[Finding]:
    path = Home(settings.data_dir).path
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    if existing != path:
        yield _ok("data", f"{path} is not there yet; `imagejobs up` makes it")
    elif path.stat().st_mode & stat.S_IWOTH:
        yield _warn("data", f"every user may write to {path}", f"chmod o-w {path}")
    else:
        yield _ok("data", str(path))
    yield _disk(existing)


def _disk(path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    detail = f"{free / 1e9:.1f} GB free at {path}"
    if free < _TOO_LITTLE_BYTES:
        return _fail("disk", detail, "Make room: pictures and database cannot be written any more.")
    if free < _LITTLE_BYTES:
        return _warn("disk", detail, "Make room soon.")
    return _ok("disk", detail)


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    if settings.database_url is None and not Home(settings.data_dir).has_database():
        yield _warn("database", "none yet: DATABASE_URL is not set", "Run `imagejobs up`, which brings its own; or set it.")
        return
    try:
        with located(settings) as found:
            state = await _read_state(found.settings)
    except ConfigurationError as error:
        for problem in error.problems:
            yield _fail("database", problem)
    except ImageJobsError as error:
        yield _fail("database", error.detail)
    else:
        for finding in _judged(state, found.files):
            yield finding


async def _read_state(settings: Settings) -> DatabaseState:
    async with opened(settings) as database, database.connection() as connection:
        return await database_state(connection)


def _judged(state: DatabaseState, files: Path | None) -> list[Finding]:
    where = "from DATABASE_URL" if files is None else f"embedded, its files in {files}"
    findings = [_ok("database", f"PostgreSQL {state.version}, {where}, fsync {state.fsync}")]
    if abs(state.clock_ahead_seconds) > _CLOCK_SECONDS:
        advice = "Let both machines keep time by NTP; deadlines and waits go by the database's clock."
        findings.append(_warn("clock", f"the database's clock differs by {state.clock_ahead_seconds:+.1f} s", advice))
    else:
        findings.append(_ok("clock", f"the database's differs by {state.clock_ahead_seconds:+.3f} s"))
    if state.schema < state.schema_needed:
        detail = f"at {state.schema}, this version needs {state.schema_needed}"
        return [*findings, _fail("schema", detail, "Run `imagejobs migrate`.")]
    return [*findings, _ok("schema", f"at {state.schema}, needed {state.schema_needed}"), _engine(state), *_work(state)]


def _engine(state: DatabaseState) -> Finding:
    match state.queue_persistence:
        case "p":
            return _ok("engine", "its queue is there, and durable")
        case None:
            return _fail("engine", "its queue is missing", "Run `imagejobs migrate`.")
        case _:
            return _fail("engine", "its queue is not durable", "ALTER TABLE imagejobs.pgqueuer SET LOGGED;")


def _work(state: DatabaseState) -> list[Finding]:
    workers = _ok("workers", f"{state.workers_seen} seen within the last minute")
    if state.workers_seen == 0:
        workers = _warn("workers", "none was seen within the last minute", "Run `imagejobs up` or `imagejobs worker`.")
    if state.jobs_waiting_long == 0:
        return [workers, _ok("jobs", "none has been waiting for more than five minutes")]
    detail = f"{state.jobs_waiting_long} have been waiting for more than five minutes"
    return [
        workers,
        _warn("jobs", detail, "Start workers, or more of them; `imagejobs jobs ls --status queued` lists them."),
    ]


async def _storage(settings: Settings) -> AsyncIterator[Finding]:
    path = Home(settings.data_dir).path / "files"
    is_on_disk = supabase_project(settings) is None and settings.storage_url is None
    if is_on_disk and not path.exists():
        yield _unmade_storage(path)
        return
    storage = make_storage(settings)
    try:
        health = await storage.check()
    finally:
        await storage.close()
    yield _ok("storage", f"{storage.name}: {health.detail}") if health.ok else _fail("storage", health.detail)
    if health.ok:
        async for finding in _rules(settings):
            yield finding


async def _rules(settings: Settings) -> AsyncIterator[Finding]:
    """Who may read and write in the bucket, tried rather than read."""
    outbound = Outbound()
    try:
        if (bucket := make_bucket_of(settings, outbound)) is None:
            return
        steps = [step async for step in try_rules(bucket)]
    finally:
        await outbound.close()
    for step in steps:
        if step.verdict is Verdict.FAIL:
            yield _fail("policies", step.detail, step.advice)
    if all(step.verdict is Verdict.OK for step in steps):
        detail = f"{len(steps)} rules hold: the service role writes, everyone reads, a stranger may do nothing else"
        untried = "; set SUPABASE_ANON_KEY to try that key too" if settings.supabase_anon_key is None else ""
        yield _ok("policies", detail + untried)


def _unmade_storage(path: Path) -> Finding:
    """The folder is left to the first picture: looking must not make it."""
    existing = next(parent for parent in path.parents if parent.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return _ok("storage", f"{path} is not there yet; the first picture makes it")
    return _fail("storage", f"{path} is not there, and cannot be made in {existing}", "Give this user access to it.")


async def provider_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Each provider, asked free of charge, and who gets the jobs that name no model."""
    try:
        providers = load_providers(settings)
    except ConfigurationError as error:
        yield _fail("providers", error.detail, _CORRECT)
        return
    for provider in providers.values():
        try:
            health = await provider.check()
        finally:
            await provider.close()
        key = f"IMAGEJOBS_{provider.name.upper()}_API_KEY"
        advice = f"Jobs for it will fail until this is put right. Its key is set by {key}, or as the settings page says."
        yield _ok(provider.name, health.detail) if health.ok else _fail(provider.name, health.detail, advice)
    yield _default_provider(settings, list(providers))


def _default_provider(settings: Settings, names: list[str]) -> Finding:
    """Who gets the jobs that name no model."""
    subject, chosen = "default provider", settings.default_provider
    known = ", ".join(names) or "none"
    if chosen is not None:
        if chosen in names:
            return _ok(subject, f"{chosen}, from IMAGEJOBS_DEFAULT_PROVIDER")
        return _fail(subject, f"IMAGEJOBS_DEFAULT_PROVIDER is {chosen}, there is {known}", _CORRECT)
    paid = [name for name in names if name != _SKETCH]
    if (found := default_provider(settings, names)) is not None:
        return _ok(subject, f"{found}, {'the only paid one' if len(paid) == 1 else f'which comes first among {known}'}")
    if paid:
        choice = " or ".join(f"IMAGEJOBS_DEFAULT_PROVIDER={name}" for name in paid)
        return _warn(subject, f"none chosen among {known}: jobs without a model will fail", f"Set {choice}.")
    if settings.database_url is None or Home(settings.data_dir).running() is not None:
        return _ok(subject, f"{_SKETCH}, which `imagejobs up` chooses where no paid one is configured")
    return _warn(
        subject,
        "none chosen: under `imagejobs api` and `imagejobs worker`, jobs without a model will fail",
        f"Set IMAGEJOBS_DEFAULT_PROVIDER={_SKETCH}, which is free, or configure a paid one; `imagejobs up` does so.",
    )


async def _service(settings: Settings) -> AsyncIterator[Finding]:
    home = Home(settings.data_dir)
    running = home.running()
    url = settings.url or (running.url if running else None)
    if url is None:
        yield _warn("service", "no `imagejobs up` uses this data directory", "Run it, or set IMAGEJOBS_URL.")
        return
    status = readiness(url)
    if status is None:
        yield _fail("service", f"{url} does not answer", "Is it running, and is the address right?")
        return
    if status == READY:
        yield _ok("service", f"{url} is ready")
    else:
        yield _fail("service", f"{url}/readyz answers {status}", "Its log says why; mostly its database is away.")
    is_local = running is not None and url.rstrip("/") == running.url
    yield _key(url, settings.api_key, home.read_admin_key(mend=False) if is_local else None)


def _key(url: str, chosen: str | None, kept: str | None) -> Finding:
    """Whether the service takes the key that the commands send: the chosen one, else the kept one."""
    key, source = (chosen, "IMAGEJOBS_API_KEY") if chosen is not None else (kept, "the admin key of the data directory")
    if key is None:
        return _warn("key", f"none for {url} is known", "Set IMAGEJOBS_API_KEY; `imagejobs keys create` makes one.")
    try:
        with Client(url, key, backoff=Backoff(attempts=1)) as client:
            client.jobs(JobQuery(limit=1))
    except Refused as refusal:
        if refusal.status not in (_UNAUTHENTICATED, _FORBIDDEN):
            return _warn("key", f"could not be tried: {refusal}", "Run `imagejobs doctor` again in a while.")
        advice = "Set another one; `imagejobs keys ls` lists the good ones, `imagejobs keys create` makes one."
        return _fail("key", f"{url} does not take {source}: {refusal}", advice)
    except ClientError as error:
        return _warn("key", f"could not be tried: {error}", "Is IMAGEJOBS_URL the address of an imagejobs service?")
    return _ok("key", f"{url} takes {source}")
