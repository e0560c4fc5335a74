"""Submit: validate, price, and write job, reservation, event and message in one transaction.

After the commit the job is kept, whatever dies; before it, nothing of it exists.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

from imagejobs import errors
from imagejobs.app.caches import Depth
from imagejobs.app.choose import Choice, choose, generation_request, require_capable
from imagejobs.app.compose import composed
from imagejobs.app.deps import Deps
from imagejobs.app.identifiers import new_id
from imagejobs.app.preflight import hold_inputs, require_coherent, require_fetchable
from imagejobs.app.users import permitted
from imagejobs.db import access, budgets, job_reads, jobs
from imagejobs.domain.access import Caller, Operation
from imagejobs.domain.jobs import Job, JobStatus
from imagejobs.domain.lanes import lane_of
from imagejobs.domain.money import Quote, to_credits
from imagejobs.domain.requests import ImageRequest
from imagejobs.errors import BudgetExhausted, TooManyRequests
from imagejobs.ports import Message, Transaction


@dataclass(frozen=True, kw_only=True)
class SubmittedJob:
    """A job as the answer to its submission names it."""

    id: UUID
    status: JobStatus


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What became of a request: its jobs, and whether an earlier one had made them already."""

    jobs: tuple[SubmittedJob, ...]
    batch_id: UUID | None
    is_replay: bool


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where the request goes, and what it is expected to cost; nothing of it where no provider is configured.

    `models` are the first and its fallback, as `provider:model`; empty without a fallback.
    """

    provider: str | None
    model: str | None
    quote: Quote | None
    models: tuple[str, ...] = ()


async def submit(deps: Deps, caller: Caller, request: ImageRequest, idempotency_key: str | None) -> Submission:
    """Make the jobs that `request` asks for, or find those an equal request made under the same key.

    Raises `IdempotencyKeyReused` where the key named another request, `NotFound` for a project the caller may not write to.
    A repeat under a key is safe at any time; without a key every call makes new jobs.
    """
    caller = await permitted(deps, caller, request.project_id, Operation.CREATE_JOB)
    fingerprint = request.fingerprint()
    try:
        request = await composed(deps, request)
        target = target_of(deps, request)
        await require_room(deps, request.project_id, request.n)
    except errors.RequestError:
        if idempotency_key is not None and (found := await _find(deps, request, idempotency_key, fingerprint)):
            return found  # what was accepted once is not refused by a later configuration
        raise
    await deps.probe("api.before_insert")
    made = await _insert_surely(deps, caller, _new_jobs(deps, caller, request, target, idempotency_key, fingerprint))
    await deps.probe("api.after_commit")
    if made is not None:
        return made
    found = await _find(deps, request, idempotency_key or "", fingerprint)
    if found is None:
        raise errors.InternalError("The key is taken, and its job cannot be found.")
    return found


def target_of(deps: Deps, request: ImageRequest) -> Target:
    """Where the composed request goes; raises the leaves of `RequestError` for what cannot be done there."""
    require_coherent(request)
    require_fetchable(deps, request)
    try:
        choice = choose(deps.providers, deps.policy.default_provider, request.model)
    except errors.NoProviderConfigured:
        if request.fallback:
            return target_of(deps, replace(request, model=request.fallback[0]))
        return Target(provider=None, model=None, quote=None)  # accepted, and fails with that reason
    quote = _priced(deps, request, choice, "model")
    models = [choice.name]
    for name in request.fallback:
        further = choose(deps.providers, None, name, field="fallback")
        if further.name not in models:
            _priced(deps, request, further, "fallback")
            models.append(further.name)
    target = Target(provider=choice.provider.name, model=choice.model.name, quote=quote)
    return replace(target, models=tuple(models)) if len(models) > 1 else target


def _priced(deps: Deps, request: ImageRequest, choice: Choice, field: str) -> Quote:
    """What the picture should cost there; refused where the model cannot do it, is gone, or is dearer than allowed."""
    require_capable(choice.model, request)
    try:
        quote = choice.provider.quote(generation_request(request, choice.model))
    except errors.ModelUnavailable as error:
        raise errors.UnknownModel(field, error.detail) from error
    if request.max_cost_micros is not None and quote.micros > request.max_cost_micros:
        expected = to_credits(quote.micros, deps.policy.micros_per_credit)
        where = f" by {choice.name}" if request.fallback else ""
        raise BudgetExhausted(
            f"One picture{where} should cost {expected} credits, above maxCost; raise it, or choose another."
        )
    return quote


async def _insert_surely(deps: Deps, caller: Caller, new: list[jobs.NewJob]) -> Submission | None:
    """As `_insert`; where the commit's own answer is lost, the rows themselves tell whether it took place."""
    try:
        return await _insert(deps, caller, new)
    except errors.DatabaseUnavailable:
        async with deps.database.connection() as connection:
            if await job_reads.by_id(connection, new[0].id) is None:
                raise
        return _submitted(new)


