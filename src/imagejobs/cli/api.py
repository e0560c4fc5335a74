"""`imagejobs api`: the web API alone."""

import socket
from typing import Annotated

import typer
import uvloop

from imagejobs.bootstrap import serve_api
from imagejobs.cli.console import command_app
from imagejobs.cli.lifeline import Announcer, watch_parent
from imagejobs.cli.listening import listen
from imagejobs.cli.logs import configure_logging
from imagejobs.settings import load_settings

app = command_app()


@app.command()
def api(
    host: Annotated[str | None, typer.Option(help="The address to listen on [IMAGEJOBS_HOST, 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 takes any free one [PORT, 3001].", min=0, max=65535)] = None,
    inherited: Annotated[int | None, typer.Option("--inherited-socket", hidden=True)] = None,
) -> None:
    """Run the web API alone, on the database that DATABASE_URL names.

    It never migrates: run `imagejobs migrate` first. Any number of them may share one database.

        DATABASE_URL=postgresql://… imagejobs api --port 3001

    SIGTERM or Ctrl-C lets open requests end; a second one quits at once.
    """
    settings = load_settings(host=host, port=port)
    configure_logging(settings)
    if inherited is None:
        listening = listen(settings.host, settings.port)
        settings = settings.model_copy(update={"port": listening.getsockname()[1]})
    else:
        listening = socket.socket(fileno=inherited)
        watch_parent()
    announce = Announcer(is_child=inherited is not None)
    uvloop.run(serve_api(settings, sockets=[listening], announce=announce))
