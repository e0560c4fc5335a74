"""How jobs move, shown on stderr: a line for each event, and at a terminal what is going on just now."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from imagejobs.cli.console import printable
from imagejobs.client import FINAL_STATUSES, Event

_COLORS = {"completed": "green", "failed": "red", "canceled": "yellow", "queued": "cyan"}
_NOW = {
    "queued": "waiting for a worker",
    "processing": "preparing",
    "generating": "the provider is drawing",
    "uploading": "storing the picture",
}


class Progress:
    """Lines that scroll, in plain text where `stream` is no terminal or NO_COLOR is set."""

    def __init__(self, job_ids: Sequence[str], stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._numbers = {job_id: number for number, job_id in enumerate(job_ids, 1)}
        self._open = set(job_ids)
        self._began = dict.fromkeys(job_ids, 0.0)
        is_lively = self._console.is_terminal and not self._console.no_color
        self._status: Status | None = self._console.status("") if is_lively else None

    def show(self, job_id: str, event: Event) -> None:
        """One line: seconds since the job was made, its new state, and why."""
        at = event.at.timestamp()
        self._began[job_id] = self._began[job_id] or at
        word = event.kind.removeprefix("job.").replace("_", " ")
        color = _COLORS.get(word, "default")
        label = f"#{self._numbers[job_id]:<3} " if len(self._numbers) > 1 else ""
        why = escape(printable(_why(event)))
        self._console.print(f"{label}{at - self._began[job_id]:8.2f} s  [{color}]{escape(word)}[/]{why and '  ' + why}")
        if event.status in FINAL_STATUSES:
            self._open.discard(job_id)
        if self._status is not None:
            now = "waiting to try again" if "retryInSeconds" in event.data else _NOW.get(event.status or word, word)
            self._status.update(self._now(now))
            if not self._open:
                self._status.stop()

    def tell_silence(self, why: str) -> None:
        """One line: the service is away, and is waited for."""
        self._console.print(f"[yellow]{escape(printable(why))} The job goes on; waiting for the service …[/]")

    def _now(self, what: str) -> str:
        several = len(self._numbers) > 1
        return f"{len(self._open)} of {len(self._numbers)} still to come …" if several else f"{what} …"

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._status is not None:
            self._status.stop()


def _why(event: Event) -> str:
    """What an event says beside the state: the error, whether it cost money, and when it goes on.

    The last error's words are left to the report that follows.
    """
    data = event.data
    parts = []
    if "reason" in data:
        parts.append(f"{data['reason']}, billed: {data.get('billed', 'unknown')}.")
    if data.get("message") and event.status not in FINAL_STATUSES:
        parts.append(str(data["message"]))
    if "nextModel" in data:
        parts.append(f"Goes on with {data['nextModel']}.")
    if "retryInSeconds" in data:
        parts.append(f"Again in {data['retryInSeconds']:.1f} s.")
    return " ".join(parts)
