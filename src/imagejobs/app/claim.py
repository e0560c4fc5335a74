"""Claim: take a delivered job over, or find that there is nothing to do."""

from uuid import UUID

from imagejobs.app.conclude import conclude
from imagejobs.app.deps import Deps
from imagejobs.app.news import tell
from imagejobs.db import attempts, jobs, ledger
from imagejobs.domain.jobs import Claim, Stage
from imagejobs.domain.lifecycle import MAX_DEATHS
from imagejobs.errors import DeadlineExceeded, ImageJobsError, Poison


async def claim_job(deps: Deps, job_id: UUID, delivery_no: int, held_fence: int | None = None) -> Claim | None:
    """The right to move the job, its fence raised; None where the message is stale or the job is at its end.

    Every earlier claim of the job ends here: what its worker still writes under the old fence changes nothing. A worker
    that claims again after an outage names the fence it held, and gets nothing if somebody claimed meanwhile.
    """
    await deps.probe("claim.before")
    async with deps.database.transaction() as tx:
        found = await jobs.claim(tx, job_id, delivery_no, deps.worker_id, held_fence)
        if found is None:
            return None
        job, seconds_left = found
        attempt = await attempts.open_attempt_of(tx, job_id)
        if attempt is None and job.attempt_count > 0:
            attempt = await attempts.reopen(tx, job_id)
            if attempt is not None:
                await ledger.release(tx, job_id)  # held for another purchase, before this answer came
                job = await jobs.assign(tx, job_id, attempt.provider, attempt.model)
    tell(deps, job_id)
    await deps.probe("claim.after_commit")
    claim = Claim(job=job, attempt=attempt, seconds_left=seconds_left, claimed_at=deps.clock.monotonic())
    doom = _doom(claim)
    if doom is None:
        return claim
    await conclude(deps, claim, doom)
    return None


def _doom(claim: Claim) -> ImageJobsError | None:
    """Why the job must not go on. A picture that is paid for is stored even late."""
    deaths = claim.job.death_count
    if deaths >= MAX_DEATHS:
        return Poison(f"{deaths} workers died while working on this job; look at their logs before retrying it.")
    is_paid = claim.attempt is not None and claim.attempt.stage is Stage.ANSWERED
    if claim.seconds_left <= 0 and not is_paid:
        return DeadlineExceeded("The job's deadline passed before it could be finished; retry it, or allow more time.")
    return None
