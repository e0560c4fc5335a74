"""How the findings of a check are had and told. A check that breaks or hangs is a finding like any other."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import typer

from imagejobs.app.findings import Finding, Level, fail
from imagejobs.cli.console import print_either, printable
from imagejobs.cli.exits import ExitCode

CHECK_SECONDS = 30.0
_LETTING_GO_SECONDS = 3.0
_MARKS = {Level.OK: "✓", Level.WARN: "\N{EN DASH}", Level.FAIL: "✗"}


async def collected(subject: str, check: AsyncIterator[Finding], seconds: float = CHECK_SECONDS) -> list[Finding]:
    """The findings of one check, of whatever kind its end is: those it made before it broke or was given up count.

    An unforeseen error is told by its kind only, for its words may hold a password.
    """
    found: list[Finding] = []

    async def collect() -> None:
        async for finding in check:
            found.append(finding)  # noqa: PERF401 - what was found before a failure is kept

    task = asyncio.create_task(collect())
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        advice = "See that what it asks is up, and that the network lets it through; then try again."
        found.append(fail(subject, f"no answer within {seconds:g} s", advice))
        await _let_go(task)
    elif (error := _error_of(task)) is not None:
        advice = "Put right what stands above, then try again; if it stays, report it as a bug."
        found.append(fail(subject, f"could not be checked: {type(error).__name__}", advice))
    return found


def _error_of(task: "asyncio.Task[None]") -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


async def _let_go(task: "asyncio.Task[None]") -> None:
    """Cancel, and once more where it cleans up and hangs at that too."""
    for _ in range(2):
        task.cancel()
        await asyncio.wait({task}, timeout=_LETTING_GO_SECONDS)
        if task.done():
            _error_of(task)  # or Python would complain that nobody asked
            return


def report(findings: Iterable[Finding], *, as_json: bool) -> typer.Exit:
    """Tell them, a line each as they come; the exit to raise is that of a failed check where one failed."""
    code = ExitCode.OK
    for finding in findings:
        print_either(finding.document(), line_of(finding), as_json=as_json)
        code = ExitCode.JOB_FAILED if finding.level is Level.FAIL else code
    return typer.Exit(code)


def line_of(finding: Finding) -> str:
    """The finding for a person, and below it what to do; lines for pasting follow as they are."""
    first, *pasted = finding.advice.splitlines() or [""]
    advice = [f"{'':<19}→ {printable(first)}"] if first else []
    lines = [f"{_MARKS[finding.level]} {finding.subject:<16} {printable(finding.detail)}", *advice, *map(printable, pasted)]
    return "\n".join(lines)
