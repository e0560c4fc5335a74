"""What `doctor` asks the database: the server, its clock, schema and queue, the work, the circuits, the policies."""

from collections.abc import AsyncIterator, Callable

from imagejobs.app.findings import Finding, fail, ok, warn
from imagejobs.bootstrap import key_fingerprints, supabase_project
from imagejobs.cli.advice import free_retries
from imagejobs.cli.home import Home
from imagejobs.cli.local import Located, located, opened
from imagejobs.cli.providers import advice_for
from imagejobs.cli.sign_in import ownership_finding
from imagejobs.db import condition, provider_state, storage_policies
from imagejobs.db.access import key_by_id
from imagejobs.db.condition import Pace, Staging, Work
from imagejobs.db.migrate import known_migrations, schema_version
from imagejobs.db.provider_state import OpenCircuit
from imagejobs.domain.access import parse_key
from imagejobs.errors import ImageJobsError, ProviderCreditExhausted, ProviderKeyRejected
from imagejobs.settings import Settings

_CLOCK_SECONDS = 5.0
_DRAWN_SECONDS = 30.0
_STORED_SECONDS = 5.0
_START = "Start the server or correct DATABASE_URL, then run `imagejobs doctor` again."
_OTHER = "Let IMAGEJOBS_URL, IMAGEJOBS_API_KEY and DATABASE_URL, or the data directory, be of one instance."
_NTP = "Let both machines keep time by NTP; deadlines and waits go by the database's clock."

Now = Callable[[], float]


async def database_findings(settings: Settings, now: Now) -> AsyncIterator[Finding]:
    """All of it, as far as it can be asked; `now` is this machine's Unix time."""
    if settings.database_url is None and not Home(settings.data_dir).has_database():
        yield warn("database", "none yet: DATABASE_URL is not set", "Run `imagejobs up`, which brings its own; or set it.")
        return
    try:
        with located(settings) as found:
            async for finding in _asked(found, now):
                yield finding
    except ImageJobsError as error:
        for problem in error.detail.splitlines():
            yield fail("database", problem, _START)


async def _asked(found: Located, now: Now) -> AsyncIterator[Finding]:
    async with opened(found.settings) as database, database.connection() as connection:
        before = now()
        server = await condition.server(connection)
        ahead = server.clock - (before + now()) / 2
        where = "from DATABASE_URL" if found.files is None else f"embedded, its files in {found.files}"
        yield ok("database", f"PostgreSQL {server.version}, {where}, fsync {server.fsync}")
        yield _clock(ahead)
        if (project := supabase_project(found.settings)) is not None and await storage_policies.has_storage(connection):
            yield _policies(await storage_policies.missing(connection, project.bucket))
        if found.settings.ownership_query is not None:
            yield await ownership_finding(database, found.settings.ownership_query)
        schema = await schema_version(connection)
        yield _schema(schema)
        yield _engine(server.queue_persistence)
        if schema > 0:
            key = parse_key(found.settings.api_key or "")
            if key is not None and await key_by_id(connection, key.id) is None:
                yield warn(
                    "service", "the service of IMAGEJOBS_API_KEY is another one: this database has no such key", _OTHER
                )
            for finding in _work(await condition.work(connection)):
                yield finding
            yield _pace(await condition.pace(connection))
            yield _staging(await condition.staging(connection), found.settings.staged_bytes_limit)
            for finding in _circuits(found.settings, await provider_state.open_circuits(connection)):
                yield finding


def _clock(ahead: float) -> Finding:
    if abs(ahead) > _CLOCK_SECONDS:
        return warn("clock", f"the database's clock differs by {ahead:+.1f} s", _NTP)
    return ok("clock", f"the database's differs by {ahead:+.3f} s")


def _schema(found: int) -> Finding:
    needed = known_migrations()[-1].number
    if found >= needed:
        return ok("schema", f"at {found}, needed {needed}")
    return fail("schema", f"at {found}, this version needs {needed}", "Run `imagejobs migrate`.")


def _policies(missing: list[str]) -> Finding:
    if not missing:
        return ok("policies", "all four are on storage.objects: the service role writes, everyone reads")
    advice = (
        "Run `imagejobs storage setup`, which makes them or prints them for pasting; without them, nothing says so in words."
    )
    return warn("policies", f"missing on storage.objects: {', '.join(missing)}", advice)


