"""The composition root: settings in, wired `Deps` out. The only module that names an adapter.

It imports neither the web nor the worker, so that each process loads only what it runs.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import fields
from enum import StrEnum
from hashlib import sha256
from importlib.metadata import entry_points
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

from imagejobs.app.deps import Deps, Policy
from imagejobs.app.identifiers import new_id
from imagejobs.app.news import hear
from imagejobs.app.users import require_usable
from imagejobs.db.migrate import micros_per_credit_of, migrate, require_schema
from imagejobs.db.pool import UNREADABLE_ADDRESS, Database, PoolOptions
from imagejobs.domain.lanes import UNASSIGNED
from imagejobs.domain.retry import RetrySchedule
from imagejobs.engine.pgq import EngineOptions, PgqEngine, install
from imagejobs.errors import ConfigurationError, DatabaseUnavailable, StorageError
from imagejobs.imaging import Decoder
from imagejobs.net.guard import Guard
from imagejobs.net.http import Outbound
from imagejobs.ports import Bucket, Provider, ProviderFactory, Storage
from imagejobs.probes import probe_from
from imagejobs.settings import Settings
from imagejobs.spool import Spool
from imagejobs.storage.filesystem import FilesystemStorage
from imagejobs.storage.objectstore import CLOUD_VARIABLES, Address, ObjectStorage
from imagejobs.storage.rehearsal import MovedStorage, RehearsalStorage
from imagejobs.storage.supabase import Project, SupabaseBucket, SupabaseStorage

_GROUP = "imagejobs.providers"


class Role(StrEnum):
    """What a process is for; it decides how many connections and children it needs."""

    API = "api"
    WORKER = "worker"
    COMMAND = "command"


class SystemClock:
    """The clock of this machine."""

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def chance(self) -> float:
        return random.random()  # noqa: S311 - jitter


@asynccontextmanager
async def open_deps(settings: Settings, role: Role) -> AsyncIterator[Deps]:
    """Everything wired for one process; closed again when the block ends.

    Raises `ConfigurationError` for settings that cannot work and for a schema older than this version.
    """
    async with AsyncExitStack() as stack:
        database = await open_database(settings, role)
        stack.push_async_callback(database.close)
        async with database.connection() as connection:
            await require_schema(connection)
            micros_per_credit = await micros_per_credit_of(connection)
        if settings.ownership_query is not None and role is Role.API:
            await require_usable(database, settings.ownership_query)
        providers = load_providers(settings)
        for provider in providers.values():
            stack.push_async_callback(provider.close)
        storage = make_storage(settings)
        stack.push_async_callback(storage.close)
        if role is Role.WORKER:
            await _sweep_files(settings)
        decoder = Decoder(max_pixels=settings.max_picture_pixels)
        if role is Role.WORKER:
            await decoder.start()
        stack.push_async_callback(decoder.stop)  # the API starts it with the first upload
        guard = Guard(settings.outbound_allow)
        stack.push_async_callback(guard.close)
        worker_id = new_id()
        deps = Deps(
            database=database,
            engine=_engine(settings, providers, worker_id),
            providers=providers,
            storage=storage,
            files=_disk(settings),
            decoder=decoder,
            guard=guard,
            spool=Spool(settings.data_dir / "spool"),
            clock=SystemClock(),
            probe=probe_from(settings.armed_probes),
            policy=_policy(settings, providers, micros_per_credit),
            worker_id=worker_id,
            key_fingerprints=key_fingerprints(settings, providers),
        )
        if role is Role.API:
            listening = asyncio.create_task(
                hear(settings.direct_database_url or require_database_url(settings), deps.waiters)
            )
            stack.callback(listening.cancel)
        yield deps


def _engine(settings: Settings, providers: Iterable[str], worker_id: UUID) -> PgqEngine:
    options = EngineOptions(
        dsn=settings.direct_database_url or require_database_url(settings),
        worker_id=worker_id,
        lanes=(*providers, UNASSIGNED),
        concurrency=settings.concurrency,
        heartbeat_seconds=settings.heartbeat_seconds,
        dequeue_seconds=settings.dequeue_seconds,
    )
    return PgqEngine(options)


def key_fingerprints(settings: Settings, names: Iterable[str]) -> dict[str, str]:
    """What tells a provider's key at its address from another, without telling the key; nothing for one without a key."""
    configs = {name: settings.provider_config(name) for name in names}
    return {
        name: sha256("\0".join((name, config.api_key, config.base_url or "")).encode()).hexdigest()[:16]
        for name, config in configs.items()
        if config.api_key
    }


def _policy(settings: Settings, providers: Mapping[str, Provider], micros_per_credit: int) -> Policy:
    """The operator's choices; those that a setting has under the same name are that setting."""
    chosen = {field.name: getattr(settings, field.name) for field in fields(Policy) if field.name in Settings.model_fields}
    chosen |= {
        "default_provider": default_provider(settings, list(providers)),
        "schedule": RetrySchedule(
            base_seconds=settings.retry_base_seconds,
            cap_seconds=settings.retry_cap_seconds,
            max_retries=settings.max_retries,
        ),
        "micros_per_credit": micros_per_credit,
        "idle_seconds": settings.heartbeat_seconds + settings.dequeue_seconds + settings.sweep_seconds,
    }
    return Policy(**chosen)


