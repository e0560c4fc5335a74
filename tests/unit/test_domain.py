import itertools
from dataclasses import fields, replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from imagejobs.domain.access import Caller, Operation, Scope, make_key, parse_key
from imagejobs.domain.artifacts import object_key, safe_segment
from imagejobs.domain.jobs import FailureStage, JobStatus, JobType
from imagejobs.domain.lifecycle import FINAL, TRANSITIONS, failure_stage, sources
from imagejobs.domain.money import from_credits, to_credits
from imagejobs.domain.requests import ImageRequest, PictureSource, Reference, ReferenceRole
from imagejobs.domain.retry import GiveUp, RetrySchedule, RetryState, TryLater, decide
from imagejobs.errors import (
    ContentRefused,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    ProviderPaused,
    ProviderThrottled,
    ProviderUnreachable,
    StorageThrottled,
    StorageUnavailable,
)
from tests.support.values import a_job, a_request

SCHEDULE = RetrySchedule()
RUNNING = {JobStatus.PROCESSING, JobStatus.GENERATING, JobStatus.UPLOADING}
ATTEMPT = UUID(int=7)
NONCE = "0123456789abcdef01234567"


def test_a5_the_table_has_the_contracts_path_and_failed_from_any_open_state() -> None:
    path = [JobStatus.QUEUED, JobStatus.PROCESSING, JobStatus.GENERATING, JobStatus.UPLOADING, JobStatus.COMPLETED]
    assert all(after in TRANSITIONS[before] for before, after in itertools.pairwise(path))
    assert all(JobStatus.FAILED in TRANSITIONS[status] for status in {JobStatus.QUEUED, *RUNNING})
    assert TRANSITIONS[JobStatus.COMPLETED] == frozenset()
    assert JobStatus.CANCELED not in sources(JobStatus.QUEUED, by_worker=True)
    assert sources(JobStatus.COMPLETED) == (JobStatus.UPLOADING,)
    assert set(TRANSITIONS) == set(JobStatus) == FINAL | RUNNING | {JobStatus.QUEUED}


def test_a6_the_failure_stage_follows_from_the_state() -> None:
    refused, full = ContentRefused("no"), StorageUnavailable("full")
    assert failure_stage(JobStatus.QUEUED, refused) is None
    assert failure_stage(JobStatus.PROCESSING, refused) is FailureStage.PROCESSING
    assert failure_stage(JobStatus.GENERATING, refused) is FailureStage.GENERATING
    assert failure_stage(JobStatus.UPLOADING, full) is FailureStage.UPLOADING
    assert failure_stage(JobStatus.UPLOADING, refused) is FailureStage.PERSISTING


def test_a10_waits_double_from_one_second_to_ten_and_end_after_three() -> None:
    unreachable = ProviderUnreachable("refused")
    ceilings = [SCHEDULE.ceiling(used) for used in range(6)]
    assert ceilings == [1, 2, 4, 8, 10, 10]
    decisions = [
        decide(unreachable, RetryState(retries_used=used, max_retries=3, seconds_left=900), SCHEDULE, 0.5)
        for used in range(4)
    ]
    assert decisions == [TryLater(0.5, True), TryLater(1.0, True), TryLater(2.0, True), GiveUp()]


@given(chance=st.floats(0, 1, exclude_max=True), used=st.integers(0, 10), left=st.floats(-10, 1000))
def test_no_wait_outlives_the_deadline(chance: float, used: int, left: float) -> None:
    state = RetryState(retries_used=used, max_retries=10, seconds_left=left)
    for error in (ProviderUnreachable("x"), ProviderThrottled("x"), ProviderThrottled("x", 30.0)):
        decision = decide(error, state, SCHEDULE, chance)
        assert isinstance(decision, GiveUp) or decision.delay_seconds < left


def test_a_throttle_waits_as_told_and_uses_up_nothing() -> None:
    state = RetryState(retries_used=3, max_retries=3, seconds_left=900)
    assert decide(ProviderThrottled("x", 7.5), state, SCHEDULE, 0.5) == TryLater(7.5, False)
    assert decide(ProviderThrottled("x", 0.0), state, SCHEDULE, 0.5) == TryLater(1.0, False)
    assert decide(ProviderThrottled("x", 3600.0), state, SCHEDULE, 0.5) == GiveUp()


def test_with_another_model_to_go_on_to_waits_count_and_long_ones_are_not_made() -> None:
    state = RetryState(retries_used=1, max_retries=3, seconds_left=900, has_fallback=True)
    assert decide(ProviderThrottled("x", 7.5), state, SCHEDULE, 0.5) == TryLater(7.5, True)
    assert decide(ProviderThrottled("x"), state, SCHEDULE, 0.5) == TryLater(3.0, True)
    assert decide(ProviderThrottled("x", 30.0), state, SCHEDULE, 0.5) == GiveUp()
    assert decide(ProviderThrottled("x", 7.5), replace(state, seconds_left=5), SCHEDULE, 0.5) == GiveUp()
    assert decide(ProviderThrottled("x", 7.5), replace(state, retries_used=3), SCHEDULE, 0.5) == GiveUp()
    assert decide(ProviderPaused("x", 0.1), state, SCHEDULE, 0.5) == GiveUp()
    assert decide(StorageThrottled("x", 30.0), state, SCHEDULE, 0.5) == TryLater(30.0, False)


