"""The database of the commands that need no service: the operator's, else the one in the data directory."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import typer
from pydantic.alias_generators import to_camel

from imagejobs.bootstrap import Role, open_database
from imagejobs.cli.console import Document, instant_of
from imagejobs.cli.exits import ExitCode
from imagejobs.cli.home import Home
from imagejobs.db.migrate import require_schema
from imagejobs.db.pool import Database
from imagejobs.embedded import start
from imagejobs.errors import ConfigurationError, NotFound
from imagejobs.settings import Settings, load_settings

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Located:
    """Settings that name a database; `files` are those of an embedded one."""

    settings: Settings
    files: Path | None


@contextmanager
def located(settings: Settings, *, create: bool = False) -> Iterator[Located]:
    """Settings that name a database. An embedded one is started or joined, and released when the block ends."""
    if settings.database_url is not None:
        yield Located(settings=settings, files=None)
        return
    refuse_lone_direct_url(settings)
    home = Home(settings.data_dir)
    if not create and not home.has_database():
        problem = f"There is no database in {home.path} yet: `imagejobs up` makes one."
        raise ConfigurationError([f"{problem} Or set DATABASE_URL, or IMAGEJOBS_DATA_DIR."])
    server = start(home.path)
    try:
        yield Located(settings=settings.model_copy(update={"database_url": server.dsn}), files=server.files)
    finally:
        server.release()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """Connections for one command."""
    database = await open_database(settings, Role.COMMAND)
    try:
        yield database
    finally:
        await database.close()


def use_database(use: Callable[[Database], Awaitable[Result]], *, if_not_found: str = "") -> Result:
    """What `use` makes of the database, whose schema must be this version's; ends the command where it is `NotFound`."""

    async def run(settings: Settings) -> Result:
        async with opened(settings) as database:
            async with database.connection() as connection:
                await require_schema(connection)
            return await use(database)

    with located(load_settings()) as found:
        try:
            return asyncio.run(run(found.settings))
        except NotFound as error:
            print(f"imagejobs: {error.detail} {if_not_found}".rstrip(), file=sys.stderr)
            raise typer.Exit(ExitCode.NOT_FOUND) from error


def refuse_lone_direct_url(settings: Settings) -> None:
    """Two databases must never be meant at once: one to migrate and another to use."""
    if settings.direct_database_url is not None and settings.database_url is None:
        raise ConfigurationError(["IMAGEJOBS_DIRECT_DATABASE_URL is set, but DATABASE_URL is not. Set both or neither."])


def document_of(value: object) -> Document:
    """The fields in camelCase, instants as `instant_of` tells them."""
    fields = vars(value).items()
    return {to_camel(name): instant_of(field) if isinstance(field, datetime) else field for name, field in fields}
