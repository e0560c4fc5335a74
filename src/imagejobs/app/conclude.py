"""Conclude: what an error does to the attempt, the money and the job, in one fenced transaction."""

import logging
from dataclasses import dataclass, replace

from imagejobs import errors
from imagejobs.app.circuits import note_error
from imagejobs.app.deps import Deps
from imagejobs.app.news import tell
from imagejobs.app.patience import until_back
from imagejobs.app.visible import lock_claimed
from imagejobs.db import access, attempts, jobs, ledger
from imagejobs.domain.fallback import may_go_on, next_model
from imagejobs.domain.jobs import Attempt, Claim, Failure, Job, JobStatus, Outcome, ResumeClass, Stage
from imagejobs.domain.lanes import lane_of
from imagejobs.domain.lifecycle import TRANSITIONS, failure_stage
from imagejobs.domain.retry import Decision, GiveUp, RetryState, TryLater, decide
from imagejobs.errors import Billed, ImageJobsError
from imagejobs.ports import Message, Transaction

logger = logging.getLogger(__name__)

_NOTHING_BOUGHT = (errors.ProviderUnreachable, errors.ProviderThrottled)
_ABOUT_ONE_SEND = (
    *_NOTHING_BOUGHT,
    errors.ModelUnavailable,
    errors.ProviderRejected,
    errors.ProviderOverloaded,
    errors.ProviderTimeout,
    errors.ProviderKeyRejected,
    errors.ProviderCreditExhausted,
    errors.NoProviderConfigured,
)


async def conclude(deps: Deps, claim: Claim, error: ImageJobsError) -> None:
    """End this run of the job with `error`: back to the queue for later, or failed.

    Atomic; tries on while the database is away, for what the provider said must not be forgotten. Raises `LostClaim`, having
    written nothing, where another worker took the job over.
    """
    await until_back(deps, claim.job_id, lambda: _conclude(deps, claim, error))


async def _conclude(deps: Deps, claim: Claim, error: ImageJobsError) -> None:
    async with deps.database.transaction() as tx:
        job = await lock_claimed(tx, claim)
        attempt = await attempts.open_attempt_of(tx, claim.job_id)
        verdict = _in_doubt(claim, attempt, error)
        if attempt is not None and attempt.stage is not Stage.ANSWERED:
            await note_error(deps, tx, attempt.provider, error)
        onward = None if _ends_canceled(job, attempt) or not may_go_on(verdict) else next_model(job)
        state = _state(deps, claim, attempt, has_fallback=onward is not None)
        decision = decide(error, state, deps.policy.schedule, deps.clock.chance())
        if _ends_canceled(job, attempt):
            decision = GiveUp()
        elif isinstance(error, errors.OutcomeUnknown) and isinstance(decision, GiveUp) and await _may_buy_again(tx, job):
            if attempt is not None:
                await _close(tx, attempt, error)
            attempt, decision = None, TryLater(deps.policy.schedule.base_seconds, counts=True)
        ending = _Ending(job=job, attempt=attempt, error=error, verdict=verdict, decision=decision)
        if onward is not None and isinstance(decision, GiveUp) and state.seconds_left > 0:
            ending = await _with_next_model(tx, ending, onward)
        moved = await _apply(deps, tx, ending)
    tell(deps, job.id)
    extra = {"job_id": str(job.id), "reason": error.reason, "detail": error.detail}
    logger.info("job.%s", moved.status.value, extra=extra)


async def fail_overdue(deps: Deps, tx: Transaction, job: Job) -> None:
    """Fail a locked job whose deadline passed, and end the claim of whoever still works on it."""
    error = errors.DeadlineExceeded("The job's deadline passed before it could be finished; retry it, or allow more time.")
    attempt = await attempts.open_attempt_of(tx, job.id)
    verdict = _LOST_WITH_ITS_WORKER if attempt is not None else error
    ending = _Ending(job=job, attempt=attempt, error=error, verdict=verdict, decision=GiveUp(), by_worker=False)
    await _apply(deps, tx, ending)


