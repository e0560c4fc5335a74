"""`imagejobs verify`: whether everything that must hold does."""

import sys
from typing import Annotated

import typer

from imagejobs.app.verify import Findings, verify_all
from imagejobs.bootstrap import make_storage
from imagejobs.cli.console import command_app, print_json, printable
from imagejobs.cli.exits import ExitCode
from imagejobs.cli.local import use_database
from imagejobs.db.pool import Database
from imagejobs.settings import load_settings

app = command_app()


@app.command()
def verify(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one line of JSON.")] = False) -> None:
    """Check every promise that rows and files can show, and read every stored picture.

    It changes nothing and may run while the service does. Run it after a crash, a restore, or for a good night's sleep.

    ```
    imagejobs verify && echo sound
    ```
    """
    findings = use_database(_verify)
    if as_json:
        print_json({**vars(findings), "isSound": findings.is_sound})
    else:
        _print(findings)
    if not findings.is_sound:
        raise typer.Exit(ExitCode.JOB_FAILED)


async def _verify(database: Database) -> Findings:
    storage = make_storage(load_settings())
    try:
        return await verify_all(database, storage)
    finally:
        await storage.close()


def _print(findings: Findings) -> None:
    for name, rows in findings.broken.items():
        print(f"broken: {name} ({len(rows)} rows)")
        for row in rows[:5]:
            print(f"  {printable(row)}")
    for key in findings.missing:
        print(f"missing: {printable(key)}")
    for key in findings.altered:
        print(f"not as recorded: {printable(key)}")
    if findings.unread:
        print(f"not read on after {findings.pictures} pictures: {printable(findings.unread)}")
    if findings.is_sound:
        print(f"Sound: every invariant holds, and {findings.pictures} pictures are there as recorded.", file=sys.stderr)
