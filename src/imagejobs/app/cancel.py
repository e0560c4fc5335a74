"""Cancel: one truth, judged under the row's lock, and a receipt that says what it may cost.

Where no purchase is in flight the job ends here and now: the fence rises, so that a worker which was about to buy loses its
claim at the last check. Where one is in flight, its worker is asked to stop; nothing more is bought, and a picture
that had to be paid for all the same is kept (ADR 0016).
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from imagejobs.app.conclude import message_for, purchase_of
from imagejobs.app.deps import Deps
from imagejobs.app.news import tell
from imagejobs.app.visible import held, lock_visible
from imagejobs.db import attempts, jobs, ledger
from imagejobs.domain.access import Caller, Operation, Scope
from imagejobs.domain.jobs import Attempt, Job, JobStatus, Outcome, Stage
from imagejobs.errors import Billed, InvalidTransition
from imagejobs.ports import Transaction


class CancelOutcome(StrEnum):
    """What a cancel came to."""

    STOPPED_BEFORE_SPEND = "stopped_before_spend"
    STOP_REQUESTED = "stop_requested"
    TOO_LATE = "too_late"


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The job as the cancel left it, and the truth about its cost at that moment."""

    job: Job
    outcome: CancelOutcome
    may_cost_micros: int
    detail: str


async def cancel_job(deps: Deps, caller: Caller, job_id: UUID) -> Receipt:
    """Stop the job: at once, or as soon as its worker can; a repeat says how it stands by then.

    A finished picture is `TOO_LATE`, and so is one that is bought and on its way into the storage. Raises
    `InvalidTransition` for a failed job.
    """
    caller.require(Scope.WRITE)
    async with deps.database.transaction() as tx:
        job = await lock_visible(tx, caller, job_id, Operation.CANCEL_JOB)
        if job.status is JobStatus.FAILED:
            raise InvalidTransition("The job has failed already: there is nothing to stop.")
        attempt = await attempts.open_attempt_of(tx, job_id)
        await deps.probe("cancel.under_lock")
        job = await _stop(deps, tx, caller, job, attempt)
        receipt = await _receipt(tx, job, attempt)
    tell(deps, job_id)
    return receipt


async def _stop(deps: Deps, tx: Transaction, caller: Caller, job: Job, attempt: Attempt | None) -> Job:
    if job.status in (JobStatus.COMPLETED, JobStatus.CANCELED) or _is_bought(job, attempt):
        return job
    if job.status is JobStatus.GENERATING or (attempt is not None and attempt.remote_id is not None):
        await jobs.request_cancel(tx, job.id, caller.name)
        return await _hurry(deps, tx, job)
    await deps.engine.withdraw(tx, job.id, job.delivery_no)
    return await _end(tx, caller, job, attempt)


async def _hurry(deps: Deps, tx: Transaction, job: Job) -> Job:
    """A purchase that waits for its next poll in the queue is delivered now, for its provider has to be asked to stop."""
    if job.status is not JobStatus.QUEUED or job.cancel_requested_at is not None:
        return job
    await deps.engine.withdraw(tx, job.id, job.delivery_no)
    moved = held(await jobs.redeliver(tx, job.id, job.delivery_no))
    await deps.engine.enqueue(tx, [message_for(moved)])
    return moved


async def _end(tx: Transaction, caller: Caller, job: Job, attempt: Attempt | None) -> Job:
    """Cancel a job that nobody buys for; an earlier send without an answer stays unknown, and is not sent again."""
    if attempt is not None:
        end = attempts.Close(outcome=Outcome.UNKNOWN, billed=Billed.UNKNOWN, error_reason="canceled")
        await attempts.close(tx, attempt.id, end)
        await ledger.mark_unknown(tx, purchase_of(attempt))
    billed = Billed.UNKNOWN if await ledger.unknown_purchases(tx, job.id) else Billed.NO
    event = {"canceledBy": caller.name, "billed": billed.value}
    moved = held(await jobs.move(tx, job.id, jobs.Change(to=JobStatus.CANCELED, billed=billed, event=event)))
    await ledger.release(tx, job.id)
    return moved


def _is_bought(job: Job, attempt: Attempt | None) -> bool:
    return job.status is JobStatus.UPLOADING or (attempt is not None and attempt.stage is Stage.ANSWERED)


async def _receipt(tx: Transaction, job: Job, attempt: Attempt | None) -> Receipt:
    micros = await ledger.committed_micros(tx, job.id, ("posted", "unknown", "reserved"))
    outcome, detail = CancelOutcome.STOP_REQUESTED, "The provider is asked to stop; what it has begun may still be charged."
    if job.status is JobStatus.COMPLETED:
        outcome, detail = CancelOutcome.TOO_LATE, "The picture was finished already; it is at publicUrl."
    elif job.status is not JobStatus.CANCELED and _is_bought(job, attempt):
        outcome, detail = CancelOutcome.TOO_LATE, "The picture is bought already and is being stored; read the job for it."
    elif job.status is JobStatus.CANCELED and micros == 0:
        outcome, detail = CancelOutcome.STOPPED_BEFORE_SPEND, "The job is canceled, and nothing was charged."
    elif job.status is JobStatus.CANCELED:
        detail = "The job is canceled; what was sent to the provider before may have been charged."
    return Receipt(job=job, outcome=outcome, may_cost_micros=micros, detail=detail)
