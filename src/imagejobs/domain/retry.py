"""What follows an error: again later, a snooze, or the end. Pure; the caller supplies clock and chance."""

from dataclasses import dataclass
from typing import assert_never

from imagejobs.errors import ImageJobsError, ProviderPaused, ProviderThrottled, Retry, StatedWait

MIN_SNOOZE_SECONDS = 1.0
MAX_SNOOZE_SECONDS = 15 * 60.0
PATIENCE_SECONDS = 10.0
"""The longest wait for one model while another one waits for the job."""


@dataclass(frozen=True, kw_only=True)
class RetrySchedule:
    """Exponential backoff with full jitter (A10): waits of up to base, 2·base, … cap seconds."""

    base_seconds: float = 1.0
    cap_seconds: float = 10.0
    max_retries: int = 3

    def ceiling(self, retries_used: int) -> float:
        """The longest wait before retry number `retries_used + 1`."""
        return min(self.cap_seconds, self.base_seconds * 2.0 ** min(retries_used, 32))


@dataclass(frozen=True, kw_only=True)
class RetryState:
    """How much of its automatic allowance a job has used, how long it may still live, and what can still be asked."""

    retries_used: int
    max_retries: int
    seconds_left: float
    is_resumable: bool = False  # after a lost answer: the same purchase can be sent or asked for again
    has_fallback: bool = False  # another model waits for the job, so that it need not wait long for this one


@dataclass(frozen=True)
class GiveUp:
    """Fail the job with this error."""


@dataclass(frozen=True)
class TryLater:
    """Back to the queue for `delay_seconds`, using up one retry if `counts`."""

    delay_seconds: float
    counts: bool


Decision = GiveUp | TryLater


def decide(error: ImageJobsError, state: RetryState, schedule: RetrySchedule, chance: float) -> Decision:
    """What to do about `error`; `chance` in [0, 1) spreads the waits.

    A wait that would outlive the deadline is no wait: the job fails now, with the error that made it wait.
    """
    match error.retry:
        case Retry.NEVER:
            return GiveUp()
        case Retry.LATER | Retry.RECONCILE:
            if error.retry is Retry.RECONCILE and not state.is_resumable:
                return GiveUp()
            if state.retries_used >= state.max_retries:
                return GiveUp()
            delay, counts = schedule.ceiling(state.retries_used) * chance, True
        case Retry.SNOOZE:
            stated = error.retry_after_seconds if isinstance(error, StatedWait) else None
            delay, counts = _snooze(stated, state, schedule, chance), False
            if state.has_fallback and isinstance(error, ProviderThrottled | ProviderPaused):
                return _impatient(error, TryLater(delay, counts=True), state)
        case _:
            assert_never(error.retry)
    return TryLater(delay, counts) if delay < state.seconds_left else GiveUp()


def _impatient(error: ImageJobsError, wait: TryLater, state: RetryState) -> Decision:
    """With another model to go on to: a wait counts as a retry, a long one is not made, nor one for an outage."""
    is_long = isinstance(error, ProviderPaused) or wait.delay_seconds > min(PATIENCE_SECONDS, state.seconds_left)
    return GiveUp() if is_long or state.retries_used >= state.max_retries else wait


def _snooze(stated: float | None, state: RetryState, schedule: RetrySchedule, chance: float) -> float:
    if stated is None:
        return max(MIN_SNOOZE_SECONDS, schedule.ceiling(state.retries_used) * (1 + chance))
    if stated > state.seconds_left:
        return stated
    return min(max(stated, MIN_SNOOZE_SECONDS), MAX_SNOOZE_SECONDS)
