"""`imagejobs providers`: who makes the pictures, and whether they can."""

import asyncio
from typing import Annotated

import typer

from imagejobs.cli.checks import Finding, Level, provider_findings
from imagejobs.cli.console import command_app, print_json
from imagejobs.cli.doctor import line_of
from imagejobs.cli.exits import ExitCode
from imagejobs.settings import load_settings

app = command_app(no_args_is_help=True, help="The providers that make the pictures.")


@app.callback()
def _group() -> None:
    """Keep the name of the one command."""


@app.command()
def check(
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for each.")] = False,
) -> None:
    """Ask each configured provider, free of charge, whether it answers and takes its key.

    The last line says who gets the jobs that name no model. The exit code is 1 if a provider cannot work.

    ```
    imagejobs providers check
    imagejobs providers check --json | jq -r 'select(.level == "fail").advice'
    ```
    """
    findings = asyncio.run(_found())
    for finding in findings:
        if as_json:
            print_json(finding.document())
        else:
            print(line_of(finding))
    failed = any(finding.level is Level.FAIL for finding in findings)
    raise typer.Exit(ExitCode.JOB_FAILED if failed else ExitCode.OK)


async def _found() -> list[Finding]:
    return [finding async for finding in provider_findings(load_settings())]
