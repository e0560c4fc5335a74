"""`imagejobs providers`: who makes the pictures, and whether they can."""

import asyncio
from typing import Annotated

import typer

from imagejobs.app.findings import Finding
from imagejobs.cli.check_providers import WHOLE_SECONDS, provider_findings
from imagejobs.cli.console import command_app
from imagejobs.cli.findings import collected, report
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
    raise report(asyncio.run(_found()), as_json=as_json)


async def _found() -> list[Finding]:
    return await collected("providers", provider_findings(load_settings()), WHOLE_SECONDS)