def _engine(persistence: str | None) -> Finding:
    if persistence is None:
        return fail("engine", "its queue is missing", "Run `imagejobs migrate`.")
    if persistence != "p":
        return fail("engine", "its queue is not durable", "ALTER TABLE imagejobs.pgqueuer SET LOGGED;")
    return ok("engine", "its queue is there, and durable")


def _work(work: Work) -> list[Finding]:
    workers = ok("workers", f"{work.workers_seen} seen within the last minute")
    if work.workers_seen == 0:
        workers = warn("workers", "none was seen within the last minute", "Run `imagejobs up` or `imagejobs worker`.")
    jobs = ok("jobs", "none waits for more than five minutes")
    if work.waiting:
        detail = f"{work.waiting} waiting for more than five minutes, the oldest for {_ago(work.oldest_waiting_seconds)}"
        advice = "Start workers, or more of them; `imagejobs jobs ls --status queued` lists them."
        jobs = warn("jobs", detail, advice)
    return [workers, jobs, _stuck(work)]


def _stuck(work: Work) -> Finding:
    if work.overdue + work.orphaned == 0:
        return ok("stuck jobs", "none")
    kinds = {"open long past the deadline": work.overdue, "running for a worker that is gone": work.orphaned}
    detail = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    start = "Start `imagejobs worker`" if work.workers_seen == 0 else "Restart the workers"
    advice = (
        f"{start}: they give such jobs back or end them within a minute. If one stays, `imagejobs jobs watch` says how far."
    )
    return fail("stuck jobs", f"{detail}; the oldest unchanged for {_ago(work.oldest_stuck_seconds)}", advice)


def _pace(pace: Pace) -> Finding:
    """F1: slow is no failure, but somebody should know."""
    if pace.pictures == 0:
        return ok("pace", "no picture in the last hour")
    drawn, stored = pace.generating_seconds, pace.uploading_seconds
    detail = f"{pace.pictures} in the last hour, 95 % drawn within {drawn:.1f} s and stored within {stored:.1f} s"
    if drawn <= _DRAWN_SECONDS and stored <= _STORED_SECONDS:
        return ok("pace", detail)
    where = "provider's" if drawn > _DRAWN_SECONDS else "storage's"
    advice = (
        f"Wanted are {_DRAWN_SECONDS:.0f} and {_STORED_SECONDS:.0f} s. Look at the {where} status page, or take another."
    )
    return warn("pace", detail, advice)


def _staging(staging: Staging, limit_bytes: int) -> Finding:
    if staging.waiting == 0 and staging.size_bytes < limit_bytes:
        return ok("staging", "no paid picture waits for the storage")
    oldest = f"the oldest for {_ago(staging.oldest_waiting_seconds)}"
    room = f"{staging.size_bytes / 1e6:.1f} of {limit_bytes / 1e6:.1f} MB"
    detail = f"paid pictures that wait for the storage: {staging.waiting}, {oldest}; {room}"
    advice = f"See that the storage is well. {free_retries(staging.free_retries) or 'Their jobs go on by themselves.'}"
    if staging.size_bytes >= limit_bytes:
        return fail("staging", f"{detail}: nothing more is bought", advice)
    return warn("staging", detail, advice)


def _circuits(settings: Settings, circuits: list[OpenCircuit]) -> list[Finding]:
    """Those of the keys in use here; another key starts with a closed one."""
    keys = key_fingerprints(settings, {circuit.account.provider for circuit in circuits})
    ours = [circuit for circuit in circuits if keys.get(circuit.account.provider) == circuit.account.fingerprint]
    return [_open(circuit) for circuit in ours] or [ok("circuits", "all closed: no provider is known not to work")]


def _open(circuit: OpenCircuit) -> Finding:
    provider = circuit.account.provider
    since = f"{provider}: open for {_ago(circuit.open_seconds)}"
    match circuit.reason:
        case ProviderKeyRejected.reason:
            why, advice = "it refused its key, so jobs fail at once", f"Set a good key and restart. {advice_for(provider)}"
        case ProviderCreditExhausted.reason:
            why = "its account has no credit left, so jobs fail at once"
            advice = f"Add credit at {provider}; one job a minute tries, and the first that works closes it."
        case _:
            why = f"jobs failed one after another ({circuit.reason}), so the others wait"
            advice = (
                f"Look at {provider}'s status page; one job every ten seconds tries, and the first that works closes it."
            )
    return fail("circuits", f"{since}: {why}", advice)


def _ago(seconds: float) -> str:
    """The time in the two units that matter."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {int(seconds) % 60} s"