async def _insert(deps: Deps, caller: Caller, new: list[jobs.NewJob]) -> Submission | None:
    """Write everything, or nothing where the key is taken."""
    async with deps.database.transaction() as tx:
        await require_project(deps, tx, caller, new[0].project_id)
        for job in new:
            if not await jobs.insert(tx, job):
                return None
        await hold_inputs(tx, new)
        await _reserve(tx, new)
        await deps.probe("api.after_insert")
        await deps.engine.enqueue(tx, [_message(job) for job in new])
    deps.known_projects.put(new[0].project_id, fact=True)
    return _submitted(new)


def _submitted(new: list[jobs.NewJob]) -> Submission:
    submitted = tuple(SubmittedJob(id=job.id, status=JobStatus.QUEUED) for job in new)
    return Submission(jobs=submitted, batch_id=new[0].batch_id, is_replay=False)


async def _reserve(tx: Transaction, new: list[jobs.NewJob]) -> None:
    """Hold the money of all the jobs, or of none (P6)."""
    micros = sum(job.estimated_micros or 0 for job in new)
    full = await budgets.reserve(tx, new[0].project_id, new[0].key_id, micros)
    if full is not None:
        raise BudgetExhausted(f"The budget of the {full} leaves no room for this; raise it, or wait for the next period.")


async def require_project(deps: Deps, tx: Transaction, caller: Caller, project_id: str) -> None:
    """Refuse a project that does not exist, or make it where the caller may."""
    if deps.known_projects.get(project_id):
        return
    if caller.creates_projects:
        await access.ensure_projects(tx, [project_id], caller.key_id)
    elif await access.project(tx, project_id) is None:
        raise caller.no_project()


def _new_jobs(
    deps: Deps, caller: Caller, request: ImageRequest, target: Target, key: str | None, fingerprint: bytes
) -> list[jobs.NewJob]:
    """One row for each picture; the first carries the key, each further one draws with the next seed."""
    batch_id = new_id() if request.n > 1 else None
    deadline = deps.policy.job_deadline_seconds if batch_id is None else deps.policy.batch_deadline_seconds
    quote = target.quote
    ids = sorted(new_id() for _ in range(request.n))  # a batch is read back in the order of its ids
    first = jobs.NewJob(
        id=ids[0],
        idempotency_key=key,
        fingerprint=fingerprint,
        project_id=request.project_id,
        branch_id=request.branch_id,
        scene_id=request.scene_id,
        shot_id=request.shot_id,
        asset_id=request.asset_id,
        asset_type=request.asset_type,
        job_type=request.job_type,
        prompt=request.prompt,
        style_capsule_id=request.style_capsule_id,
        width=request.width,
        height=request.height,
        provider=target.provider,
        model=target.model,
        params=_params(request, target, request.seed),
        priority=request.priority,
        deadline_seconds=request.deadline_seconds or deadline,
        max_retries=deps.policy.schedule.max_retries,
        max_cost_micros=request.max_cost_micros,
        estimated_micros=None if quote is None else quote.micros,
        price_version=None if quote is None else quote.price_version,
        batch_id=batch_id,
        created_by=caller.name,
        key_id=caller.key_id,
        tags=request.tags,
    )
    further = [
        replace(first, id=job_id, idempotency_key=None, params=_params(request, target, _next_seed(request.seed, number)))
        for number, job_id in enumerate(ids[1:], start=1)
    ]
    return [first, *further]


