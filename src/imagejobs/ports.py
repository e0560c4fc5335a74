"""The seams: what the use cases ask of the world, each with more than one implementation.

Engine, Clock and Probe have one implementation each in production; they are seams because tests steer by them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import asyncpg

from imagejobs.domain.jobs import ResumeClass
from imagejobs.domain.money import Cost, Quote
from imagejobs.domain.requests import GenerationRequest

Transaction: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""A connection inside an open transaction; whoever opened it commits."""


@dataclass(frozen=True, kw_only=True)
class ModelCapability:
    """What one model can do. `sizes` are the only ones it makes, as (width, height); empty where it makes any."""

    name: str
    aliases: tuple[str, ...] = ()
    min_edge: int = 64
    max_edge: int = 4096
    max_pixels: int = 16_777_216
    max_references: int = 0
    takes_source_image: bool = False
    takes_mask: bool = False
    takes_seed: bool = False
    sizes: tuple[tuple[int, int], ...] = ()
    max_prompt_characters: int = 32_000


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a provider can do; the first model is its default."""

    models: tuple[ModelCapability, ...]

    def find(self, name: str) -> ModelCapability | None:
        """The model of that name or alias."""
        return next((model for model in self.models if name == model.name or name in model.aliases), None)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How one call will behave, said before it is made."""

    resume_class: ResumeClass
    call_deadline_seconds: float


class Room(Protocol):
    """Room in memory for the body of one answer."""

    async def enter(self) -> None:
        """Wait until there is some; the call's deadline stands still meanwhile. A repeat returns at once.

        An adapter enters when the answer has begun and before it receives the body. It never leaves: the caller does, when
        the picture is out of memory again.
        """


class Unlimited:
    """Room enough, for tests and for adapters that make their pictures themselves."""

    async def enter(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Call:
    """One send. `idempotency_key` and `request` are equal for every send of one attempt."""

    request: GenerationRequest
    idempotency_key: str
    deadline_seconds: float
    room: Room = field(default_factory=Unlimited)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A picture as the provider gave it: raw, untrusted, paid for."""

    data: bytes = field(repr=False)
    media_type: str
    cost: Cost
    remote_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """The provider took the request and will answer under `remote_id`."""

    remote_id: str
    poll_after_seconds: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Health:
    """What a free check of a provider or storage found."""

    ok: bool
    detail: str


class Provider(Protocol):
    """A service that makes pictures for money.

    `submit` and `poll` raise the leaves of `errors.ProviderError`; anything else that leaves them counts as an unknown
    outcome. No implementation retries by itself. Answers are bounded by the implementation while they are read.
    """

    @property
    def name(self) -> str: ...

    def capabilities(self) -> Capabilities: ...

    def quote(self, request: GenerationRequest) -> Quote:
        """What the picture should cost. Input pictures may be without their bytes here; their number counts."""

    def plan(self, request: GenerationRequest) -> Plan: ...

    async def submit(self, call: Call) -> Answer | Submitted: ...

    async def poll(self, remote_id: str, call: Call) -> Answer | Submitted: ...

    async def cancel(self, remote_id: str) -> bool:
        """True where the provider says that the call stopped before it was charged."""

    async def check(self) -> Health: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class ProviderConfig:
    """What a provider is built from; by pattern `IMAGEJOBS_<PROVIDER>_API_KEY`, `_BASE_URL`, `_TIMEOUT_SECONDS` (F5).

    `options` holds whatever else follows the pattern, by its name in lower case; `outbound_allow` is for `net.guard.Guard`.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    timeout_seconds: float | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    outbound_allow: tuple[str, ...] = ()


ProviderFactory: TypeAlias = Callable[[ProviderConfig], Provider | None]
"""What an entry point in the group `imagejobs.providers` names; None where the configuration does not ask for it."""


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """An object found in the storage."""

    data: bytes = field(repr=False)
    media_type: str


class Storage(Protocol):
    """Where pictures live. Raises the leaves of `errors.StorageError`."""

    @property
    def name(self) -> str: ...

    async def put(self, key: str, data: bytes, media_type: str) -> None:
        """Store the object durably, whole or not at all; a repeat with the same bytes changes nothing."""

    async def get(self, key: str) -> StoredObject | None: ...

    async def delete(self, key: str) -> None:
        """Remove the object; removing what is not there is fine."""

    def public_url(self, key: str) -> str:
        """The address that opens in a browser without a token (C4)."""

    async def sign(self, key: str, seconds: int) -> str:
        """An address that opens for `seconds`."""

    async def check(self) -> Health: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One rule of the bucket, tried: whether it holds, and what was said where it does not. None: it could not be tried."""

    rule: str
    holds: bool | None
    detail: str = ""


class Bucket(Protocol):
    """What `storage setup` needs of a storage whose bucket it can make. Raises the leaves of `errors.StorageError`."""

    @property
    def name(self) -> str: ...

    async def ensure(self) -> str:
        """Make the public bucket unless it is there; says what was done."""

    async def health(self) -> Health:
        """Whether it is there and public; an unusable key or storage is raised."""

    async def trials(self) -> Sequence[Trial]:
        """Try who may read and write, on objects that are removed again."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """The engine's token for one job: deliver it to a worker of `lane`, not before `delay_seconds`.

    `delivery_no` is the job row's counter when the message was made; the claim refuses every other number, so that a stale
    message does no harm.
    """

    job_id: UUID
    delivery_no: int
    lane: str
    priority: int = 0
    delay_seconds: float = 0.0


class Engine(Protocol):
    """Delivers messages to workers; owns order, delay, concurrency, heartbeats and redelivery, and no truth."""

    async def enqueue(self, tx: Transaction, messages: Sequence[Message]) -> None:
        """Deliver after the caller's transaction commits, or never if it does not; a repeat changes nothing."""

    async def withdraw(self, tx: Transaction, job_id: UUID, delivery_no: int) -> None:
        """Remove the waiting message, in the caller's transaction; one in a worker's hands stays."""

    async def delivered(self, connection: Transaction, deliveries: Sequence[tuple[UUID, int]]) -> set[UUID]:
        """The jobs among `deliveries` whose message is there, waiting or in a worker's hands."""

    async def release(self, tx: Transaction, worker_id: UUID) -> int:
        """Hand on the messages of a worker that is known to be dead; says how many."""

    async def run(self, handle: Callable[[UUID, int], Awaitable[None]], stop: asyncio.Event) -> None:
        """Hand (job, delivery number) to `handle` until `stop` is set, then finish those in hand.

        `handle` never raises; when it returns, the message is gone. A worker that dies leaves its messages to others.
        """

    async def prune(self, tx: Transaction, keep_seconds: float = 3600.0) -> None:
        """Drop what the engine keeps only for its own log."""


class Clock(Protocol):
    """Time inside one process; instants that are stored are the database's."""

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...

    def chance(self) -> float:
        """A random number in [0, 1), for jitter."""


class Probe(Protocol):
    """Named points where tests observe, hold or kill the program; silent in production."""

    async def __call__(self, point: str) -> None: ...
