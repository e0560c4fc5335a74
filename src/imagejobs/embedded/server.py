"""Start, attach, release: one server per data directory, however many processes use it and however they end.

Three locks decide, and none can be stale. `postgresql.starting` is held alone while anybody starts or stops the server.
`.holders` is shared by every process that uses it: who gets it alone was the last. `.server` is inherited by the processes
of PostgreSQL, and by no others: who gets it knows that none of them lives, whatever the pid file says.
"""

import secrets
import socket
import time
from dataclasses import replace
from itertools import chain
from pathlib import Path

from imagejobs.embedded.cluster import DATABASE, USER, Cluster
from imagejobs.embedded.files import Lock
from imagejobs.embedded.programs import refusal

SYSTEM_DIR = Path("/var/lib/imagejobs")
HOST = "127.0.0.1"
PORTS = range(15_000, 30_000)  # below those of outgoing connections: one that we had is likely to be free again
READY_SECONDS = 120  # for crash recovery; an ordinary start takes a fraction of a second
LOG_BYTES = 5_000_000


class Server:
    """A running server, and this process's share in it."""

    def __init__(self, *, cluster: Cluster, holders: Lock, starting: Path, port: int) -> None:
        self._cluster, self._holders, self._starting = cluster, holders, starting
        self._released = False
        self.dsn = f"postgresql://{USER}:{cluster.record.password}@{HOST}:{port}/{DATABASE}"
        self.version = cluster.programs.version
        self.log = cluster.programs.log

    @property
    def files(self) -> Path:
        """Where the database files lie."""
        return self._cluster.path

    def release(self) -> bool:
        """End this process's share; True where it was the last one and the server is stopped. Again is harmless.

        Open transactions of clients are rolled back. A server that does not stop in time is left to the next start.
        """
        if self._released:
            return False
        self._released = True
        with Lock(self._starting) as starting, self._holders as holders:
            starting.acquire()
            return holders.try_acquire() and _stop(self._cluster)


def start(data_dir: Path, *, system_dir: Path = SYSTEM_DIR) -> Server:
    """Start the server of `data_dir`, or attach to it where it runs; makes directory and database on first use.

    Blocks: about a second the first time, a fraction of it later, up to two minutes after a crash. A process that is killed
    needs no repair: its server runs on, the next start attaches. `system_dir` is used by root only.
    Raises ConfigurationError with the ways out.
    """
    data_dir = data_dir.resolve()
    starting_path = data_dir / "postgresql.starting"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with Lock(starting_path) as starting:
            starting.acquire()
            return _start_or_attach(Cluster.locate(data_dir, system_dir.resolve()), starting_path)
    except OSError as error:
        raise refusal(f"{error}. Make room in {data_dir}, or let this user own it and what is in it.") from error


def _start_or_attach(cluster: Cluster, starting_path: Path) -> Server:
    holders = cluster.lock("holders")
    holders.share()
    try:
        with cluster.lock("server") as lock:
            port = _port_once_ready(cluster, lock)
            if port is None:
                cluster, port = _launch(cluster.ensure_created(lock), lock)
    except BaseException:
        holders.close()
        raise
    return Server(cluster=cluster, holders=holders, starting=starting_path, port=port)


def _port_once_ready(cluster: Cluster, lock: Lock) -> int | None:
    """The port of the running server; None, with `lock` taken, once no process of an earlier one lives."""
    deadline = time.monotonic() + READY_SECONDS
    while not lock.try_acquire():
        if (port := _answering_port(cluster.path)) is not None:
            return port
        if time.monotonic() > deadline:
            raise refusal("its processes are there, but do not answer. Wait, or end them.", cluster.programs.log)
        time.sleep(0.02)
    return None


def _answering_port(files: Path) -> int | None:
    """The port in PostgreSQL's own pid file, if the server says that it is ready and something listens there."""
    try:
        lines = (files / "postmaster.pid").read_text().splitlines()
        if len(lines) < 8 or lines[7].strip() != "ready":
            return None
        with socket.create_connection((HOST, int(lines[3])), timeout=1):
            return int(lines[3])
    except (OSError, ValueError):
        return None


def _launch(cluster: Cluster, lock: Lock) -> tuple[Cluster, int]:
    """Start the server on the recorded port, or on another where that one is taken; it keeps `lock` for its life."""
    log = cluster.programs.log
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.old"))
    pid_file = cluster.path / "postmaster.pid"
    _drop_stale(pid_file)
    for _ in range(5):
        port = _free_port(cluster.record.port)
        cluster = cluster.remember(replace(cluster.record, port=port))
        options = f"-h {HOST} -p {port} -k '' -c cluster_name=imagejobs"
        if cluster.run("pg_ctl", "start", "--silent", f"--timeout={READY_SECONDS}", f"--options={options}", inherit=lock):
            return cluster, port
        if pid_file.exists() or _is_free(port):
            break  # it still recovers, or failed for another reason than a port snatched in between
    raise refusal("it did not start.", log)


def _drop_stale(pid_file: Path) -> None:
    """Remove the pid file of a killed server where its pid is now another program's, or a zombie's.

    PostgreSQL would take either for its own kind and refuse to start; containers restart with the same few pids.
    """
    if not pid_file.exists() or not Path("/proc/self/cwd").exists():
        return
    pid = pid_file.read_text().partition("\n")[0].strip()
    try:
        lives = Path("/proc", pid, "cwd").samefile(pid_file.parent)  # where every server stands, ours or started by hand
    except OSError:
        lives = False
    if not lives:
        pid_file.unlink()


def _free_port(recorded: int | None) -> int:
    drawn = (PORTS.start + secrets.randbelow(len(PORTS)) for _ in range(1000))
    for port in drawn if recorded is None else chain([recorded], drawn):
        if _is_free(port):
            return port
    raise refusal(f"no port between {PORTS.start} and {PORTS.stop} of {HOST} is free. Free one.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _stop(cluster: Cluster) -> bool:
    """Stop the server; True once no process of it lives."""
    with cluster.lock("server") as lock:
        for mode, seconds in (("fast", 20), ("immediate", 5)):
            # A killed server's processes end by themselves; pg_ctl would signal whoever has its pid now, or await a zombie.
            if lock.try_acquire(0 if _answering_port(cluster.path) else 2):
                return True
            cluster.run("pg_ctl", "stop", "--silent", f"--mode={mode}", f"--timeout={seconds}", inherit=lock)
        return lock.try_acquire(2)
