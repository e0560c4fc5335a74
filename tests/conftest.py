import itertools
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from imagejobs.db.migrate import migrate
from imagejobs.db.pool import Database, PoolOptions
from imagejobs.engine.pgq import install
from tests.support.databases import debian_server, sibling, wheel_server

_numbers = itertools.count()
PATIENT = PoolOptions(max_size=12, acquire_seconds=30.0)  # a hundred requests at once on a slow machine all have their turn


# A shell starts what it puts behind itself (`make test &`) deaf to ctrl-C, and the commands under test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", choices=["wheel", "debian"], default="wheel", help="the server the tests run on")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failed one: something that should have been installed was not."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or os.environ.get("CI") != "true":
        return
    if skipped := len(reporter.stats.get("skipped", [])):
        reporter.write_line(f"{skipped} skipped, and in CI nothing may be", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def free_port() -> int:
    """A port of this machine that nothing listens on, and that the kernel gives to nobody else while the tests run.

    A server that is started on it long after may still have it: one that is asked for by its number, and set up for a quick
    restart (`SO_REUSEADDR`) as all of ours are, is let in beside a socket that does not listen.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    port: int = keeper.getsockname()[1]
    keeper.detach()  # open until the process ends
    return port


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Iterator[str]:
    """A real server for the whole session; the address of its superuser."""
    if pytestconfig.getoption("--postgres") == "wheel":
        with wheel_server() as dsn:
            yield dsn
    else:
        with debian_server(free_port()) as server:
            yield server.dsn


@pytest.fixture(scope="session")
async def template(postgres: str) -> str:
    """The name of a migrated database that others are cloned from."""
    admin = await asyncpg.connect(postgres)
    name = f"template_{os.getpid()}"
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    connection = await asyncpg.connect(sibling(postgres, name))
    await migrate(connection, install)
    await connection.close()
    return name


@pytest.fixture
async def empty_dsn(postgres: str) -> AsyncIterator[str]:
    """An empty database for one test."""
    name = f"empty_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(postgres)
    await admin.execute(f"CREATE DATABASE {name}")
    yield sibling(postgres, name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def dsn(postgres: str, template: str) -> AsyncIterator[str]:
    """A migrated database for one test."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(postgres)
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield sibling(postgres, name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """A pool on a migrated database."""
    opened = await Database.connect(dsn, PATIENT)
    yield opened
    await opened.close()
