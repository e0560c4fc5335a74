"""`imagejobs doctor`: everything checked, each with what to do."""

import asyncio
from typing import Annotated

import typer

from imagejobs.cli.checks import Finding, Level, examine
from imagejobs.cli.console import command_app, print_json, printable
from imagejobs.cli.exits import ExitCode

app = command_app()


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for each finding.")] = False,
) -> None:
    """Check everything that the service needs here, and say what to do about what is wrong.

    It looks at the settings, the data directory, the database and its schema, the engine's tables, the storage and who may
    write there, each provider (free of charge), the running service and your key to it. Nothing is made or changed that
    stays: small files are written where pictures are kept and removed again, and an embedded database that is stopped
    runs for a moment. The exit code is 1 if a check failed.

    ```
    imagejobs doctor
    imagejobs doctor --json | jq 'select(.level != "ok")'
    ```
    """
    findings = asyncio.run(examine())
    for finding in findings:
        if as_json:
            print_json(finding.document())
        else:
            print(line_of(finding))
    failed = any(finding.level is Level.FAIL for finding in findings)
    raise typer.Exit(ExitCode.JOB_FAILED if failed else ExitCode.OK)


def line_of(finding: Finding) -> str:
    """The finding for a person, and below it what to do."""
    advice = f"\n{'':<23}→ {printable(finding.advice)}" if finding.advice else ""
    return f"{finding.level.value:<5} {finding.subject:<16} {printable(finding.detail)}{advice}"
