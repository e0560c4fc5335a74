"""`imagejobs worker`: one worker alone."""

from typing import Annotated

import typer
import uvloop

from imagejobs.bootstrap import run_worker_process
from imagejobs.cli.console import command_app
from imagejobs.cli.lifeline import Announcer, watch_parent
from imagejobs.cli.logs import configure_logging
from imagejobs.settings import load_settings

app = command_app()


@app.command()
def worker(
    concurrency: Annotated[
        int | None, typer.Option(help="Jobs in hand at once [IMAGEJOBS_CONCURRENCY, 10].", min=1, max=2000)
    ] = None,
    is_child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
) -> None:
    """Run one worker alone, on the database that DATABASE_URL names.

    It never migrates: run `imagejobs migrate` first. Start as many as you like, on as many machines as you like.

        DATABASE_URL=postgresql://… imagejobs worker --concurrency 50

    SIGTERM or Ctrl-C lets the jobs in hand end; a second one quits at once and leaves them to other workers.
    """
    settings = load_settings(concurrency=concurrency)
    configure_logging(settings)
    if is_child:
        watch_parent()
    uvloop.run(run_worker_process(settings, announce=Announcer(is_child=is_child)))