def test_p3_a_lost_answer_is_asked_for_again_only_where_that_buys_nothing() -> None:
    lost = OutcomeUnknown("gone")
    state = RetryState(retries_used=0, max_retries=3, seconds_left=900)
    assert decide(lost, state, SCHEDULE, 0.5) == GiveUp()
    resumable = RetryState(retries_used=0, max_retries=3, seconds_left=900, is_resumable=True)
    assert decide(lost, resumable, SCHEDULE, 0.5) == TryLater(0.5, True)


@given(micros=st.integers(0, 10**15))
def test_b6_credits_keep_every_micro_dollar_at_one_credit_a_dollar(micros: int) -> None:
    assert from_credits(to_credits(micros)) == micros


def test_b6_credits_of_another_worth_round_half_to_even() -> None:
    assert to_credits(1_000_000, 10_000) == Decimal("100.000000")
    assert to_credits(1, 3_000_000) == Decimal("0.000000")
    assert from_credits(Decimal("0.01"), 3_000_000) == 30_000


@pytest.mark.parametrize(
    ("job", "folder"),
    [
        ({"job_type": JobType.MASTER_ASSET, "asset_id": "hero"}, "master-assets/hero_"),
        (
            {"job_type": JobType.START_FRAME, "scene_id": "s1", "shot_id": "k2"},
            "scene_s1/shot_k2/start_frame_",
        ),
        ({"job_type": JobType.END_FRAME, "scene_id": "s1", "shot_id": "k2"}, "scene_s1/shot_k2/end_frame_"),
        ({"job_type": JobType.SCENE_ASSET, "scene_id": "s1", "asset_id": "lamp"}, "scene_s1/scene-assets/lamp_"),
        ({"job_type": JobType.ANGLE_VARIANT, "asset_id": "hero"}, "master-assets/angles/hero_"),
        ({"job_type": JobType.TRANSFORMATION_POST}, "transformations/"),
        ({"job_type": JobType.INPAINT}, "misc/"),
        ({"job_type": JobType.START_FRAME}, "misc/"),
    ],
)
def test_c3_each_kind_of_picture_has_its_folder(job: dict[str, object], folder: str) -> None:
    key = object_key(a_job(project_id="p", branch_id="b", **job), ATTEMPT, NONCE, "image/jpeg")
    assert key == f"project_p/branch_b/{folder}{ATTEMPT.hex}_{NONCE}.jpg"


@given(st.text(max_size=300))
def test_c3_no_id_can_leave_its_folder(identifier: str) -> None:
    segment = safe_segment(identifier)
    assert segment
    assert "/" not in segment
    assert not segment.startswith(".")
    assert segment.isascii()
    assert len(segment) <= 100
    assert (segment == identifier) or segment.startswith("x-")


def test_c3_two_odd_ids_do_not_share_a_folder() -> None:
    assert safe_segment("ä") != safe_segment("ö")
    assert safe_segment("../x") != safe_segment("x")


@given(entropy=st.binary(min_size=40, max_size=40), position=st.integers(0, 60))
def test_a_key_survives_its_own_text_and_no_other(entropy: bytes, position: int) -> None:
    key = make_key(entropy)
    text = str(key)
    assert parse_key(text) == key
    position = position % len(text)
    other = "A" if text[position] != "A" else "B"
    assert parse_key(text[:position] + other + text[position + 1 :]) is None


def test_a12_a_bound_caller_sees_its_own_projects_only() -> None:
    bound = Caller(name="x", key_id="k", scopes=frozenset({Scope.READ}), project_ids=frozenset({"mine"}))
    bound.require_project("mine", Operation.READ_JOB)
    with pytest.raises(NotFound):
        bound.require_project("theirs", Operation.READ_JOB)
    with pytest.raises(PermissionDenied):  # said of every project alike, so that nothing is learnt from it
        bound.require_project("theirs", Operation.CREATE_JOB)
    with pytest.raises(PermissionDenied):
        bound.require(Scope.WRITE)
    assert not bound.creates_projects


def test_a7_every_field_that_says_what_is_asked_changes_the_fingerprint() -> None:
    other = {
        "references": (Reference(source=PictureSource(url="http://x"), role=ReferenceRole.STYLE),),
        "source_image": PictureSource(input_id="i"),
        "mask": PictureSource(job_id="j"),
        "job_type": JobType.EDIT,
        "fallback": ("sketch",),
        "tags": ("t",),
    }
    base = a_request()
    for field in fields(ImageRequest):
        value = other.get(field.name, 7 if isinstance(getattr(base, field.name), int) else "other")
        changed = a_request(**{field.name: value})
        assert changed.fingerprint() != base.fingerprint(), field.name
    assert a_request().fingerprint() == base.fingerprint()
