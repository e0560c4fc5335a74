"""Parts of the command line that need no service: its list of commands, its codes, its logs, its files."""

import json
import logging
import re
import resource
import socket
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from imagejobs.cli.api import most_connections
from imagejobs.cli.console import printable
from imagejobs.cli.exits import EXIT_CODES_HELP, ExitCode
from imagejobs.cli.home import Home, Running
from imagejobs.cli.jobs import app as jobs
from imagejobs.cli.keys import app as keys
from imagejobs.cli.listening import listen, url_of
from imagejobs.cli.logs import JsonFormatter, TextFormatter, configure_logging
from imagejobs.cli.main import LazyGroup, app
from imagejobs.cli.progress import Progress
from imagejobs.cli.remote import NoKey, NoService, code_of_error, code_of_job
from imagejobs.client import ClientError, Event, Interrupted, Job, Refused, Unreachable, WaitTimedOut
from imagejobs.errors import ConfigurationError
from imagejobs.settings import load_settings

SOURCES = Path(__file__).parents[2] / "src/imagejobs"
KEY = "ij_5kOv85i3_" + "s" * 49


def group() -> LazyGroup:
    found = get_command(app)
    assert isinstance(found, LazyGroup)
    return found


@pytest.mark.parametrize("name", list(group().entries))
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    command = group().entries[name].load(name)
    assert command.name == name
    assert command.help


def test_the_list_of_commands_names_everything_that_one_does_to_jobs() -> None:
    summary = group().entries["jobs"].summary
    assert get_command(jobs).help == summary
    assert not [
        word for word in ("list", "show", "watch", "retry", "cancel", "priorit", "resolve") if word not in summary.lower()
    ]


def test_every_command_that_a_text_of_ours_names_is_there() -> None:
    texts = "\n".join(path.read_text() for path in SOURCES.rglob("*.py"))
    named = set(re.findall(r"`imagejobs ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", texts))
    assert len(named) > 20
    for name, inner in named:
        commands = getattr(group().entries[name].load(name), "commands", {})
        assert not (commands and inner) or inner in commands, f"imagejobs {name} {inner}"


def test_help_and_version_load_nothing_of_the_server() -> None:
    code = (
        "import sys; from imagejobs.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('fastapi', 'asyncpg', 'pydantic', 'httpx2') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert "generate" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_documented(code: ExitCode) -> None:
    assert f" {code.value} " in EXIT_CODES_HELP


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused(401, {}), ExitCode.LOGIN),
        (Refused(403, {}), ExitCode.LOGIN),
        (Refused(402, {}), ExitCode.CAP_REACHED),
        (Refused(404, {}), ExitCode.NOT_FOUND),
        (Refused(422, {}), ExitCode.USAGE),
        (Refused(429, {}), ExitCode.UNREACHABLE),
        (Refused(500, {}), ExitCode.UNREACHABLE),
        (Unreachable(""), ExitCode.UNREACHABLE),
        (NoService(""), ExitCode.UNREACHABLE),
        (NoKey(""), ExitCode.LOGIN),
        (Interrupted(""), ExitCode.UNREACHABLE),
        (WaitTimedOut(["one"], 1), ExitCode.WAIT_TIMED_OUT),
    ],
)
def test_each_way_a_call_fails_has_its_code(error: ClientError, code: ExitCode) -> None:
    assert code_of_error(error) is code


@pytest.mark.parametrize(
    ("status", "reason", "billed", "code"),
    [
        ("completed", None, None, ExitCode.OK),
        ("canceled", None, None, ExitCode.JOB_FAILED),
        ("failed", "content_refused", "no", ExitCode.JOB_FAILED),
        ("failed", "answer_unusable", "yes", ExitCode.JOB_FAILED),
        ("failed", "outcome_unknown", "unknown", ExitCode.OUTCOME_UNKNOWN),
        ("failed", "budget_exhausted", "no", ExitCode.CAP_REACHED),
    ],
)
def test_each_end_of_a_job_has_its_code(status: str, reason: str | None, billed: str | None, code: ExitCode) -> None:
    document: dict[str, Any] = {"jobId": "one", "status": status, "createdAt": "2026-01-01T00:00:00Z"}
    if reason is not None:
        document["error"] = {"code": "PERMANENT", "reason": reason, "billed": billed}
    assert code_of_job(Job.parse(document)) is code


