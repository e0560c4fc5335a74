"""What every use case is given first: the wired world, frozen."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from uuid import UUID

from imagejobs.app.caches import DEPTH_SECONDS, Depth, Memory
from imagejobs.app.room import BODIES_AT_ONCE, INPUTS_AT_ONCE, OWNERS_ASKED_AT_ONCE, ByteRoom, StagingRoom
from imagejobs.app.waiters import Waiters
from imagejobs.db.pool import Database
from imagejobs.domain.access import Caller
from imagejobs.domain.money import MICROS
from imagejobs.domain.retry import RetrySchedule
from imagejobs.imaging import Decoder
from imagejobs.net.guard import Guard
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
    input_max_bytes: int = 20 * 1024 * 1024
    input_days: int = 7
    input_bytes_per_project: int = 10_000_000_000
    ownership_query: str | None = None
    ping_seconds: float = 15.0
    stream_seconds: float = 600.0
    max_queued: int = 0
    max_queued_per_project: int = 0
    streams_per_caller: int = 0


@dataclass(frozen=True, kw_only=True)
class Deps:
    """Everything a use case may touch."""

    database: Database
    engine: Engine
    providers: Mapping[str, Provider]
    storage: Storage
    files: Storage  # the disk behind `/files/`, also where new pictures go elsewhere
    decoder: Decoder
    guard: Guard
    spool: Spool
    clock: Clock
    probe: Probe
    policy: Policy
    worker_id: UUID
    key_fingerprints: Mapping[str, str] = field(default_factory=dict)
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BODIES_AT_ONCE))
    input_places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(INPUTS_AT_ONCE))
    owner_places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OWNERS_ASKED_AT_ONCE))
    input_bytes: ByteRoom = field(default_factory=ByteRoom)
    staging_room: StagingRoom = field(default_factory=StagingRoom)
    keys: Memory[str, tuple[bytes, Caller]] = field(default_factory=Memory)
    refusals: Memory[tuple[str, str], bool] = field(default_factory=Memory)
    known_projects: Memory[str, bool] = field(default_factory=lambda: Memory(inf))  # none is ever deleted
    depths: Memory[str, Depth] = field(default_factory=lambda: Memory(DEPTH_SECONDS))
    waiters: Waiters = field(default_factory=Waiters)