def default_provider(settings: Settings, names: Sequence[str]) -> str | None:
    """The operator's word, else Google's, else Nano Banana's, else the only one configured (D2); `up` adds `sketch`."""
    if settings.default_provider is not None:
        if settings.default_provider not in names:
            known = ", ".join(names) or "none"
            raise ConfigurationError(
                [f"IMAGEJOBS_DEFAULT_PROVIDER names {settings.default_provider}, but there is {known}."]
            )
        return settings.default_provider
    configured = [name for name in names if name != "sketch"]
    preferred = [name for name in ("gemini", "nanobanana") if name in configured]
    return preferred[0] if preferred else configured[0] if len(configured) == 1 else None


def load_providers(settings: Settings) -> dict[str, Provider]:
    """Every provider that an installed package offers and that is configured, by name."""
    providers: dict[str, Provider] = {}
    for entry in sorted(entry_points(group=_GROUP), key=lambda entry: entry.name):
        factory: ProviderFactory = entry.load()
        provider = factory(settings.provider_config(entry.name))
        if provider is not None:
            providers[provider.name] = provider
    return providers


def make_storage(settings: Settings) -> Storage:
    """The storage that the settings choose: Supabase where both its values are set, else the object store, else the disk."""
    disk = _disk(settings)
    if (project := supabase_project(settings)) is not None:
        return MovedStorage(SupabaseStorage(project, Outbound()), disk)
    if settings.storage_url is not None:
        address = Address(
            url=settings.storage_url,
            public_base=settings.storage_public_url,
            options={name: value for name, value in settings.cloud_settings.items() if name in CLOUD_VARIABLES},
            uses_machine_role=settings.storage_uses_machine_role,
        )
        return MovedStorage(ObjectStorage(address), disk)
    return RehearsalStorage(disk)


def _disk(settings: Settings) -> FilesystemStorage:
    return FilesystemStorage(settings.data_dir / "files", settings.served_url)


async def _sweep_files(settings: Settings) -> None:
    """Remove what writers that died left on this disk; a disk that does not let us is the jobs' business."""
    with suppress(StorageError):
        await _disk(settings).sweep_temporary()


def make_bucket_of(settings: Settings, outbound: Outbound) -> Bucket | None:
    """The bucket that `storage setup` can make; None where the storage in use has none of ours."""
    project = supabase_project(settings)
    return None if project is None else SupabaseBucket(project, outbound)


def supabase_project(settings: Settings) -> Project | None:
    """The Supabase project, where both its address and its service key are set."""
    if settings.supabase_url is None or settings.supabase_service_role_key is None:
        return None
    return Project(
        url=settings.supabase_url,
        key=settings.supabase_service_role_key,
        bucket=settings.supabase_bucket,
        anon_key=settings.supabase_anon_key,
    )


def storage_place(settings: Settings) -> str:
    """Where pictures go and which setting says so, in one line for the start (D1)."""
    if (project := supabase_project(settings)) is not None:
        return f"Supabase, bucket {project.bucket} at {project.url}, from SUPABASE_URL"
    if settings.storage_url is not None:
        return f"{settings.storage_url}, from IMAGEJOBS_STORAGE_URL"
    names = {"SUPABASE_URL": settings.supabase_url, "SUPABASE_SERVICE_ROLE_KEY": settings.supabase_service_role_key}
    unset = [name for name, value in names.items() if value is None]
    return f"{settings.data_dir / 'files'}, because {' and '.join(unset)} and IMAGEJOBS_STORAGE_URL are not set"


def require_database_url(settings: Settings) -> str:
    """The database's address, or the ways to get one."""
    if settings.database_url is None:
        raise ConfigurationError(
            ["DATABASE_URL is not set. Name a PostgreSQL 15 or newer there, or run `imagejobs up`, which brings its own."]
        )
    try:
        scheme = urlsplit(settings.database_url).scheme
    except ValueError:
        raise ConfigurationError([_unusable(UNREADABLE_ADDRESS)]) from None
    if scheme not in ("postgresql", "postgres"):
        why = f"it must look like postgresql://user:password@host/database, and its scheme is “{scheme}”"
        raise ConfigurationError([_unusable(why)])
    return settings.database_url


async def open_database(settings: Settings, role: Role) -> Database:
    """A pool sized for the role; an unusable address is a `ConfigurationError` that names the ways out."""
    dsn = require_database_url(settings)
    size = {Role.API: 16, Role.WORKER: 12, Role.COMMAND: 2}[role]
    options = PoolOptions(
        min_size=1,
        max_size=size,
        is_pooled=settings.direct_database_url is not None,
        application_name=f"imagejobs {role.value}",
    )
    try:
        return await Database.connect(dsn, options)
    except DatabaseUnavailable as error:
        raise ConfigurationError([_unusable(error.detail)]) from error


def _unusable(why: str) -> str:
    return (
        f"DATABASE_URL cannot be used: {why.rstrip('.')}. See that the server is up and that address, user and password are "
        "right; or unset DATABASE_URL, and `imagejobs up` brings a PostgreSQL of its own."
    )


async def migrate_database(settings: Settings) -> list[str]:
    """Bring the schema up to this version; says which steps were taken."""
    dsn = settings.direct_database_url or require_database_url(settings)
    try:
        connection = await asyncpg.connect(dsn, timeout=10, server_settings={"timezone": "UTC"})
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        raise ConfigurationError([_unusable(str(error) or type(error).__name__)]) from error
    try:
        return await migrate(connection, install)
    finally:
        await connection.close()