def test_a_worker_that_died_has_a_line_of_its_own_among_the_states() -> None:
    told = StringIO()
    words = {"status": "generating", "message": "The worker that had the job is gone; another one took it over."}
    event = {"seq": 1, "kind": "job.worker_lost", "at": "2026-01-01T00:00:00Z", "data": words}
    Progress(["one"], told).show("one", Event.parse(event))
    assert told.getvalue() == f"    0.00 s  worker lost  {words['message']}\n"


def logged(formatter: logging.Formatter, message: str, **extra: object) -> str:
    record = logging.makeLogRecord({"name": "imagejobs.test", "levelname": "INFO", "msg": message, **extra})
    return formatter.format(record)


def test_a_log_line_is_one_json_document_with_what_the_record_carries() -> None:
    line = json.loads(logged(JsonFormatter(), "job.completed", job_id="one", detail="a\nb"))
    assert line["event"] == "job.completed"
    assert (line["level"], line["logger"], line["job_id"], line["detail"]) == ("info", "imagejobs.test", "one", "a\nb")


def test_text_cannot_forge_a_line_or_steer_a_terminal() -> None:
    line = logged(TextFormatter(), "job.failed", detail="x\n12:00:00  INFO  forged\x1b[2J\u202e")
    assert "\n" not in line
    assert "\x1b" not in line
    assert "\u202e" not in line
    assert printable("a\tb") == "a\\tb"


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_no_secret_reaches_a_log(formatter: logging.Formatter) -> None:
    try:
        raise ValueError(f"cannot use postgresql://someone:hidden@host/db with {KEY}")
    except ValueError:
        line = logged(formatter, f"tried {KEY}", exc_info=sys.exc_info(), dsn="postgres://someone:hidden@host/db")
    assert "hidden" not in line
    assert "sss" not in line
    assert "ij_5kOv85i3_" in line


def test_libraries_are_heard_from_warnings_up_and_announcements_always(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StringIO()
    with monkeypatch.context() as undone:
        undone.setattr(logging.getLogger(), "handlers", [])
        level = logging.getLogger().level
        configure_logging(load_settings(log_level="error", log_format="json"), stream)
        logging.getLogger("imagejobs.process").info("it listens")
        logging.getLogger("imagejobs.app").warning("not now")
        logging.getLogger("pgqueuer").error("noise")
        logging.getLogger().setLevel(level)
        logging.captureWarnings(capture=False)
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["it listens"]


def test_what_a_killed_up_left_is_not_believed(tmp_path: Path) -> None:
    home = Home(tmp_path / "data")
    with home.occupy():
        home.announce(Running(url="http://127.0.0.1:1", pid=7))
        assert home.running() == Running(url="http://127.0.0.1:1", pid=7)
        with pytest.raises(ConfigurationError, match=r"process 7, http://127\.0\.0\.1:1"):
            home.occupy()
    assert home.running() is None


@pytest.mark.parametrize("found", ["", "{}", "[]", "{", '{"url": "x", "pid": "many"}'])
def test_a_damaged_note_is_no_service(tmp_path: Path, found: str) -> None:
    home = Home(tmp_path)
    with home.occupy():
        (tmp_path / "local.json").write_text(found)
        assert home.running() is None


def test_a_port_for_itself_is_bound_once_and_named() -> None:
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        assert url_of(listening) == f"http://127.0.0.1:{port}"
        with pytest.raises(ConfigurationError, match=f"Port {port} of 127.0.0.1 is taken"):
            listen("127.0.0.1", port)
    with listen("0.0.0.0", 0) as everywhere:  # noqa: S104 - what an operator may choose
        assert url_of(everywhere).startswith("http://127.0.0.1:")


def test_a_client_that_vanished_is_noticed_some_time() -> None:
    """A browser opens connections ahead; one whose machine goes away before it asks would hold its descriptor for good."""
    with (
        listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@pytest.mark.parametrize(
    ("most_files", "expected"), [(1024, 924), (150, 75), (64, 32), (1_048_576, 1_048_476), (resource.RLIM_INFINITY, None)]
)
def test_some_clients_may_always_be_connected(most_files: int, expected: int | None) -> None:
    """Where few files may be open, and where so many as one likes, which is a negative number."""
    assert most_connections(most_files) == expected


def test_a_host_that_is_not_ours_is_refused_in_words() -> None:
    with pytest.raises(ConfigurationError, match="Nothing can listen"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize("project_id", ["", "x" * 201, "a\nb"])
def test_a_key_is_bound_to_what_a_project_may_be_called(project_id: str) -> None:
    answer = CliRunner().invoke(keys, ["create", "partner", "--project", project_id])
    assert (answer.exit_code, "1 to 200 printable characters" in answer.output) == (2, True)
