"""`imagejobs up`: everything in one go.

Lock, socket, database, key, children; then waiting; then all of it backwards.
"""

import asyncio
import logging
import os
import signal
import socket
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self

import typer

from imagejobs.app.keys import create_key
from imagejobs.bootstrap import default_provider, load_providers, migrate_database
from imagejobs.cli.banner import Ready, banner
from imagejobs.cli.console import command_app, print_either
from imagejobs.cli.embedded import EmbeddedDatabase
from imagejobs.cli.exits import ExitCode
from imagejobs.cli.home import Home, Running
from imagejobs.cli.listening import listen, url_of
from imagejobs.cli.local import opened, refuse_lone_direct_url
from imagejobs.cli.logs import configure_logging
from imagejobs.cli.readiness import READY, readiness
from imagejobs.cli.supervisor import Child, ChildRefused, Supervisor
from imagejobs.db.access import key_by_id
from imagejobs.db.pool import Database
from imagejobs.domain.access import Scope, parse_key
from imagejobs.errors import ConfigurationError
from imagejobs.settings import Settings, environment_with, load_settings, variable_of

app = command_app()


@app.command()
def up(
    as_json: Annotated[
        bool, typer.Option("--json", help="Once ready, print one line: `{url, apiKey, databaseUrl, dataDir, pid}`.")
    ] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Open no browser; nothing opens one yet.")] = False,  # noqa: ARG001 - for scripts, which need not change once there are pages
    host: Annotated[str | None, typer.Option(help="The address to listen on [IMAGEJOBS_HOST, 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 takes any free one [PORT, 3001].", min=0, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes [IMAGEJOBS_WORKERS, 1].", min=0, max=64)] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where database, pictures and key are kept [IMAGEJOBS_DATA_DIR, ~/.local/share/imagejobs]; the "
            "database of root lies in /var/lib/imagejobs instead, unless PostgreSQL's own user may enter that directory."
        ),
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


_START_SECONDS = 120.0
_SKETCH = "sketch"
_DECIDED = ("database_url", "data_dir", "default_provider", "host", "public_url", "port")

logger = logging.getLogger(__name__)


class Signals:
    """The first signal asks for an orderly end, the second for a quick one, the third gets an abrupt one."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.quit = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(signum) is not signal.SIG_IGN:  # as nohup leaves it
                loop.add_signal_handler(signum, self._on_signal)

    def _on_signal(self) -> None:
        if self.quit.is_set():
            os._exit(ExitCode.INTERRUPTED)
        if self.stop.is_set():
            self.quit.set()
        self.stop.set()


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where everything is: the directory that is ours, the socket, and its address."""

    home: Home
    listening: socket.socket
    url: str

    @classmethod
    def take(cls, settings: Settings, stack: AsyncExitStack) -> Self:
        """Lock the data directory, bind the socket, and tell the other commands; all given back when `stack` ends."""
        home = Home(settings.data_dir)
        stack.enter_context(home.occupy())
        listening = stack.enter_context(listen(settings.host, settings.port))
        url = url_of(listening)
        stack.callback(home.withdraw)
        home.announce(Running(url=url, pid=os.getpid()))
        return cls(home=home, listening=listening, url=url)


async def run_everything(settings: Settings, *, as_json: bool) -> ExitCode:
    """Run until a signal; raises ConfigurationError for what cannot start as it is set up."""
    began = time.monotonic()
    signals = Signals()
    async with AsyncExitStack() as stack:
        site = Site.take(settings, stack)
        embedded = await _database(settings, site, stack)
        ready = await _prepare(settings, site, embedded)
        if signals.stop.is_set():
            return ExitCode.OK
        supervisor = Supervisor(_children(ready.settings, site), environment_with(_handed_on(ready.settings)))
        supervisor.start()
        keeping = asyncio.create_task(_keep_database(embedded, supervisor, ready.settings, signals.stop))
        stack.push_async_callback(_end, supervisor, signals, keeping)
        if await _is_ready(supervisor, site.url, signals.stop):
            print_either(ready.document(), banner(ready, time.monotonic() - began), as_json=as_json)
            await signals.stop.wait()
    return ExitCode.INTERRUPTED if signals.quit.is_set() else ExitCode.OK


async def _prepare(settings: Settings, site: Site, embedded: EmbeddedDatabase | None) -> Ready:
    """Choose the defaults, bring the database to this version, and have a key for it."""
    decided = await _decided(settings, site, embedded)
    await migrate_database(decided)
    key = await ensure_admin_key(decided, site.home)
    return Ready(
        settings=decided, url=site.url, admin_key=key, home=site.home, embedded=embedded.server if embedded else None
    )


async def _database(settings: Settings, site: Site, stack: AsyncExitStack) -> EmbeddedDatabase | None:
    if settings.database_url is not None:
        return None
    refuse_lone_direct_url(settings)
    logger.info("starting a PostgreSQL of its own in %s; the first time takes some seconds", site.home.path)
    embedded = await EmbeddedDatabase.start(site.home.path)
    stack.push_async_callback(embedded.release)
    return embedded


async def _decided(settings: Settings, site: Site, embedded: EmbeddedDatabase | None) -> Settings:
    """The settings with every default that `up` chooses."""
    decided: dict[str, object] = {"data_dir": site.home.path, "port": site.listening.getsockname()[1]}
    if embedded is not None:
        decided["database_url"] = embedded.server.dsn
    if settings.public_url is None:
        decided["public_url"] = site.url
    providers = load_providers(settings)
    for provider in providers.values():
        await provider.close()
    chosen = default_provider(settings, list(providers))
    decided["default_provider"] = _SKETCH if chosen is None and set(providers) <= {_SKETCH} else chosen
    return settings.model_copy(update=decided)


def _handed_on(settings: Settings) -> dict[str, str]:
    """What the children must know; through the environment, because every local user can read a command line."""
    decided = {variable_of(field): getattr(settings, field) for field in _DECIDED}
    return {name: str(value) for name, value in decided.items() if value is not None}


def _children(settings: Settings, site: Site) -> list[Child]:
    descriptor = site.listening.fileno()
    api = Child(name="api", arguments=("api", f"--inherited-socket={descriptor}"), inherited=(descriptor,))
    return [api, *(Child(name=f"worker-{number}", arguments=("worker", "--child")) for number in range(settings.workers))]


async def _is_ready(supervisor: Supervisor, url: str, stop: asyncio.Event) -> bool:
    """True once jobs are taken, False where a signal came first."""
    ready = asyncio.create_task(_until_ready(supervisor, url))
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({ready, stopping}, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if ready in done:
            ready.result()
    except ChildRefused as refusal:
        raise ConfigurationError([f"The {refusal} cannot start; it says above why."]) from refusal
    finally:
        ready.cancel()
        stopping.cancel()
    if not done:
        raise ConfigurationError([f"Not ready within {_START_SECONDS:.0f} s; the log above says why."])
    return stopping not in done


async def _until_ready(supervisor: Supervisor, url: str) -> None:
    await supervisor.started()
    while await asyncio.to_thread(readiness, url) != READY:  # noqa: ASYNC110 - another process is waited for
        await asyncio.sleep(0.05)


async def _keep_database(
    embedded: EmbeddedDatabase | None, supervisor: Supervisor, settings: Settings, stop: asyncio.Event
) -> None:
    if embedded is None:
        return

    def on_moved() -> None:
        moved = settings.model_copy(update={"database_url": embedded.server.dsn})
        supervisor.replace_environment(environment_with(_handed_on(moved)))

    await embedded.keep(stop, on_moved)


async def _end(supervisor: Supervisor, signals: Signals, keeping: "asyncio.Task[None]") -> None:
    """Stop everything in order, or at once where a second signal asks for it."""
    signals.stop.set()
    stopping = asyncio.create_task(supervisor.stop())
    quitting = asyncio.create_task(signals.quit.wait())
    await asyncio.wait({stopping, quitting}, return_when=asyncio.FIRST_COMPLETED)
    if quitting.done():
        supervisor.kill()
    quitting.cancel()
    await stopping
    await keeping


async def ensure_admin_key(settings: Settings, home: Home) -> str:
    """The kept key if the database still accepts it, else a new one, kept in its place."""
    async with opened(settings) as database:
        kept = home.read_admin_key()
        if kept is not None and await _is_accepted(database, kept):
            return kept
        made = str(await create_key(database, f"up on {socket.gethostname()}", scopes={Scope.ADMIN}))
    home.keep_admin_key(made)
    return made


async def _is_accepted(database: Database, text: str) -> bool:
    key = parse_key(text)
    if key is None:
        return False
    async with database.connection() as connection:
        known = await key_by_id(connection, key.id)
    return known is not None and known.is_opened_by(key, datetime.now(UTC)) and Scope.ADMIN.value in known.scopes
