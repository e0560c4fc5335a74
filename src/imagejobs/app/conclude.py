"""Conclude: what an error does to the attempt, the money and the job, in one fenced transaction."""

import logging

from imagejobs.app.deps import Deps
from imagejobs.db import access, attempts, jobs, ledger
from imagejobs.domain.jobs import Attempt, Claim, Failure, Job, JobStatus, Outcome, ResumeClass, Stage
from imagejobs.domain.lanes import lane_of
from imagejobs.domain.lifecycle import failure_stage
from imagejobs.domain.retry import Decision, GiveUp, RetryState, TryLater, decide
from imagejobs.errors import (
    AnswerUnusable,
    Billed,
    DeadlineExceeded,
    ImageJobsError,
    LostClaim,
    OutcomeUnknown,
    ProviderError,
    ProviderThrottled,
    ProviderUnreachable,
)
from imagejobs.ports import Message, Transaction

logger = logging.getLogger(__name__)

_NOTHING_BOUGHT = (ProviderUnreachable, ProviderThrottled)


async def conclude(deps: Deps, claim: Claim, error: ImageJobsError) -> None:
    """End this run of the job with `error`: back to the queue for later, or failed.

    Atomic; raises `LostClaim`, having written nothing, where another worker took the job over.
    """
    async with deps.database.transaction() as tx:
        job = await jobs.lock(tx, claim.job_id, claim.fence)
        if job is None:
            raise LostClaim("Another worker owns the job now.")
        attempt = await attempts.open_attempt_of(tx, claim.job_id)
        decision = decide(error, _state(deps, claim, attempt), deps.policy.schedule, deps.clock.chance())
        if isinstance(error, OutcomeUnknown) and isinstance(decision, GiveUp) and await _may_buy_again(tx, job):
            if attempt is not None:
                await _close(tx, attempt, error)
            attempt, decision = None, TryLater(deps.policy.schedule.base_seconds, counts=True)
        moved = await _apply(deps, tx, job, attempt, error, decision)
    extra = {"job_id": str(job.id), "reason": error.reason, "detail": error.detail}
    logger.info("job.%s", moved.status.value, extra=extra)


async def fail_overdue(deps: Deps, tx: Transaction, job: Job) -> None:
    """Fail a locked job whose deadline passed, and with it whoever still works on it."""
    error = DeadlineExceeded("The job's deadline passed before it could be finished; retry it, or allow more time.")
    attempt = await attempts.open_attempt_of(tx, job.id)
    await _apply(deps, tx, job, attempt, error, GiveUp())


async def _apply(
    deps: Deps, tx: Transaction, job: Job, attempt: Attempt | None, error: ImageJobsError, decision: Decision
) -> Job:
    purchases = await _close_attempt(tx, attempt, error, decision)
    change = _change(job, error, decision, _billed(attempt, error), purchases)
    moved = await jobs.move(tx, job.id, change)
    if moved is None:
        raise LostClaim(f"A job that is {job.status.value} cannot become {change.to.value}.")
    if isinstance(decision, TryLater):
        await deps.engine.enqueue(tx, [message_for(moved, decision.delay_seconds)])
    elif (number := await ledger.open_reservation(tx, job.id)) is not None:
        await ledger.release(tx, ledger.Purchase(job_id=job.id, reservation_no=number))
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


def _state(deps: Deps, claim: Claim, attempt: Attempt | None) -> RetryState:
    return RetryState(
        retries_used=claim.job.retries_used,
        max_retries=claim.job.max_retries,
        seconds_left=claim.seconds_left - (deps.clock.monotonic() - claim.claimed_at),
        is_resumable=attempt is not None and _is_resumable(attempt),
    )


def _is_resumable(attempt: Attempt) -> bool:
    """Whether a lost answer can still be had without buying again."""
    match attempt.resume_class:
        case ResumeClass.KEY:
            return True
        case ResumeClass.LOOKUP:
            return attempt.remote_id is not None
        case ResumeClass.NONE:
            return False


def _change(job: Job, error: ImageJobsError, decision: Decision, billed: Billed, purchases: int) -> jobs.Change:
    event = {"code": error.code.value, "reason": error.reason, "message": error.detail, "billed": billed.value}
    if isinstance(decision, TryLater):
        return jobs.Change(
            to=JobStatus.QUEUED,
            fence=job.fence,
            delay_seconds=decision.delay_seconds,
            retries=int(decision.counts),
            purchases=purchases,
            event={**event, "retryInSeconds": round(decision.delay_seconds, 3)},
        )
    failure = Failure(
        code=error.code,
        reason=error.reason,
        message=error.detail,
        stage=failure_stage(job.status, error),
        billed=billed,
        retryable=error.retryable,
    )
    if failure.stage is not None:
        event["failureStage"] = failure.stage.value
    return jobs.Change(to=JobStatus.FAILED, fence=job.fence, failure=failure, purchases=purchases, event=event)


def _billed(attempt: Attempt | None, error: ImageJobsError) -> Billed:
    if attempt is None or isinstance(error, ProviderError):
        return error.billed
    return Billed.YES if attempt.stage is Stage.ANSWERED else Billed.UNKNOWN


async def _close_attempt(tx: Transaction, attempt: Attempt | None, error: ImageJobsError, decision: Decision) -> int:
    """End the attempt as the error says; -1 where it turned out that nothing was bought, else 0.

    Left open: a paid picture that waits to be stored, and a lost answer that can still be asked for.
    """
    if attempt is None or (attempt.stage is Stage.ANSWERED and not isinstance(error, AnswerUnusable)):
        return 0
    if not isinstance(error, ProviderError):
        error = OutcomeUnknown("The worker's part ended before the provider's answer was known.")
    if isinstance(error, OutcomeUnknown) and isinstance(decision, TryLater):
        return 0
    return -1 if await _close(tx, attempt, error) is Outcome.RELEASED else 0


async def _close(tx: Transaction, attempt: Attempt, error: ProviderError) -> Outcome:
    outcome = _outcome(error)
    end = attempts.Close(outcome=outcome, billed=error.billed, error_reason=error.reason, error_message=error.detail)
    await attempts.close(tx, attempt.id, end)
    if outcome is Outcome.UNKNOWN:
        await ledger.mark_unknown(tx, purchase_of(attempt))
    return outcome


def _outcome(error: ProviderError) -> Outcome:
    if isinstance(error, _NOTHING_BOUGHT):
        return Outcome.RELEASED
    return Outcome.UNKNOWN if error.billed is Billed.UNKNOWN else Outcome.FAILED