_LOST_WITH_ITS_WORKER = errors.OutcomeUnknown("The worker's part ended before the provider's answer was known.")


@dataclass(frozen=True, kw_only=True)
class _Ending:
    """One end of a run: what the job is told (`error`), and what it means for the open purchase (`verdict`)."""

    job: Job
    attempt: Attempt | None
    error: ImageJobsError
    verdict: ImageJobsError
    decision: Decision
    by_worker: bool = True
    next_model: str | None = None  # the job goes on with it, its automatic retries renewed


async def _with_next_model(tx: Transaction, ending: _Ending, model: str) -> _Ending:
    """The end of a run whose job goes on with that model.

    The money held for the model that is left goes back; the next purchase reserves its own.
    """
    await ledger.release(tx, ending.job.id)
    job = await jobs.assign(tx, ending.job.id, *model.split(":", 1))
    return replace(ending, job=job, decision=TryLater(0.0, counts=False), next_model=model)


def _in_doubt(claim: Claim, attempt: Attempt | None, error: ImageJobsError) -> ImageJobsError:
    """What the error says of the purchase: that its outcome is unknown, where it only describes a later send or poll."""
    if attempt is None or attempt.stage is Stage.ANSWERED:
        return error
    if isinstance(error, errors.CancelRequested) and error.is_stopped:
        return error
    was_sent_before = claim.attempt is not None or attempt.remote_id is not None
    if not isinstance(error, errors.ProviderError) or (was_sent_before and isinstance(error, _ABOUT_ONE_SEND)):
        return _LOST_WITH_ITS_WORKER
    return error


def _ends_canceled(job: Job, attempt: Attempt | None) -> bool:
    """A job whose cancel was asked for ends canceled, whatever ended its run, unless its picture is paid for."""
    is_asked = job.cancel_requested_at is not None and JobStatus.CANCELED in TRANSITIONS[job.status]
    return is_asked and not _is_paid(attempt)


async def _apply(deps: Deps, tx: Transaction, ending: _Ending) -> Job:
    purchases = await _close_attempt(tx, ending)
    job = ending.job
    moved = await jobs.move(tx, job.id, _change(ending, purchases, await _billed(tx, ending)))
    if moved is None:
        raise errors.LostClaim(f"A job that is {job.status.value} cannot be ended so.")
    if isinstance(ending.decision, TryLater):
        await deps.engine.enqueue(tx, [message_for(moved, ending.decision.delay_seconds)])
    else:
        await ledger.release(tx, job.id)
    return moved


def message_for(job: Job, delay_seconds: float = 0.0) -> Message:
    """The message that delivers the job as its row stands now."""
    return Message(
        job_id=job.id,
        delivery_no=job.delivery_no,
        lane=lane_of(job.provider),
        priority=job.priority,
        delay_seconds=delay_seconds,
    )


def purchase_of(attempt: Attempt) -> ledger.Purchase:
    """The attempt as the ledger names it."""
    return ledger.Purchase(job_id=attempt.job_id, reservation_no=attempt.reservation_no, attempt_id=attempt.id)


async def _may_buy_again(tx: Transaction, job: Job) -> bool:
    """Whether the caller, or the project, asked for one more purchase after an unknown outcome, and had none yet."""
    policy = job.params.get("on_unknown_outcome") or await access.on_unknown_outcome(tx, job.project_id)
    return policy == "retry_once" and await attempts.count_unknown(tx, job.id) == 0


def _state(deps: Deps, claim: Claim, attempt: Attempt | None, *, has_fallback: bool) -> RetryState:
    return RetryState(
        retries_used=claim.job.retries_used,
        max_retries=claim.job.max_retries,
        seconds_left=claim.seconds_left - (deps.clock.monotonic() - claim.claimed_at),
        is_resumable=attempt is not None and (attempt.resume_class is ResumeClass.KEY or attempt.remote_id is not None),
        has_fallback=has_fallback,
    )


