"""A PostgreSQL for the tests, and a fresh migrated database for each of them."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class DebianServer:
    """A throw-away cluster of Debian's PostgreSQL."""

    binaries: Path
    data: Path
    port: int

    @property
    def dsn(self) -> str:
        return f"postgresql://imagejobs:for-tests-on-loopback@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=on"
        self.control("-o", options, "-l", str(self.data / "log"), "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        self.control("-m", mode, "-w", "stop")

    def control(self, *words: str) -> None:
        as_postgres(str(self.binaries / "pg_ctl"), "-D", str(self.data), *words)


def as_postgres(*words: str) -> None:
    """Run a program of PostgreSQL as the user that Debian made for it."""
    subprocess.run(words, check=True, user="postgres", cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of its own, in memory, that is soon full; only root may have one."""
    place = Path(tempfile.mkdtemp(prefix="imagejobs-test-disk-"))
    mount = ("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(place))
    unmount = ("umount", "--lazy", str(place))
    subprocess.run(mount, check=True, stdin=subprocess.DEVNULL)
    try:
        yield place
    finally:
        subprocess.run(unmount, check=True, stdin=subprocess.DEVNULL)
        place.rmdir()


@contextmanager
def debian_server(port: int, directory: Path | None = None) -> Iterator[DebianServer]:
    """A running cluster, in `directory` or in memory, gone when the block ends."""
    binaries = debian_binaries()
    assert binaries is not None
    directory = directory or fast_directory()
    data = directory / "cluster"
    data.mkdir()
    shutil.chown(data, "postgres", "postgres")
    password = directory / "password"
    password.write_text("for-tests-on-loopback\n")
    password.chmod(0o644)
    as_postgres(
        *(str(binaries / "initdb"), "-D", str(data), "-U", "imagejobs", "-A", "scram-sha-256"),
        *("--pwfile", str(password), "-E", "UTF8", "--locale=C", "--wal-segsize=1"),
    )
    server = DebianServer(binaries=binaries, data=data, port=port)
    server.start()
    try:
        yield server
    finally:
        with suppress(subprocess.CalledProcessError):
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def sibling(dsn: str, database: str) -> str:
    """The address of another database on the same server."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(path=f"/{database}"))
