"""`imagejobs doctor`: everything checked, each with what to do."""

import asyncio
from typing import Annotated

import typer

from imagejobs.cli.checks import examine
from imagejobs.cli.console import command_app
from imagejobs.cli.findings import report

app = command_app()


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for each finding.")] = False,
) -> None:
    """Check everything that the service needs here, and say what to do about what is wrong.

    It looks at the settings, the data directory, the database, its clock and its schema, the engine's tables, workers and
    stuck jobs, how long pictures take, open circuits, the storage with its key, bucket and policies, each provider (free of
    charge), the running service and your key to it. Nothing is made or changed that stays: small files are written where
    pictures are kept and removed again, and an embedded database that is stopped runs for a moment. Each line begins with
    ✓, with ✗ and has the next step below it, or with a dash for what may do as it is. The exit code is 1 if a check failed
    (✗).

    ```
    imagejobs doctor
    imagejobs doctor --json | jq 'select(.level != "ok")'
    ```
    """
    raise report(asyncio.run(examine()), as_json=as_json)
