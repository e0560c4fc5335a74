"""What `doctor` looks at. Every check answers with findings; none of them stops the others."""

import platform
import shutil
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from imagejobs import __version__
from imagejobs.bootstrap import load_providers, make_storage
from imagejobs.cli.database_state import DatabaseState, database_state
from imagejobs.cli.home import Home
from imagejobs.cli.local import opened, with_database
from imagejobs.cli.readiness import READY, readiness
from imagejobs.errors import ConfigurationError, ImageJobsError
from imagejobs.settings import Settings, load_settings

_LITTLE_BYTES = 1_000_000_000
_TOO_LITTLE_BYTES = 100_000_000
_CLOCK_SECONDS = 2.0
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
    for check in (_data_directory, _database, _storage, _providers, _service):
        findings += [finding async for finding in check(settings)]
    return findings


async def _data_directory(settings: Settings) -> AsyncIterator[Finding]:
    path = Home(settings.data_dir).path
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    if existing != path:
        yield _ok("data", f"{path} is not there yet; `imagejobs up` makes it")
    elif path.stat().st_mode & 0o077:
        yield _warn("data", f"{path} is open to other users", f"chmod 700 {path}")
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
        with with_database(settings) as located:
            state = await _read_state(located)
    except ConfigurationError as error:
        for problem in error.problems:
            yield _fail("database", problem)
    except ImageJobsError as error:
        yield _fail("database", error.detail)
    else:
        for finding in _judged(settings, state):
            yield finding


async def _read_state(settings: Settings) -> DatabaseState:
    async with opened(settings) as database, database.connection() as connection:
        return await database_state(connection)


def _judged(settings: Settings, state: DatabaseState) -> list[Finding]:
    where = "embedded" if settings.database_url is None else "from DATABASE_URL"
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
    storage = make_storage(settings)
    try:
        health = await storage.check()
    finally:
        await storage.close()
    yield _ok("storage", f"{storage.name}: {health.detail}") if health.ok else _fail("storage", health.detail)


async def _providers(settings: Settings) -> AsyncIterator[Finding]:
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
        advice = "Jobs for it will fail until this is put right."
        yield _ok(provider.name, health.detail) if health.ok else _fail(provider.name, health.detail, advice)
    if settings.default_provider is not None and settings.default_provider not in providers:
        known = ", ".join(providers) or "none"
        yield _fail("providers", f"IMAGEJOBS_DEFAULT_PROVIDER is {settings.default_provider}, there is {known}")


async def _service(settings: Settings) -> AsyncIterator[Finding]:
    running = Home(settings.data_dir).running()
    url = settings.url or (running.url if running else None)
    if url is None:
        yield _warn("service", "no `imagejobs up` uses this data directory", "Run it, or set IMAGEJOBS_URL.")
        return
    status = readiness(url)
    if status == READY:
        yield _ok("service", f"{url} is ready")
    elif status is None:
        yield _fail("service", f"{url} does not answer", "Is it running, and is the address right?")
    else:
        yield _fail("service", f"{url}/readyz answers {status}", "Its log says why; mostly its database is away.")
