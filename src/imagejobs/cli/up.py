"""`imagejobs up`: everything in one go."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from imagejobs.cli.console import command_app
from imagejobs.cli.everything import run_everything
from imagejobs.cli.logs import configure_logging
from imagejobs.settings import load_settings

app = command_app()


@app.command()
def up(
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Once ready, print one line: `{url, apiKey, databaseUrl, dataDir, pid}`."),
    ] = False,
    no_open: Annotated[  # noqa: ARG001 - accepted already, so that scripts need not change once there are pages
        bool,
        typer.Option("--no-open", help="Open no browser. There are no pages yet, so none is opened anyway."),
    ] = False,
    host: Annotated[str | None, typer.Option(help="The address to listen on [IMAGEJOBS_HOST, 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 takes any free one [PORT, 3001].", min=0, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes [IMAGEJOBS_WORKERS, 1].", min=0, max=64)] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where database, pictures and key are kept [IMAGEJOBS_DATA_DIR, ~/.local/share/imagejobs]."),
    ] = None,
) -> None:
    """Start everything: the database, the web API and the workers; and keep them running.

    Nothing needs to be set up. Without DATABASE_URL it brings its own PostgreSQL, without a provider's key it draws by
    itself, and the pictures go to the data directory. The admin key is made at the first start and shown at each.

    ```
    imagejobs up
    imagejobs up --port 0 --data-dir ./data --json
    ```

    Ctrl-C or SIGTERM lets the jobs in hand end; a second one quits at once. Accepted jobs are kept either way.
    """
    settings = load_settings(host=host, port=port, workers=workers, data_dir=data_dir)
    configure_logging(settings)
    raise typer.Exit(asyncio.run(run_everything(settings, as_json=as_json)))
