"""`imagejobs worker`: one worker alone."""

import asyncio
from typing import Annotated

import typer
import uvloop

from imagejobs import __version__
from imagejobs.bootstrap import Role, open_deps, storage_place
from imagejobs.cli.console import command_app
from imagejobs.cli.lifeline import Announcer, watch_parent
from imagejobs.cli.logs import configure_logging
from imagejobs.settings import Settings, load_settings
from imagejobs.worker import drain_on_signals, run_worker

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

    ```
    DATABASE_URL=postgresql://… imagejobs worker --concurrency 50
    ```

    SIGTERM or Ctrl-C lets the jobs in hand end; a second one quits at once and leaves them to other workers.
    """
    settings = load_settings(concurrency=concurrency)
    configure_logging(settings)
    if is_child:
        watch_parent()
    uvloop.run(_work(settings, Announcer(is_child=is_child)))


async def _work(settings: Settings, announce: Announcer) -> None:
    """Work until SIGTERM or SIGINT, then finish the jobs in hand."""
    stop = asyncio.Event()
    async with open_deps(settings, Role.WORKER) as deps:
        drain_on_signals(stop, lambda: announce("draining: finishing the jobs in hand; a second signal quits at once"))
        providers = ", ".join(deps.providers) or "none"
        first = f"imagejobs {__version__} worker, {settings.concurrency} jobs at once, providers: {providers}"
        announce(f"{first}\npictures: {storage_place(settings)}")
        await run_worker(deps, settings.concurrency, stop)
