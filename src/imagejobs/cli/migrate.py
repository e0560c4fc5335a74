"""`imagejobs migrate`: the database brought to this version."""

import asyncio
from typing import Annotated

import typer

from imagejobs.bootstrap import migrate_database
from imagejobs.cli.console import command_app, print_either
from imagejobs.cli.local import located
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
    with located(load_settings(), create=True) as found:
        applied = asyncio.run(migrate_database(found.settings))
    words = f"Applied: {', '.join(applied)}" if applied else "Nothing to do: the database is up to date."
    print_either({"applied": applied}, words, as_json=as_json)
