"""A PostgreSQL for the tests, and a fresh migrated database for each of them."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from imagejobs import embedded

DEBIAN = Path("/usr/lib/postgresql")


def fast_directory() -> Path:
    """A new directory in memory where there is one: tests make hundreds of databases, and none must outlive a power cut."""
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a directory of its own
    base = memory if memory.is_dir() and shutil.disk_usage(memory).free > 2**30 else None
    directory = Path(tempfile.mkdtemp(prefix="imagejobs-test-", dir=base))
    directory.chmod(0o755)
    return directory


@contextmanager
def wheel_server() -> Iterator[str]:
    """The server that `imagejobs up` brings, in a directory of its own; its superuser's address."""
    directory = fast_directory()
    data = directory / "data"
    data.mkdir(mode=0o755)
    server = embedded.start(data, system_dir=directory / "system")
    try:
        yield server.dsn
    finally:
        server.release()
        shutil.rmtree(directory, ignore_errors=True)


def debian_binaries() -> Path | None:
    """The newest PostgreSQL that Debian installed here."""
    found = sorted(DEBIAN.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def debian_server(port: int) -> Iterator[str]:
    """A throw-away cluster of Debian's PostgreSQL; its superuser's address."""
    binaries = debian_binaries()
    assert binaries is not None
    directory = fast_directory()
    data = directory / "cluster"
    data.mkdir()
    user = "postgres"
    shutil.chown(data, user, user)
    password = directory / "password"
    password.write_text("for-tests-on-loopback\n")
    password.chmod(0o644)

    def run(*words: str) -> None:
        subprocess.run(words, check=True, user=user, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=on"
    run(
        str(binaries / "initdb"),
        *("-D", str(data), "-U", "imagejobs", "-A", "scram-sha-256", "--pwfile", str(password)),
        *("-E", "UTF8", "--locale=C"),
    )
    run(str(binaries / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(data / "log"), "-w", "start")
    try:
        yield f"postgresql://imagejobs:for-tests-on-loopback@127.0.0.1:{port}/postgres"
    finally:
        run(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(directory, ignore_errors=True)


def sibling(dsn: str, database: str) -> str:
    """The address of another database on the same server."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(path=f"/{database}"))
