"""`imagejobs migrate`: the database brought to this version."""

import asyncio
from typing import Annotated

import typer

from imagejobs.bootstrap import migrate_database
from imagejobs.cli.console import command_app, print_json
from imagejobs.cli.local import with_database
from imagejobs.settings import load_settings

app = command_app()


@app.command()
def migrate(as_json: Annotated[bool, typer.Option("--json", help='Print `{"applied": […]}`.')] = False) -> None:
    """Bring the database to this version, and say what was done.

    Twice is harmless. Steps are taken one by one, each whole or not at all; two runs at once take turns. Without
    DATABASE_URL it is the database in the data directory, which is made where there is none.

    ```
    DATABASE_URL=postgresql://… imagejobs migrate
    ```
    """
    with with_database(load_settings(), create=True) as settings:
        applied = asyncio.run(migrate_database(settings))
    if as_json:
        print_json({"applied": applied})
    elif applied:
        print("Applied: " + ", ".join(applied))
    else:
        print("Nothing to do: the database is up to date.")
