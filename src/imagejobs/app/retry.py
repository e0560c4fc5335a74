"""A person's retry of a failed job: the same job, its automatic retries renewed, free where the picture is paid for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from imagejobs.app.choose import choose
from imagejobs.app.conclude import message_for
from imagejobs.app.deps import Deps
from imagejobs.app.news import tell
from imagejobs.app.purchase import generation_request, reserve_again
from imagejobs.app.visible import held, lock_visible
from imagejobs.db import attempts, events, job_reads, jobs, ledger
from imagejobs.domain.access import Caller, Operation, Scope
from imagejobs.domain.fallback import models_of
from imagejobs.domain.jobs import Job, JobStatus
from imagejobs.errors import AnswerUnusable, InvalidTransition, ModelUnavailable, NoProviderConfigured, UnknownModel
from imagejobs.ports import Transaction


@dataclass(frozen=True, kw_only=True)
class Retried:
    """The job, queued again, and what the event of this retry says of its cost; `is_replay` where it was made before."""

    job: Job
    told: Mapping[str, Any]
    is_replay: bool


async def retry_job(deps: Deps, caller: Caller, job_id: UUID, retry_count: int | None = None) -> Retried:
    """Queue a failed job again, reserving money where it has to buy anew; a canceled one only if its paid picture came late.

    `retry_count` is that of the job as it was seen: where it was retried since, nothing happens but that the answer is given
    again. Without it, of two at once one wins, and the other gets `InvalidTransition`, as for every job that is not failed.
    Raises `BudgetExhausted` where a cap or the job's own `maxCost` has no room and `UnknownModel` where its one model is
    gone; the job then stays failed.
    """
    caller.require(Scope.WRITE)
    refused = await _taken_now(deps, caller, job_id, retry_count)
    async with deps.database.transaction() as tx:
        job = await lock_visible(tx, caller, job_id, Operation.RETRY_JOB)
        if retry_count is not None and retry_count < job.retry_count:
            return Retried(job=job, told=await events.of_retry(tx, job_id, retry_count + 1), is_replay=True)
        is_over = job.status in (JobStatus.FAILED, JobStatus.CANCELED)
        paid = await attempts.reopen(tx, job_id, refused) if is_over else None
        if job.status is not JobStatus.FAILED and paid is None:
            raise InvalidTransition(f"Only a failed job can be retried; this one is {job.status.value}.")
        if (retry_count or 0) > job.retry_count:
            raise InvalidTransition(f"This job's retryCount is {job.retry_count}, not {retry_count}: send the one it has.")
        job = await jobs.assign(tx, job_id, paid.provider, paid.model) if paid else await _assigned(deps, tx, job)
        estimated = 0 if paid else await _reserve(deps, tx, job, caller)
        may_buy_twice = paid is None and bool(await ledger.unknown_purchases(tx, job_id))
        receipt = {"isPaidAlready": paid is not None, "mayBuyTwice": may_buy_twice, "estimatedMicros": estimated}
        told = {"retriedBy": caller.name, **receipt}
        moved = held(await jobs.move(tx, job_id, jobs.Change(to=JobStatus.QUEUED, is_person_retry=True, event=told)))
        await deps.engine.enqueue(tx, [message_for(moved)])
    tell(deps, job_id)
    return Retried(job=moved, told=told, is_replay=False)


async def _taken_now(deps: Deps, caller: Caller, job_id: UUID, retry_count: int | None) -> UUID | None:
    """The purchase whose picture was refused and would be taken now; nothing is looked at for a retry that is not made."""
    async with deps.database.connection() as connection:
        job = await job_reads.by_id(connection, job_id)
        if job is None or not caller.sees(job.project_id) or retry_count not in (None, job.retry_count):
            return None
        caller.require_allowed(job.project_id, Operation.RETRY_JOB)
        attempt_id = await attempts.refused_picture(connection, job_id)
    if attempt_id is None:
        return None
    async with deps.input_places:
        async with deps.database.connection() as connection:
            data = await attempts.staged_bytes(connection, attempt_id)
        try:
            await deps.decoder.inspect(data or b"")
        except AnswerUnusable:
            return None
    return attempt_id


async def _assigned(deps: Deps, tx: Transaction, job: Job) -> Job:
    """A job that found no provider gets one now, if there is one; one that went through its fallback begins anew."""
    if models := models_of(job):
        return await jobs.assign(tx, job.id, *models[0].split(":", 1))
    if job.provider is not None:
        return job
    try:
        choice = choose(deps.providers, deps.policy.default_provider, None)
    except NoProviderConfigured:
        return job
    return await jobs.assign(tx, job.id, choice.provider.name, choice.model.name)


async def _reserve(deps: Deps, tx: Transaction, job: Job, caller: Caller) -> int | None:
    """Hold the money for another purchase; nothing where the worker will have to say what hinders it, or goes on from it."""
    provider = deps.providers.get(job.provider or "")
    if provider is None:
        return None
    try:
        quote = provider.quote(generation_request(job))
    except ModelUnavailable as error:
        if models_of(job):
            return None
        raise UnknownModel("model", error.detail) from error
    await reserve_again(tx, job, quote, caller.key_id)
    return quote.micros
