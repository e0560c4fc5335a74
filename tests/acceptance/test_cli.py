"""The commands, as a person and as a script use them, against a running `up`."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from tests.support.scripted_server import Reply, scripted_server
from tests.support.up import READY_SECONDS, Place, Up, end, place, until, up

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def running() -> Iterator[Up]:
    with place() as somewhere, up(somewhere) as started:
        yield started


@pytest.fixture
def somewhere() -> Iterator[Place]:
    with place() as found:
        yield found


def lines_of_json(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def states(stderr: str) -> list[str]:
    """The words behind the seconds in the lines of progress."""
    words = [line.split() for line in stderr.splitlines()]
    return [line[2] for line in words if len(line) > 2 and line[1] == "s"]


def test_generate_shows_every_state_and_ends_with_address_file_and_cost(running: Up, tmp_path: Path) -> None:
    done = running.run("generate", "a red fox in snow", "--size=320x256", "-o", str(tmp_path / "pictures"))
    assert done.returncode == 0, done.stderr
    url, path = done.stdout.splitlines()
    assert url.startswith(running.url)
    with Image.open(path) as picture:
        assert picture.size == (320, 256)
        picture.load()
    assert Path(path).read_bytes() == httpx2.get(url).content
    assert Path(path).name.startswith("a-red-fox-in-snow-")
    assert states(done.stderr) == ["queued", "processing", "generating", "uploading", "completed"]
    assert "Cost: 0.0000 credits" in done.stderr
    assert "\x1b" not in done.stderr


def test_generate_prints_a_line_of_json_for_each_picture(running: Up, tmp_path: Path) -> None:
    done = running.run("generate", "-", "-n3", "--seed=7", "--json", "-o", str(tmp_path), stdin="a lighthouse\n")
    assert done.returncode == 0, done.stderr
    jobs = lines_of_json(done.stdout)
    assert [job["status"] for job in jobs] == ["completed"] * 3
    assert {job["prompt"] for job in jobs} == {"a lighthouse"}
    assert len({Path(job["file"]).read_bytes() for job in jobs}) == 3
    assert all(job["seconds"] > 0 and job["cost"]["actual"] == 0 for job in jobs)


def test_a_retry_is_shown_with_its_reason_and_its_wait(running: Up) -> None:
    done = running.run("generate", "a fox [429 1s]")
    assert done.returncode == 0, done.stderr
    began = ["queued", "processing", "generating"]
    assert states(done.stderr) == [*began, *began, "uploading", "completed"]
    assert "provider_throttled, billed: no." in done.stderr
    assert "Again in 1.0 s." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["a fox [refuse]"], 1, "content_refused"),
        (["a fox [unknown]"], 7, "imagejobs jobs resolve "),
        (["a fox [slow 5s]", "--timeout=0.5"], 3, "imagejobs jobs watch"),
        (["a fox", "--size=wide"], 2, "1024x768"),
        (["a fox", "--model=nothing"], 2, "sketch"),
    ],
)
def test_generate_ends_with_the_documented_code(running: Up, arguments: list[str], code: int, said: str) -> None:
    done = running.run("generate", *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_failed_job_says_what_happened_what_it_cost_and_what_to_do(running: Up) -> None:
    done = running.run("generate", "a fox [auth]", "--json")
    assert done.returncode == 1
    (failed,) = lines_of_json(done.stdout)
    assert failed["error"]["code"] == "AUTH_ERROR"
    for word in ("AUTH_ERROR", failed["error"]["reason"], "What happened", "Billed", "Next", failed["jobId"]):
        assert word in done.stderr


def test_what_waits_no_longer_is_found_again(running: Up, tmp_path: Path) -> None:
    made = running.run("generate", "a fox [slow 1s]", "--no-wait")
    (job_id,) = made.stdout.splitlines()
    assert not made.stderr
    watched = running.run("jobs", "watch", job_id, "-o", str(tmp_path))
    assert watched.returncode == 0, watched.stderr
    assert states(watched.stderr)[-1] == "completed"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_picture_that_is_at_its_old_address_no_more_is_no_failed_job(somewhere: Place, tmp_path: Path) -> None:
    event = {"seq": 1, "kind": "job.completed", "at": "2026-01-01T00:00:00Z", "data": {"status": "completed"}}
    gone = "http://127.0.0.1:9/files/fox.png"
    job = {"jobId": "one", "status": "completed", "createdAt": "2026-01-01T00:00:00Z", "prompt": "a fox", "publicUrl": gone}
    with scripted_server(Reply(document={"events": [event]}), Reply(document=job)) as script:
        settings = {"IMAGEJOBS_URL": script.url, "IMAGEJOBS_API_KEY": "any"}
        done = somewhere.run("jobs", "watch", "one", "-o", str(tmp_path), **settings)
    assert done.returncode == 8, done.stderr
    assert f"{gone} could not be fetched" in done.stderr
    assert "The job is completed" in done.stderr
    assert "IMAGEJOBS_PUBLIC_URL" in done.stderr


@pytest.mark.parametrize(("third", "code"), [("completed", 8), ("failed", 1)])
def test_a_picture_that_cannot_be_fetched_ends_no_report_of_the_others(
    somewhere: Place, tmp_path: Path, third: str, code: int
) -> None:
    gone = "http://127.0.0.1:9/files/fox.png"
    with scripted_server() as script:
        addresses = {"one": gone, "two": f"{script.url}/files/two.png", "three": gone}
        ends = {"one": "completed", "two": "completed", "three": third}
        script.replies += [Reply(document={"events": [the_end(end)]}) for end in ends.values()]
        script.replies += [Reply(document=a_job(name, ends[name], addresses[name])) for name in ends]
        script.replies.append(Reply(content=b"a picture", headers={"content-type": "image/png"}))
        settings = {"IMAGEJOBS_URL": script.url, "IMAGEJOBS_API_KEY": "any"}
        done = somewhere.run("jobs", "watch", *ends, "--json", "-o", str(tmp_path), **settings)
    assert done.returncode == code, done.stderr
    lines = lines_of_json(done.stdout)
    files = {line["jobId"]: line["file"] for line in lines if "jobId" in line}
    assert files == {"one": None, "two": str(next(tmp_path.iterdir())), "three": None}
    assert Path(files["two"]).read_bytes() == b"a picture"
    lost = [line["error"] for line in lines if "jobId" not in line]
    assert [(error["exitCode"], gone in error["message"]) for error in lost] == [(8, True)] * (
        2 if third == "completed" else 1
    )


def test_a_picture_that_cannot_be_saved_is_told_and_ends_no_report_of_the_others(somewhere: Place, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with scripted_server(Reply(document={"events": [the_end("completed")]})) as script:
        script.replies += script.replies
        script.replies += [
            Reply(document=a_job(name, "completed", f"{script.url}/files/{name}.png")) for name in ("one", "two")
        ]
        script.replies.append(Reply(content=b"a picture", headers={"content-type": "image/png"}))
        settings = {"IMAGEJOBS_URL": script.url, "IMAGEJOBS_API_KEY": "any"}
        done = somewhere.run("jobs", "watch", "one", "two", "-o", str(tmp_path / "file/inside"), **settings)
    assert done.returncode == 8, done.stderr
    assert done.stdout.splitlines() == [f"{script.url}/files/{name}.png" for name in ("one", "two")]
    assert done.stderr.count("could not be saved in") == 2
    assert "Traceback" not in done.stderr


def the_end(status: str) -> dict[str, Any]:
    """The event of a job's end."""
    return {"seq": 1, "kind": f"job.{status}", "at": "2026-01-01T00:00:00Z", "data": {"status": status}}


