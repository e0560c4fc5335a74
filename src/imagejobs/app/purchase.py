"""Purchase: get the picture's bytes, buying them once.

The intent is committed before the first byte is sent, the provider's id before anybody waits on it, and the bytes with
their cost before anything looks at them. What was sent and not answered is sent again only under the same key, or asked for
by its id.
"""

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

from imagejobs import errors
from imagejobs.app.choose import NO_DEFAULT
from imagejobs.app.circuits import admit, note_success
from imagejobs.app.deps import Deps
from imagejobs.app.identifiers import new_id, new_nonce
from imagejobs.app.inputs import with_pictures
from imagejobs.app.news import tell
from imagejobs.app.patience import until_back
from imagejobs.app.room import MemoryRoom
from imagejobs.app.staging import stage
from imagejobs.app.stopping import Stop, pause, stop_if_asked
from imagejobs.app.visible import lock_claimed, move_claimed
from imagejobs.db import attempts, budgets, jobs, ledger
from imagejobs.domain.inputs import not_fetched, slots_of, with_inputs
from imagejobs.domain.jobs import Attempt, Claim, Job, JobStatus, ResumeClass, Stage
from imagejobs.domain.money import Quote
from imagejobs.domain.requests import GenerationRequest
from imagejobs.errors import InternalError
from imagejobs.ports import Answer, Call, Provider, Submitted, Transaction

logger = logging.getLogger(__name__)

_GRACE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class _Purchase:
    """One attempt in the hands of this worker."""

    claim: Claim
    attempt: Attempt
    provider: Provider
    call: Call
    room: MemoryRoom
    is_watched: bool
    stop: Stop = field(default_factory=Stop)


async def obtain(deps: Deps, claim: Claim, room: MemoryRoom) -> tuple[Attempt, bytes]:
    """The raw bytes, from the staging where they are paid for already, else from the provider; staged when this returns.

    Raises the leaves of `ProviderError`; `OutcomeUnknown` where an answer is lost.
    """
    if claim.attempt is not None and claim.attempt.stage is Stage.ANSWERED:
        await room.enter()
        return claim.attempt, await _staged(deps, claim.attempt)
    purchase, answer = await _begin(deps, claim, room)
    while isinstance(answer, Submitted):
        answer = await _wait_for(deps, purchase, answer)
    await stage(deps, purchase.attempt, answer)
    if purchase.is_watched:
        await note_success(deps, purchase.provider.name)
    return purchase.attempt, answer.data


async def _begin(deps: Deps, claim: Claim, room: MemoryRoom) -> tuple[_Purchase, Answer | Submitted]:
    """The purchase and the first answer to it. The input pictures are out of memory again when this returns."""
    provider = _provider(deps, claim.job)
    request = generation_request(claim.job)
    is_submitted = claim.attempt is not None and claim.attempt.remote_id is not None
    async with nullcontext(request) if is_submitted else with_pictures(deps, claim, request) as whole:
        is_watched, attempt = True, claim.attempt
        if attempt is None:
            is_watched, attempt = await _commit_intent(deps, claim, provider, whole)
        call = Call(
            request=whole,
            idempotency_key=attempt.idempotency_key,
            deadline_seconds=attempt.call_deadline_seconds,
            room=room,
        )
        purchase = _Purchase(claim=claim, attempt=attempt, provider=provider, call=call, room=room, is_watched=is_watched)
        answer = await (_send(deps, purchase) if claim.attempt is None else _resume(deps, purchase))
    return replace(purchase, call=replace(call, request=request)), answer


def generation_request(job: Job) -> GenerationRequest:
    """The job as its provider gets it, equal every time, the pictures without their bytes."""
    slots = slots_of(job.params)
    request = GenerationRequest(
        job_type=job.job_type,
        prompt=job.params.get("composed_prompt", job.prompt),
        width=job.width,
        height=job.height,
        model=job.model or "",
        seed=job.params.get("seed"),
        negative_prompt=job.params.get("negative_prompt"),
        mask_description=job.params.get("mask_description"),
    )
    return with_inputs(request, slots, {slot.name: not_fetched(slot.role) for slot in slots})


def _provider(deps: Deps, job: Job) -> Provider:
    provider = deps.providers.get(job.provider or "")
    if provider is None and job.provider is None:
        raise errors.NoProviderConfigured(NO_DEFAULT)
    if provider is None:
        raise errors.NoProviderConfigured(f"This worker has no provider {job.provider}; set it up there, and retry the job.")
    return provider


async def _staged(deps: Deps, attempt: Attempt) -> bytes:
    async with deps.database.connection() as connection:
        data = await attempts.staged_bytes(connection, attempt.id)
    if data is None:
        raise InternalError("The picture's bytes were dropped after their keeping time; retry the job to buy it anew.")
    return data


async def _commit_intent(deps: Deps, claim: Claim, provider: Provider, request: GenerationRequest) -> tuple[bool, Attempt]:
    """Open the attempt and say `generating`, if the claim and the circuit let it: the last check before money is spent.

    Where the commit's own answer is lost, the attempt is looked up: nothing was sent yet, so what is there may go on.
    """
    deps.staging_room.require()
    plan = provider.plan(request)
    new = attempts.NewAttempt(
        id=new_id(),
        job_id=claim.job_id,
        provider=provider.name,
        model=request.model,
        resume_class=plan.resume_class,
        call_deadline_seconds=plan.call_deadline_seconds,
        object_nonce=new_nonce(),
        worker=str(deps.worker_id),
    )
    try:
        is_watched, attempt = await _open(deps, claim, new, provider.quote(request))
    except errors.DatabaseUnavailable:
        found = await until_back(deps, claim.job_id, lambda: _reread(deps, claim))
        if found is None or found.id != new.id:
            raise
        is_watched, attempt = True, found
    tell(deps, claim.job_id)
    await deps.probe("dispatch.after_intent")
    return is_watched, attempt


