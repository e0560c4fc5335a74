"""The client against a real server that answers by script."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import imagejobs.client
from imagejobs.client import Backoff, Client, Interrupted, JobQuery, Refused, Unreachable
from tests.support.scripted_server import Reply, Script, scripted_server

QUICK = Backoff(attempts=3, base_seconds=0.001, cap_seconds=0.01)
ACCEPTED = Reply(status=202, document={"jobId": "one", "status": "queued"})
AWAY = Reply(status=503, document={"code": "TEMPORARY", "reason": "database_unavailable", "detail": "Not now."})
JOB = {
    "jobId": "one",
    "status": "completed",
    "createdAt": "2026-01-01T00:00:00.000Z",
    "completedAt": "2026-01-01T00:00:01.500Z",
    "cost": {"estimated": 0.04, "actual": None},
    "ofTheFuture": 1,
}


@contextmanager
def asking(*replies: Reply) -> Iterator[tuple[Client, Script]]:
    with scripted_server(*replies) as script, Client(script.url + "/", "ij_key", backoff=QUICK) as client:
        yield client, script


def test_generate_sends_key_and_credential_and_reads_the_answer() -> None:
    with asking(ACCEPTED) as (client, script):
        made = client.generate({"prompt": "a fox"}, idempotency_key="k")
    assert [job.id for job in made.jobs] == ["one"]
    assert not made.is_replay
    (asked,) = script.asked
    assert asked.target == "/api/images/generate"
    assert asked.headers["authorization"] == "Bearer ij_key"
    assert asked.body == {"prompt": "a fox", "idempotencyKey": "k"}


def test_a_batch_and_a_replay_are_told_apart() -> None:
    jobs = [{"jobId": name, "status": "queued"} for name in ("one", "two")]
    batch = Reply(document={**jobs[0], "batchId": "b", "jobs": jobs}, headers={"idempotent-replayed": "true"})
    with asking(batch) as (client, _):
        made = client.generate({}, idempotency_key="k")
    assert [job.id for job in made.jobs] == ["one", "two"]
    assert made.batch_id == "b"
    assert made.is_replay


@pytest.mark.parametrize("trouble", [AWAY, Reply(hang_up=True), Reply(status=502, content=b"<html>")])
def test_trouble_is_met_by_the_same_request_under_the_same_key(trouble: Reply) -> None:
    with asking(trouble, trouble, ACCEPTED) as (client, script):
        made = client.generate({"prompt": "a fox"}, idempotency_key="k")
    assert made.jobs[0].id == "one"
    assert [asked.body for asked in script.asked] == [{"prompt": "a fox", "idempotencyKey": "k"}] * 3


def test_it_gives_up_after_its_last_attempt() -> None:
    with asking(AWAY) as (client, script):
        with pytest.raises(Refused, match="Not now") as refused:
            client.job("one")
        assert len(script.asked) == QUICK.attempts
    assert (refused.value.status, refused.value.reason) == (503, "database_unavailable")


def test_a_refusal_is_not_repeated() -> None:
    problem = {"code": "PERMANENT", "reason": "unknown_model", "detail": "No such model."}
    with asking(Reply(status=422, document=problem)) as (client, script):
        with pytest.raises(Refused, match="No such model"):
            client.generate({}, idempotency_key="k")
        assert len(script.asked) == 1


def test_a_closed_port_is_unreachable_and_the_address_is_named() -> None:
    with scripted_server(ACCEPTED) as script:
        address = script.url
    with Client(address, "key", backoff=QUICK) as client, pytest.raises(Unreachable, match=address):
        client.job("one")


@pytest.mark.parametrize("address", ["no-scheme", "ftp://host", "http://[broken"])
def test_what_is_no_address_is_said_at_once(address: str) -> None:
    with Client(address, "key") as client, pytest.raises(Unreachable):
        client.job("one")


@pytest.mark.parametrize(
    "strange", [Reply(content=b"<html>"), Reply(document=["not", "ours"]), Reply(document={"jobs": [{}]})]
)
def test_an_answer_of_another_service_is_not_taken_for_ours(strange: Reply) -> None:
    with asking(strange) as (client, _):
        for call in (lambda: client.job("one"), lambda: client.events("one"), lambda: client.jobs(JobQuery())):
            with pytest.raises(Unreachable, match="not as imagejobs does"):
                call()


def test_a_proxy_of_the_environment_does_not_come_between_this_machine_and_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with asking(Reply(document=JOB)) as (client, _):
        assert client.job("one").status == "completed"


def test_a_job_is_read_and_what_a_newer_service_adds_is_kept() -> None:
    with asking(Reply(document=JOB)) as (client, script):
        job = client.job("../keys")
    assert script.asked[0].target == "/api/images/jobs/..%2Fkeys"
    assert job.seconds == 1.5
    assert (job.estimated_cost, job.actual_cost) == (0.04, None)
    assert job.raw["ofTheFuture"] == 1


def test_c22_retry_and_resolve_send_what_they_say_and_a_repeat_names_the_same_failure() -> None:
    retried = Reply(status=202, document={"jobId": "one", "status": "queued", "isPaidAlready": True, "estimated": 0})
    failed = Reply(document={**JOB, "status": "failed", "retryCount": 3})
    settled = Reply(document={"jobId": "one", "posted": 0.04})
    with asking(failed, Reply(hang_up=True), retried, settled) as (client, script):
        assert client.retry("one").is_paid_already
        assert client.resolve("one", billed=True).posted == 0.04
    assert [(asked.target, asked.body) for asked in script.asked] == [
        ("/api/images/jobs/one", None),
        ("/api/images/jobs/one/retry", {"retryCount": 3}),
        ("/api/images/jobs/one/retry", {"retryCount": 3}),
        ("/api/images/jobs/one/resolve", {"billed": True}),
    ]


def test_what_is_not_found_is_named() -> None:
    nothing = Reply(status=404, document={"reason": "not_found", "detail": "There is no such job."})
    with asking(nothing) as (client, _), pytest.raises(Refused, match="no job one"):
        client.retry("one")


def test_a_page_is_asked_for_by_what_is_wanted_only() -> None:
    with asking(Reply(document={"jobs": [JOB], "nextCursor": "next"})) as (client, script):
        page = client.jobs(JobQuery(project_id="a b", limit=2))
    assert script.asked[0].target == "/api/images/jobs?projectId=a+b&limit=2"
    assert page.next_cursor == "next"


def test_a_picture_is_saved_under_its_type_and_the_key_stays_here(tmp_path: Path) -> None:
    picture = Reply(content=b"picture", headers={"content-type": "image/webp"})
    with asking(picture) as (client, script):
        saved = client.download(script.url + "/files/x", tmp_path / "new", "fox")
        assert "authorization" not in script.asked[0].headers
    assert saved == tmp_path / "new" / "fox.webp"
    assert saved.read_bytes() == b"picture"


@pytest.mark.parametrize("broken", [Reply(status=404), Reply(content=b"half", headers={"content-length": "100"})])
def test_a_picture_that_does_not_come_whole_leaves_nothing(broken: Reply, tmp_path: Path) -> None:
    with asking(broken) as (client, script), pytest.raises(Interrupted):
        client.download(script.url + "/files/x", tmp_path, "fox")
    assert not list(tmp_path.iterdir())


def test_a_wait_that_the_service_asks_for_is_kept_within_the_cap() -> None:
    with asking(Reply(status=429, headers={"retry-after": "3600"}), Reply(document=JOB)) as (client, script):
        assert client.job("one").status == "completed"
        assert len(script.asked) == 2


def test_the_client_knows_nothing_of_the_server() -> None:
    imported: set[Any] = set()
    for path in Path(imagejobs.client.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module)
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    ours = {name for name in imported if str(name).startswith("imagejobs")}
    assert ours == {name for name in ours if name.startswith("imagejobs.client")}


def test_an_upload_sends_the_bytes_themselves_and_is_repeated_while_the_service_is_away() -> None:
    document = {
        "inputId": "i",
        "mediaType": "image/png",
        "width": 1,
        "height": 2,
        "bytes": 3,
        "sha256": "00",
        "expiresAt": "2026-01-01T00:00:00.000Z",
    }
    with asking(AWAY, Reply(status=201, document=document)) as (client, script):
        kept = client.upload_input("a film", b'"bytes"')
    assert (kept.id, kept.width, kept.size_bytes) == ("i", 1, 3)
    assert [asked.target for asked in script.asked] == ["/api/images/inputs?projectId=a+film"] * 2
    assert script.asked[1].body == "bytes"
    assert script.asked[1].headers["content-type"] == "application/octet-stream"


def test_a_cancel_is_repeated_safely_and_its_receipt_is_read() -> None:
    receipt = {"outcome": "stop_requested", "mayCost": 0.04, "publicUrl": None, "detail": "Asked."}
    canceled = Reply(document={"jobId": "one", "status": "generating", "receipt": receipt, "ofTheFuture": 1})
    with asking(AWAY, canceled) as (client, script):
        said = client.cancel("one")
    assert (said.outcome, said.may_cost, said.public_url, said.status) == ("stop_requested", 0.04, None, "generating")
    assert [(asked.method, asked.target) for asked in script.asked] == [("POST", "/api/images/jobs/one/cancel")] * 2


def test_a_priority_is_sent() -> None:
    with asking(Reply(document=JOB)) as (client, script):
        assert client.set_priority("one", -3).id == "one"
    (asked,) = script.asked
    assert (asked.method, asked.target, asked.body) == ("PATCH", "/api/images/jobs/one", {"priority": -3})
