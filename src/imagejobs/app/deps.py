"""What every use case is given first: the wired world, frozen."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from imagejobs.app.caches import KeyCache, KnownProjects
from imagejobs.app.room import BODIES_AT_ONCE, StagingRoom
from imagejobs.db.pool import Database
from imagejobs.domain.money import MICROS
from imagejobs.domain.retry import RetrySchedule
from imagejobs.imaging import Decoder
from imagejobs.ports import Clock, Engine, Probe, Provider, Storage
from imagejobs.spool import Spool


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The operator's choices that use cases follow."""

    default_provider: str | None
    micros_per_credit: int = MICROS
    schedule: RetrySchedule = field(default_factory=RetrySchedule)
    job_deadline_seconds: float = 900.0
    batch_deadline_seconds: float = 86_400.0
    staged_bytes_days: int = 30
    staged_bytes_limit: int = 10_000_000_000
    upload_seconds: float = 120.0
    sweep_seconds: float = 15.0
    idle_seconds: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Deps:
    """Everything a use case may touch."""

    database: Database
    engine: Engine
    providers: Mapping[str, Provider]
    storage: Storage
    decoder: Decoder
    spool: Spool
    clock: Clock
    probe: Probe
    policy: Policy
    worker_id: UUID
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BODIES_AT_ONCE))
    staging_room: StagingRoom = field(default_factory=StagingRoom)
    keys: KeyCache = field(default_factory=KeyCache)
    known_projects: KnownProjects = field(default_factory=KnownProjects)