async def _open(deps: Deps, claim: Claim, new: attempts.NewAttempt, quote: Quote) -> tuple[bool, Attempt]:
    async with deps.database.transaction() as tx:
        change = jobs.Change(to=JobStatus.GENERATING, fence=claim.fence, purchases=1)
        await move_claimed(tx, claim, change)
        is_watched = await admit(deps, tx, new.provider)
        reservation_no = await ledger.open_reservation(tx, claim.job_id)
        if reservation_no is None:
            reservation_no = await reserve_again(tx, claim.job, quote)
        await deps.probe("budget.after_reserve")
        return is_watched, await attempts.open_attempt(tx, new, reservation_no)


async def reserve_again(tx: Transaction, job: Job, quote: Quote, asked_by_key: str | None = None) -> int:
    """Hold money for a further purchase, within the job's own limit and every budget; `BudgetExhausted` without room.

    It is held for the key that the purchases before were held for; for the one that asks now where there were none.
    """
    committed = await ledger.committed_micros(tx, job.id)
    if job.max_cost_micros is not None and committed + quote.micros > job.max_cost_micros:
        raise errors.BudgetExhausted(
            "Another purchase could take the job above its maxCost; resolve what of it is unknown, or send a new request."
        )
    number, project_id, key_id = await ledger.reserve_again(tx, job.id, quote, asked_by_key)
    full = await budgets.reserve(tx, project_id, key_id, quote.micros)
    if full is not None:
        raise errors.BudgetExhausted(
            f"The budget of the {full} leaves no room for another purchase; raise it or wait for its next period, and retry."
        )
    return number


async def _reread(deps: Deps, claim: Claim) -> Attempt | None:
    """The job's open attempt, if the claim still holds."""
    async with deps.database.transaction() as tx:
        await lock_claimed(tx, claim)
        return await attempts.open_attempt_of(tx, claim.job_id)


async def _resume(deps: Deps, purchase: _Purchase) -> Answer | Submitted:
    """Go on with a purchase that an earlier run began and got no answer to."""
    claim, attempt = purchase.claim, purchase.attempt
    if attempt.remote_id is None and attempt.resume_class is not ResumeClass.KEY:
        raise errors.OutcomeUnknown(
            f"A worker was lost before the answer of {attempt.provider} came, and the request may have been charged. "
            "Look at the provider's own usage page; then retry the job, or write it off."
        )
    async with deps.database.transaction() as tx:
        job = await lock_claimed(tx, claim)
        if job.cancel_requested_at is not None and attempt.remote_id is None:
            raise errors.CancelRequested("The job was canceled before its request could be sent again.", is_stopped=False)
        if claim.job.status is JobStatus.PROCESSING:
            await jobs.move(tx, claim.job_id, jobs.Change(to=JobStatus.GENERATING, fence=claim.fence))
        if attempt.remote_id is None:
            await attempts.send_again(tx, attempt.id)
    tell(deps, claim.job_id)
    await deps.probe("dispatch.after_intent")
    if attempt.remote_id is None:
        return await _send(deps, purchase)
    return Submitted(remote_id=attempt.remote_id, poll_after_seconds=0.0)


async def _send(deps: Deps, purchase: _Purchase) -> Answer | Submitted:
    answer = await _ask(purchase, purchase.provider.submit(purchase.call))
    if isinstance(answer, Submitted):
        await deps.probe("async.after_submit")
        remember = partial(_remember, deps, purchase.attempt, answer.remote_id)
        await until_back(deps, purchase.claim.job_id, remember)
        await deps.probe("async.after_id_commit")
    return answer


async def _remember(deps: Deps, attempt: Attempt, remote_id: str) -> None:
    """Store the provider's id before anybody waits on it: nothing else knows it."""
    async with deps.database.connection() as connection:
        await attempts.submitted(connection, attempt.id, remote_id)


async def _wait_for(deps: Deps, purchase: _Purchase, submitted: Submitted) -> Answer | Submitted:
    waited = deps.clock.monotonic() - purchase.claim.claimed_at
    if waited > max(purchase.claim.seconds_left, purchase.attempt.call_deadline_seconds):
        raise errors.OutcomeUnknown(f"{purchase.provider.name} still works on it past the deadline; it may charge.")
    await pause(deps, purchase.claim, purchase.stop, submitted.poll_after_seconds)
    await deps.probe("async.between_polls")
    await stop_if_asked(deps, purchase.claim, purchase.stop, purchase.provider, submitted.remote_id)
    return await _ask(purchase, purchase.provider.poll(submitted.remote_id, purchase.call))


async def _ask(purchase: _Purchase, asking: Awaitable[Answer | Submitted]) -> Answer | Submitted:
    """The provider's answer; whatever is not one of its own errors counts as a lost answer."""
    name, seconds = purchase.provider.name, purchase.call.deadline_seconds
    try:
        async with asyncio.timeout(seconds + _GRACE_SECONDS) as limit:
            purchase.room.limit = limit
            answer = await asking
    except errors.ProviderError:
        raise
    except TimeoutError as error:
        raise errors.OutcomeUnknown(f"{name} gave no answer within {seconds:g} s; it may have charged.") from error
    except Exception as error:
        logger.exception("attempt.answer_lost", extra={"attempt_id": str(purchase.attempt.id), "provider": name})
        raise errors.OutcomeUnknown(f"The answer of {name} was lost on the way; it may have charged.") from error
    if isinstance(answer, Submitted):
        purchase.room.leave()
    return answer
