"""What can go wrong between a program and the service.

ClientError
├─ Unreachable      no usable answer, however often it was asked
├─ Refused          the service said no, and why
├─ WaitTimedOut     the jobs go on, the waiting ended
└─ Interrupted      a download broke off
"""

from collections.abc import Collection, Mapping
from typing import Any


class ClientError(Exception):
    """Root of the tree; its text is a sentence for a person."""


class Unreachable(ClientError):
    """No usable answer; whether the service acted on the request is not known, but repeating it under its key is safe.

    `open_ids` are the jobs that were waited for; they go on.
    """

    def __init__(self, text: str, open_ids: Collection[str] = ()) -> None:
        self.open_ids = tuple(open_ids)
        super().__init__(text)


class Refused(ClientError):
    """The service answered with a problem (RFC 9457); `problem` is that document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", "UNKNOWN"))
        self.reason = str(problem.get("reason", "unknown"))
        self.detail = str(problem.get("detail") or problem.get("title") or f"The service answered {status}.")
        super().__init__(self.detail)


class WaitTimedOut(ClientError):
    """The time to wait is over; the jobs `open_ids` go on."""

    def __init__(self, open_ids: Collection[str], seconds: float) -> None:
        self.open_ids = tuple(open_ids)
        super().__init__(f"Not finished after {seconds:g} s.")


class Interrupted(ClientError):
    """A picture could not be fetched whole, or not be saved; nothing was left on the disk."""