def a_job(name: str, status: str, address: str) -> dict[str, Any]:
    """The job as the API tells it."""
    made = {"jobId": name, "status": status, "createdAt": "2026-01-01T00:00:00Z", "prompt": name}
    if status == "completed":
        return {**made, "publicUrl": address}
    return {**made, "error": {"code": "PERMANENT", "reason": "content_refused", "message": "No.", "billed": "no"}}


def test_a_service_that_stays_away_is_given_up_at_the_timeout_and_the_job_is_named(somewhere: Place) -> None:
    accepted = Reply(status=202, document={"jobId": "one", "status": "queued"})
    with scripted_server(accepted, Reply(hang_up=True)) as script:
        settings = {"IMAGEJOBS_URL": script.url, "IMAGEJOBS_API_KEY": "any"}
        done = somewhere.run("generate", "a fox", "--timeout=1.5", "--json", **settings)
    assert done.returncode == 8, done.stderr
    assert "Accepted: one" in done.stderr
    assert done.stderr.count("waiting for the service") == 1
    assert "The job goes on; come back with: imagejobs jobs watch one" in done.stderr
    assert json.loads(done.stdout)["error"]["openJobs"] == ["one"]


def test_a14_a_quote_prints_the_price_and_ends_with_the_exit_code_of_what_would_stop_it(somewhere: Place) -> None:
    full = {"code": "PERMANENT", "reason": "budget_exhausted", "message": "The budget of film has no room\x1b[31m."}
    quote = {"provider": "gemini", "model": "nano", "width": 1024, "height": 576, "n": 2, "estimated": 0.04, "total": 0.08}
    with scripted_server(*(Reply(document={**quote, "obstacle": obstacle}) for obstacle in (None, full))) as script:
        settings = {"IMAGEJOBS_URL": script.url, "IMAGEJOBS_API_KEY": "any"}
        free, capped = (somewhere.run("generate", "a fox", "-n2", "--quote", **settings) for _ in range(2))
    assert free.stdout == capped.stdout == "0.0800 credits for 2 of 1024x576 by gemini:nano\n"
    assert (free.returncode, free.stderr) == (0, "")
    assert (capped.returncode, capped.stderr) == (6, "imagejobs: The budget of film has no room\\x1b[31m.\n")


