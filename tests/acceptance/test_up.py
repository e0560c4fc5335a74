"""`imagejobs up`, the whole of it, as its user meets it: real processes, killed in every way."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest

from tests.conftest import free_port
from tests.support.up import READY_SECONDS, Place, Up, end, place, session_of, until, up

pytestmark = pytest.mark.timeout(500)

IDLE_STOP_SECONDS = 60.0  # a fifth of what a process may take that has something in hand


@pytest.fixture(scope="module")
def running() -> Iterator[Up]:
    with place() as somewhere, up(somewhere, "--workers=2") as started:
        yield started


@pytest.fixture
def somewhere() -> Iterator[Place]:
    with place() as found:
        yield found


def make_job(running: Up, prompt: str) -> str:
    """By HTTP: the command takes as long to end as some of these jobs take."""
    body = {"projectId": "film", "jobType": "generate", "prompt": prompt}
    headers = {"authorization": f"Bearer {running.ready['apiKey']}"}
    answer = httpx2.post(f"{running.url}/api/images/generate", json=body, headers=headers, timeout=READY_SECONDS)
    answer.raise_for_status()
    return str(answer.json()["jobId"])


def job(running: Up, job_id: str) -> dict[str, object]:
    headers = {"authorization": f"Bearer {running.ready['apiKey']}"}
    answer = httpx2.get(f"{running.url}/api/images/jobs/{job_id}", headers=headers, timeout=READY_SECONDS)
    answer.raise_for_status()
    found: dict[str, object] = answer.json()
    return found


def ended(running: Up, job_id: str) -> dict[str, object]:
    until(lambda: job(running, job_id)["status"] in ("completed", "failed"), READY_SECONDS)
    return job(running, job_id)


def test_the_line_of_json_says_all_that_a_program_needs(running: Up) -> None:
    ready = running.ready
    assert list(ready) == ["url", "apiKey", "databaseUrl", "dataDir", "pid"]
    assert ready["pid"] == running.process.pid
    assert ready["dataDir"] == str(running.place.data_dir)
    assert ready["databaseUrl"].startswith("postgresql://")
    assert httpx2.get(f"{running.url}/readyz").status_code == 200
    headers = {"authorization": f"Bearer {ready['apiKey']}"}
    assert httpx2.get(f"{running.url}/api/images/jobs", headers=headers).status_code == 200


def test_workers_are_children_in_its_session(running: Up) -> None:
    workers = running.children("worker")
    assert len(workers) == 2
    for worker in workers:
        assert "imagejobs" in " ".join(worker.cmdline())
        assert os.getsid(worker.pid) == os.getsid(running.process.pid)


def test_d2_what_it_decides_reaches_its_children_and_no_secret_a_command_line(running: Up) -> None:
    secrets = {running.ready["apiKey"], urlsplit(running.ready["databaseUrl"]).password}
    lines = [" ".join(process.cmdline()) for process in running.session()]
    assert not [line for line in lines for secret in secrets if secret in line]
    environment = running.children("worker")[0].environ()
    assert environment["DATABASE_URL"] == running.ready["databaseUrl"]
    assert environment["IMAGEJOBS_DATA_DIR"] == running.ready["dataDir"]
    assert environment["IMAGEJOBS_PUBLIC_URL"] == running.url
    assert environment["IMAGEJOBS_DEFAULT_PROVIDER"] == "sketch"
    assert environment["PORT"] == running.url.rpartition(":")[2]


def test_its_files_are_for_its_owner_alone(running: Up) -> None:
    for name in ("admin-key", "local.json", "up.lock"):
        assert (running.place.data_dir / name).stat().st_mode & 0o777 == 0o600
    assert (running.place.data_dir / "admin-key").read_text().strip() == running.ready["apiKey"]


def test_a13_it_says_where_it_listens_and_which_routes_there_are(running: Up) -> None:
    assert f"API on {running.url}" in running.place.stderr
    assert "POST /api/images/generate" in running.place.stderr


def test_a_second_one_on_the_same_directory_is_refused(running: Up) -> None:
    refused = running.run("up", "--port=0", "--no-open")
    assert refused.returncode == 78
    assert str(running.process.pid) in refused.stderr
    assert running.url in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert httpx2.get(f"{running.url}/readyz").status_code == 200


def test_a_taken_port_is_refused_with_the_ways_out(somewhere: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = somewhere.run("up", "--no-open", PORT=str(port))
    assert refused.returncode == 78
    assert str(port) in refused.stderr
    assert "--port 0" in refused.stderr
    assert "PORT" in refused.stderr
    assert not list(somewhere.data_dir.glob("postgresql*"))


def test_f2_a_killed_worker_is_replaced_and_its_job_finishes(running: Up) -> None:
    job_id = make_job(running, "a fox [slow 5s]")
    until(lambda: job(running, job_id)["status"] == "generating")
    killed = running.children("worker")
    for worker in killed:
        worker.kill()
    assert ended(running, job_id)["status"] == "completed"
    until(lambda: len(running.children("worker")) == 2)
    assert not {worker.pid for worker in killed} & {worker.pid for worker in running.children("worker")}


def test_a_killed_api_comes_back_on_its_port_and_nobody_is_turned_away(running: Up) -> None:
    (api,) = running.children("api")
    api.kill()
    api.wait(READY_SECONDS)
    done = running.run("generate", "a fox", "--json")
    assert done.returncode == 0, done.stderr
    assert [child.pid for child in running.children("api")] != [api.pid]


def test_a_killed_database_comes_back_and_no_job_is_lost(running: Up) -> None:
    files = running.place.data_dir / "postgresql"
    postmaster = psutil.Process(int((files / "postmaster.pid").read_text().splitlines()[0]))
    job_id = make_job(running, "a fox [slow 2s]")
    postmaster.kill()
    postmaster.wait(READY_SECONDS)
    done = running.run("jobs", "watch", job_id, "--timeout=80")
    assert done.returncode == 0, done.stderr


def picture(running: Up, job_id: str) -> bytes:
    answer = httpx2.get(str(job(running, job_id)["publicUrl"]))
    answer.raise_for_status()
    return answer.content


def test_however_it_ends_nothing_runs_on_and_everything_is_there_again(somewhere: Place) -> None:
    port = f"--port={free_port()}"
    with up(somewhere, port) as first:
        job_id = make_job(first, "a red fox in snow")
        assert ended(first, job_id)["status"] == "completed"
        before = picture(first, job_id)
        assert first.end(signal.SIGTERM) < IDLE_STOP_SECONDS
        assert first.process.returncode == 0
        assert_gone(first)
    with up(somewhere, port) as second:
        assert second.ready["apiKey"] == first.ready["apiKey"]
        assert picture(second, job_id) == before
        second.end(signal.SIGKILL)
        until(lambda: not second.session(), IDLE_STOP_SECONDS)
        assert second.run("jobs", "ls").returncode == 8
    with up(somewhere, port) as third:
        assert third.ready["apiKey"] == first.ready["apiKey"]
        in_hand = make_job(third, "a fox [slow 5s]")
        until(lambda: job(third, in_hand)["status"] == "generating")
        os.killpg(os.getpgid(third.process.pid), signal.SIGINT)  # what a terminal sends for Ctrl-C
        third.process.wait(READY_SECONDS)
        assert third.process.returncode == 0
        assert in_hand in somewhere.stderr.rpartition("job.completed")[2]
        assert_gone(third)


def assert_gone(stopped: Up) -> None:
    until(
        lambda: not stopped.session()
    )  # PostgreSQL's first process takes its pid file away, which is waited for, and then ends
    assert not (stopped.place.data_dir / "local.json").exists()
    assert not (stopped.place.data_dir / "postgresql/postmaster.pid").exists()


def test_a_second_signal_quits_at_once(somewhere: Place) -> None:
    with up(somewhere) as first:
        job_id = make_job(first, "a fox [slow 300s]")
        until(lambda: job(first, job_id)["status"] == "generating")
        first.process.send_signal(signal.SIGTERM)
        until(lambda: "draining" in somewhere.stderr)
        first.end(signal.SIGTERM)  # within a third of what the job takes
        assert first.process.returncode == 130
        assert_gone(first)


def test_a_signal_while_it_starts_leaves_nothing_behind(somewhere: Place) -> None:
    process = somewhere.start("up", "--json", "--no-open", "--port=0")
    try:
        until((somewhere.data_dir / "local.json").exists)
        process.terminate()
        process.wait(READY_SECONDS)
        assert process.returncode == 0
        assert not (somewhere.data_dir / "postgresql/postmaster.pid").exists()
        until(lambda: not session_of(process))
    finally:
        end(process)


def test_with_a_database_of_the_operator_it_brings_none_and_makes_a_key_that_is_known_there(
    running: Up, somewhere: Place
) -> None:
    address = str(running.ready["databaseUrl"])
    kept = somewhere.data_dir / "admin-key"
    kept.write_text("ij_00000000_of-another-database\n")
    kept.chmod(0o644)
    process = somewhere.start("up", "--no-open", "--port=0", DATABASE_URL=address)
    assert process.stdout is not None
    try:
        said = read_banner(process)
        assert "its files:" not in said
        key = kept.read_text().strip()
        assert key in said
        assert kept.stat().st_mode & 0o777 == 0o600
        assert "from DATABASE_URL" in said
        assert str(urlsplit(address).password) not in said
        assert f"IMAGEJOBS_DATA_DIR={somewhere.data_dir} " in said
        assert not list(somewhere.data_dir.glob("postgresql*"))
        assert somewhere.run("generate", "a fox").returncode == 0
    finally:
        end(process)


def read_banner(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].strip().startswith("Stop"):
        lines.append(process.stdout.readline())
        assert lines[-1], "it ended before it was ready"
    return "".join(lines)


def test_a_child_that_cannot_start_ends_it_with_the_reason(running: Up, somewhere: Place) -> None:
    address = str(running.ready["databaseUrl"])
    refused = somewhere.run("up", "--no-open", "--port=0", DATABASE_URL=address, IMAGEJOBS_PROBES="nonsense")
    assert refused.returncode == 78
    assert "IMAGEJOBS_PROBES" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_unusable_database_is_said_in_one_line(somewhere: Place) -> None:
    for command in (["up", "--no-open", "--port=0"], ["api", "--port=0"]):
        refused = somewhere.run(*command, DATABASE_URL="postgresql://nobody:hidden@127.0.0.1:9/nothing")
        assert refused.returncode == 78
        assert refused.stderr.count("DATABASE_URL") >= 1
        assert len(refused.stderr.splitlines()) == 1
        assert "hidden" not in refused.stderr


def test_settings_that_cannot_work_are_all_named_at_once(somewhere: Place) -> None:
    refused = somewhere.run("up", PORT="many", IMAGEJOBS_WORKERS="-1")
    assert refused.returncode == 78
    assert "PORT" in refused.stderr
    assert "IMAGEJOBS_WORKERS" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_unusable_data_directory_is_named(somewhere: Place, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = somewhere.run("up", f"--data-dir={tmp_path / 'file'}", "--port=0")
    assert refused.returncode == 78
    assert str(tmp_path / "file") in refused.stderr
    assert "Traceback" not in refused.stderr
