"""`imagejobs api`: the web API alone."""

import asyncio
import resource
import signal
import socket
from typing import Annotated

import typer
import uvicorn
import uvloop
from fastapi import FastAPI

from imagejobs import __version__
from imagejobs.app.waiters import Waiters
from imagejobs.bootstrap import Role, open_deps, storage_place
from imagejobs.cli.console import command_app
from imagejobs.cli.lifeline import Announcer, watch_parent
from imagejobs.cli.listening import listen
from imagejobs.cli.logs import configure_logging
from imagejobs.cli.sign_in import tokens_of
from imagejobs.settings import Settings, load_settings
from imagejobs.web.limits import BoundedProtocol
from imagejobs.web.rates import Rates
from imagejobs.web.server import create_app, routes_of

app = command_app()


@app.command()
def api(
    host: Annotated[str | None, typer.Option(help="The address to listen on [IMAGEJOBS_HOST, 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 takes any free one [PORT, 3001].", min=0, max=65535)] = None,
    inherited: Annotated[int | None, typer.Option("--inherited-socket", hidden=True)] = None,
) -> None:
    """Run the web API alone, on the database that DATABASE_URL names.

    It never migrates: run `imagejobs migrate` first. Any number of them may share one database.

    ```
    DATABASE_URL=postgresql://… imagejobs api --port 3001
    ```

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
    uvloop.run(_serve(settings, listening, announce))


_SPARED_FILES = 100  # for the database, pictures and uploads, however many connections there are


def most_connections(most_files: int) -> int | None:
    """How many clients may be connected at once, None for any number, where the process may open so many files."""
    return None if most_files == resource.RLIM_INFINITY else max(most_files - _SPARED_FILES, most_files // 2)


async def _serve(settings: Settings, listening: socket.socket, announce: Announcer) -> None:
    """Serve until SIGTERM or SIGINT; says where it listens and which routes there are (A13)."""
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, lambda: None)  # uvicorn raises its signal again in the end; that must not kill us
    tokens = tokens_of(settings)
    async with open_deps(settings, Role.API) as deps:
        rates = Rates(
            per_key=settings.requests_per_minute,
            per_address=settings.address_requests_per_minute,
            failures_per_address=settings.address_failures_per_minute,
        )
        app = create_app(deps, tokens=tokens, cors_origins=settings.cors_origins, rates=rates)
        first = [f"imagejobs {__version__} API on {settings.served_url}", f"pictures: {storage_place(settings)}"]
        announce("\n".join([*first, *routes_of(app)]))
        await DrainingServer(app, deps.waiters).serve([listening])


class DrainingServer(uvicorn.Server):
    """Sends away whoever waits for news before it waits for the open requests to end."""

    def __init__(self, app: FastAPI, waiters: Waiters) -> None:
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=10,
            limit_concurrency=most_connections(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        )
        super().__init__(config)
        self._waiters = waiters

    async def on_tick(self, counter: int) -> bool:
        bounded = [one for one in self.server_state.connections if isinstance(one, BoundedProtocol)]
        for connection in bounded if counter % 10 == 0 else ():  # each second
            connection.hang_up_if_late()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._waiters.close()
        await super().shutdown(sockets)