def test_a7_the_same_key_finds_the_same_job(running: Up) -> None:
    first, second = (running.run("generate", "a fox", "--idempotency-key=mine", "--no-wait", "--json") for _ in range(2))
    assert json.loads(first.stdout)["jobId"] == json.loads(second.stdout)["jobId"]
    assert "named that job before" in second.stderr
    assert not first.stderr
    other = running.run("generate", "a wolf", "--idempotency-key=mine", "--no-wait", "--json")
    assert other.returncode == 2
    assert json.loads(other.stdout)["error"]["reason"] == "idempotency_key_reused"


def test_ctrl_c_leaves_the_job_running_and_says_how_to_come_back(running: Up) -> None:
    waiting = running.place.start("generate", "a fox [slow 30s]")
    try:
        until(lambda: "s  generating" in running.place.stderr.rpartition("s  queued")[2])
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(READY_SECONDS) == 130
    finally:
        end(waiting)
    job_id = running.place.stderr.rpartition("jobs watch ")[2].split()[0]
    shown = running.run("jobs", "get", job_id, "--json")
    assert json.loads(shown.stdout)["status"] == "generating"


def test_jobs_are_listed_whole_and_no_prompt_steers_the_terminal(running: Up) -> None:
    made = running.run("generate", "a fox\x1b[2J\nok   forged", "--project=listed", "--no-wait")
    (job_id,) = made.stdout.splitlines()
    listed = running.run("jobs", "ls", "--project=listed")
    assert job_id in listed.stdout
    assert "\x1b" not in listed.stdout
    assert len(listed.stdout.splitlines()) == 2
    (found,) = lines_of_json(running.run("jobs", "ls", "--project=listed", "--json").stdout)
    assert found["jobId"] == job_id
    assert not running.run("jobs", "ls", "--project=other", "--json").stdout
    shown = running.run("jobs", "get", job_id).stdout
    assert "None" not in shown
    assert "True" not in shown


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        ({"IMAGEJOBS_API_KEY": "wrong"}, 4, "not valid"),
        ({"IMAGEJOBS_URL": "http://127.0.0.1:9", "IMAGEJOBS_API_KEY": "any"}, 8, "imagejobs up"),
        ({"IMAGEJOBS_URL": "http://127.0.0.1:9"}, 4, "IMAGEJOBS_API_KEY"),
        ({"IMAGEJOBS_DATA_DIR": "nowhere"}, 8, "imagejobs up"),
        ({"IMAGEJOBS_URL": "127.0.0.1:3001"}, 78, "http://"),
        ({"IMAGEJOBS_LOG_LEVEL": "loud"}, 78, "IMAGEJOBS_LOG_LEVEL"),
    ],
)
def test_a_service_that_cannot_be_asked_has_its_own_code(
    running: Up, settings: dict[str, str], code: int, said: str
) -> None:
    done = running.run("jobs", "ls", **settings)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_job_is_not_found_and_json_says_so_too(running: Up) -> None:
    done = running.run("jobs", "get", "01a204ca-bc16-790b-bd72-338f7db0f40a", "--json")
    assert done.returncode == 5
    assert json.loads(done.stdout)["error"] == {
        "message": "There is no job 01a204ca-bc16-790b-bd72-338f7db0f40a, or not for this key.",
        "exitCode": 5,
        "status": 404,
        "code": "PERMANENT",
        "reason": "not_found",
    }


def test_a12_a_bound_key_works_in_its_project_only_until_it_is_revoked(running: Up) -> None:
    made = json.loads(running.run("keys", "create", "partner", "--project=film", "--days=3", "--json").stdout)
    key = {"IMAGEJOBS_API_KEY": made["key"]}
    assert running.run("generate", "a fox", "--project=film", "--no-wait", **key).returncode == 0
    assert running.run("generate", "a fox", "--project=other", "--no-wait", **key).returncode == 5
    listed = {found["id"]: found for found in lines_of_json(running.run("keys", "ls", "--json").stdout)}
    assert listed[made["id"]]["projects"] == ["film"]
    assert running.run("keys", "revoke", made["id"]).returncode == 0
    headers = {"authorization": f"Bearer {made['key']}"}
    until(lambda: httpx2.get(f"{running.url}/api/images/jobs", headers=headers).status_code == 401)
    assert running.run("keys", "revoke", "nothing").returncode == 5
    assert running.run("keys", "create", " ").returncode == 2