def _change(ending: _Ending, purchases: int, billed: Billed) -> jobs.Change:
    job, error, decision = ending.job, ending.error, ending.decision
    event = {"code": error.code.value, "reason": error.reason, "message": error.detail, "billed": billed.value}
    fence = job.fence if ending.by_worker else None
    if isinstance(decision, TryLater):
        wait = {"retryInSeconds": round(decision.delay_seconds, 3)}
        return jobs.Change(
            to=JobStatus.QUEUED,
            fence=fence,
            delay_seconds=decision.delay_seconds,
            retries=int(decision.counts) if ending.next_model is None else -job.retries_used,
            purchases=purchases,
            event={**event, **(wait if ending.next_model is None else {"nextModel": ending.next_model})},
        )
    if _ends_canceled(job, ending.attempt):
        told = {"reason": error.reason, "message": error.detail, "billed": billed.value}
        return jobs.Change(to=JobStatus.CANCELED, fence=fence, billed=billed, purchases=purchases, event=told)
    failure = Failure(
        code=error.code,
        reason=error.reason,
        message=error.detail,
        stage=failure_stage(job.status, error, is_paid=_is_paid(ending.attempt)),
        billed=billed,
        retryable=error.retryable and billed is not Billed.UNKNOWN,
    )
    if failure.stage is not None:
        event["failureStage"] = failure.stage.value
    return jobs.Change(to=JobStatus.FAILED, fence=fence, failure=failure, purchases=purchases, event=event)


def _is_paid(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.stage is Stage.ANSWERED


async def _billed(tx: Transaction, ending: _Ending) -> Billed:
    """Whether the purchase was charged; a job that ends is not told to be free while an earlier one of it is unknown."""
    billed = Billed.YES if _is_paid(ending.attempt) else ending.verdict.billed
    is_free_end = billed is Billed.NO and isinstance(ending.decision, GiveUp)
    return Billed.UNKNOWN if is_free_end and await ledger.unknown_purchases(tx, ending.job.id) else billed


async def _close_attempt(tx: Transaction, ending: _Ending) -> int:
    """End the attempt as the verdict says; -1 where it turned out that nothing was bought, else 0.

    Left open: a paid picture that waits to be stored, and a lost answer that can still be asked for.
    """
    attempt, verdict = ending.attempt, ending.verdict
    if attempt is None or (_is_paid(attempt) and not isinstance(verdict, errors.AnswerUnusable)):
        return 0
    if isinstance(verdict, errors.OutcomeUnknown) and isinstance(ending.decision, TryLater):
        return 0
    assert isinstance(verdict, errors.ProviderError | errors.CancelRequested)
    return -1 if await _close(tx, attempt, verdict) is Outcome.RELEASED else 0


async def _close(tx: Transaction, attempt: Attempt, verdict: errors.ProviderError | errors.CancelRequested) -> Outcome:
    """Close the attempt and its money: unknown stays unknown, a charged error is posted as it was reserved."""
    outcome = _outcome(verdict)
    end = attempts.Close(outcome=outcome, billed=verdict.billed, error_reason=verdict.reason, error_message=verdict.detail)
    await attempts.close(tx, attempt.id, end)
    if verdict.billed is Billed.UNKNOWN:
        await ledger.mark_unknown(tx, purchase_of(attempt))
    elif verdict.billed is Billed.YES and (posted := await ledger.post_reserved(tx, purchase_of(attempt))) is not None:
        await jobs.add_cost(tx, attempt.job_id, posted)
    return outcome


def _outcome(verdict: errors.ProviderError | errors.CancelRequested) -> Outcome:
    if isinstance(verdict, errors.CancelRequested):
        return Outcome.CANCELED
    if isinstance(verdict, _NOTHING_BOUGHT):
        return Outcome.RELEASED
    return Outcome.UNKNOWN if verdict.billed is Billed.UNKNOWN else Outcome.FAILED