def _next_seed(seed: int | None, number: int) -> int:
    """Without a seed the pictures of a batch still differ from one another."""
    return number if seed is None else (seed + number) % 2**63


_PARAMS = "negative_prompt", "manual_visual_tone", "mask_description", "fit", "composed_prompt", "on_unknown_outcome"


def _params(request: ImageRequest, target: Target, seed: int | None) -> Mapping[str, Any]:
    """What a provider needs beside the columns, and who comes after it."""
    wanted = {name: getattr(request, name) for name in _PARAMS} | {
        "seed": seed,
        "models": list(target.models),
        "references": [asdict(reference) for reference in request.references],
        "source_image": request.source_image and asdict(request.source_image),
        "mask": request.mask and asdict(request.mask),
    }
    return {name: value for name, value in wanted.items() if value not in (None, [])}


def _message(job: jobs.NewJob) -> Message:
    return Message(job_id=job.id, delivery_no=1, lane=lane_of(job.provider), priority=job.priority)


async def _find(deps: Deps, request: ImageRequest, idempotency_key: str, fingerprint: bytes) -> Submission | None:
    """What an earlier request under this key made; `IdempotencyKeyReused` where that was another request."""
    async with deps.database.connection() as connection:
        first = await job_reads.by_key(connection, request.project_id, idempotency_key)
        if first is None:
            return None
        if first.fingerprint != fingerprint:
            raise errors.IdempotencyKeyReused(
                "This idempotency key named a request with another body; "
                "send the same body to get that job again, or choose a new key."
            )
        batch = await job_reads.by_batch(connection, first.batch_id) if first.batch_id else [first]
    return _submission_of(first, batch)


def _submission_of(first: Job, batch: list[Job]) -> Submission:
    in_order = [first, *(job for job in batch if job.id != first.id)]
    submitted = tuple(SubmittedJob(id=job.id, status=job.status) for job in in_order)
    return Submission(jobs=submitted, batch_id=first.batch_id, is_replay=True)


_AGAIN_SECONDS = 10.0
_FULL = "The {whose} has room for {limit} jobs, and is full; nothing was accepted. Send the same again later."


async def require_room(deps: Deps, project_id: str, jobs: int) -> None:
    """Refuse jobs that would take the queue over a limit.

    Counted at most once a second for each project, so that a process may let in a second's worth too many.
    """
    policy = deps.policy
    if not (policy.max_queued or policy.max_queued_per_project):
        return
    now = deps.clock.monotonic()
    found = deps.depths.get(project_id, now)
    if found is None:
        async with deps.database.connection() as connection:
            limits = (policy.max_queued, policy.max_queued_per_project)
            found = Depth(*await job_reads.count_queued(connection, project_id, *limits))
        deps.depths.put(project_id, found, now)
    if policy.max_queued and found.in_all + jobs > policy.max_queued:
        raise TooManyRequests(_FULL.format(whose="queue", limit=policy.max_queued), _AGAIN_SECONDS)
    if policy.max_queued_per_project and found.in_project + jobs > policy.max_queued_per_project:
        raise TooManyRequests(_FULL.format(whose="project's queue", limit=policy.max_queued_per_project), _AGAIN_SECONDS)
    found.in_all += jobs
    found.in_project += jobs