def test_doctor_finds_nothing_wrong_and_then_what_is(running: Up) -> None:
    well = running.run("doctor", "--json")
    assert well.returncode == 0, well.stdout
    findings = lines_of_json(well.stdout)
    assert {found["subject"] for found in findings} >= {
        *("versions", "settings", "data", "disk", "database", "clock", "schema", "engine"),
        *("workers", "jobs", "storage", "sketch", "default provider", "service", "key"),
    }
    ill = running.run("doctor", DATABASE_URL="postgresql://nobody:hidden@127.0.0.1:9/nothing")
    assert ill.returncode == 1
    assert "✗ database" in ill.stdout
    assert "hidden" not in ill.stdout + ill.stderr


def test_doctor_tries_the_key_and_leaves_no_trace(running: Up, somewhere: Place) -> None:
    refused = running.run("doctor", IMAGEJOBS_API_KEY="wrong")
    assert refused.returncode == 1
    assert "does not take IMAGEJOBS_API_KEY" in refused.stdout
    looked = somewhere.run("doctor", DATABASE_URL=str(running.ready["databaseUrl"]))
    assert looked.returncode == 0, looked.stdout
    assert "IMAGEJOBS_DEFAULT_PROVIDER=sketch" in looked.stdout
    assert not list(somewhere.data_dir.iterdir())


def test_a_failed_job_is_retried_and_an_unknown_one_resolved_once(running: Up) -> None:
    made = running.run("generate", "a fox [unknown]", "--json")
    job_id = json.loads(made.stdout)["jobId"]
    assert f"Accepted: {job_id}" in made.stderr
    resolved = running.run("jobs", "resolve", job_id, "--not-billed")
    assert resolved.returncode == 0, resolved.stderr
    assert running.run("jobs", "resolve", job_id, "--billed").returncode == 2
    assert running.run("jobs", "resolve", job_id).returncode == 2
    again = running.run("jobs", "retry", job_id)
    assert again.returncode == 7, again.stderr
    assert "Queued again" in again.stderr
    assert states(again.stderr)[0] == "queued"
    assert states(again.stderr).count("failed") == 1
    quick = running.run("jobs", "retry", job_id, "--no-wait", "--json")
    assert json.loads(quick.stdout)["jobId"] == job_id
    assert running.run("jobs", "retry", "nothing").returncode == 5


def test_only_a_failed_job_is_retried(running: Up) -> None:
    (job_id,) = running.run("generate", "a fox", "--no-wait").stdout.splitlines()
    assert running.run("jobs", "watch", job_id).returncode == 0
    refused = running.run("jobs", "retry", job_id)
    assert refused.returncode == 2
    assert "completed" in refused.stderr


def test_migrate_says_what_it_did_and_twice_is_harmless(somewhere: Place) -> None:
    first, second = (json.loads(somewhere.run("migrate", "--json").stdout)["applied"] for _ in range(2))
    assert first[0] == "0001_initial"
    assert first[-1] == "engine"
    assert second == []
    assert not (somewhere.data_dir / "postgresql/postmaster.pid").exists()


def test_api_and_worker_refuse_a_schema_that_was_not_migrated(running: Up) -> None:
    address = str(running.ready["databaseUrl"]).rpartition("/")[0] + "/postgres"
    for command in (["api", "--port=0"], ["worker"]):
        refused = running.run(*command, DATABASE_URL=address)
        assert refused.returncode == 78
        assert "imagejobs migrate" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_a14_projects_makes_and_lists_projects_and_their_members(running: Up) -> None:
    assert running.run("projects", "create", "atlas", "--name=The atlas", "--retry-once").stdout == "Made atlas.\n"
    assert running.run("projects", "create", "atlas", "--name=The atlas").stdout == "Changed atlas.\n"
    made = next(one for one in lines_of_json(running.run("projects", "ls", "--json").stdout) if one["id"] == "atlas")
    assert (made["name"], made["onUnknownOutcome"], made["createdBy"]) == ("The atlas", "fail", "operator")
    assert "editor of atlas" in running.run("projects", "member", "set", "atlas", "user-1").stdout
    assert running.run("projects", "member", "set", "atlas", "user-1", "--role=viewer").returncode == 0
    [member] = lines_of_json(running.run("projects", "member", "ls", "atlas", "--json").stdout)
    assert (member["userId"], member["role"], member["source"]) == ("user-1", "viewer", "members")
    assert running.run("projects", "member", "rm", "atlas", "user-1").returncode == 0
    assert running.run("projects", "member", "rm", "atlas", "user-1").returncode == 5
    assert running.run("projects", "member", "set", "nowhere", "user-1").returncode == 5
    assert running.run("projects", "create", "x" * 201).returncode == 2
