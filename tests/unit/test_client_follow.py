"""Waiting for jobs: nothing missed, nothing said twice, every wait ends."""

from collections.abc import Sequence
from typing import Any

import pytest

from imagejobs.client import Backoff, Client, Patience, Refused, Unreachable, Wait, WaitTimedOut
from tests.support.scripted_server import Reply, scripted_server

QUICK = Backoff(attempts=1)
PATIENT = Patience(shortest_seconds=0.001, longest_seconds=0.002, silence_seconds=5.0)
STATUSES = ["queued", "processing", "generating", "uploading", "completed"]


def history(statuses: Sequence[str]) -> Reply:
    events: list[dict[str, Any]] = [
        {"seq": seq, "kind": f"job.{status}", "at": "2026-01-01T00:00:00Z", "data": {"status": status}}
        for seq, status in enumerate(statuses, 1)
    ]
    return Reply(document={"events": events})


def followed(*replies: Reply, job_ids: Sequence[str] = ("one",), **options: Any) -> list[tuple[str, str | None]]:
    with scripted_server(*replies) as script, Client(script.url, "key", backoff=QUICK) as client:
        options.setdefault("patience", PATIENT)
        after = options.pop("after", None)
        return [(job_id, event.status) for job_id, event in Wait(client, **options).follow(job_ids, after=after)]


def test_every_state_is_told_once_and_in_order_however_it_is_cut_up() -> None:
    replies = [history(STATUSES[:2]), history(STATUSES[:2]), history(STATUSES[:4]), history(STATUSES)]
    assert followed(*replies) == [("one", status) for status in STATUSES]


def test_states_that_passed_between_two_looks_are_not_missed() -> None:
    assert followed(history(STATUSES)) == [("one", status) for status in STATUSES]


def test_a_job_that_a_person_retried_is_followed_to_its_new_end() -> None:
    retried = ["queued", "failed", "queued"]
    replies = history(retried), history([*retried, "completed"])
    assert followed(*replies) == [("one", status) for status in [*retried, "completed"]]
    assert followed(*replies, after={"one": 2}) == [("one", "queued"), ("one", "completed")]


def test_a_kind_of_event_that_nobody_knows_yet_is_passed_on_and_ends_nothing() -> None:
    reply = history(STATUSES)
    reply.document["events"][2] |= {"kind": "job.of_tomorrow", "data": {"word": 1}}
    assert followed(reply) == [("one", status) for status in ["queued", "processing", None, "uploading", "completed"]]


def test_several_jobs_are_followed_until_the_last_has_ended() -> None:
    told = followed(history(["queued", "completed"]), history(["queued"]), history(STATUSES), job_ids=("one", "two"))
    assert told[:3] == [("one", "queued"), ("one", "completed"), ("two", "queued")]
    assert told[3:] == [("two", status) for status in STATUSES[1:]]


def test_an_outage_is_waited_through() -> None:
    assert followed(history(["queued"]), Reply(hang_up=True), Reply(hang_up=True), history(STATUSES))[-1] == (
        "one",
        "completed",
    )


def test_a_service_that_says_it_is_away_is_waited_for_too_and_that_is_told_once() -> None:
    told: list[str] = []
    away = Reply(status=503, document={"reason": "database_unavailable", "detail": "Not now."})
    assert followed(away, away, history(STATUSES), on_silence=told.append)[-1] == ("one", "completed")
    assert told == ["Not now."]


def test_a_wait_with_a_timeout_outlasts_any_silence_before_it_and_names_the_jobs() -> None:
    with pytest.raises(Unreachable) as ended:
        followed(
            *(Reply(hang_up=True), Reply(hang_up=True), Reply(hang_up=True)),
            timeout_seconds=0.1,
            patience=Patience(shortest_seconds=0.001, longest_seconds=0.01, silence_seconds=0.0),
        )
    assert ended.value.open_ids == ("one",)


def test_a_refusal_ends_the_wait() -> None:
    with pytest.raises(Refused):
        followed(history(["queued"]), Reply(status=401, document={}))


def test_a_service_that_stays_silent_is_given_up() -> None:
    with pytest.raises(Unreachable):
        followed(Reply(hang_up=True), patience=Patience(shortest_seconds=0.001, longest_seconds=0.001, silence_seconds=0.01))


def test_a_wait_ends_when_it_was_said_to_and_names_what_goes_on() -> None:
    with pytest.raises(WaitTimedOut) as ended:
        followed(history(["queued"]), job_ids=("one", "two"), timeout_seconds=0.01)
    assert ended.value.open_ids == ("one", "two")
