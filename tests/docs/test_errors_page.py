"""The page of errors says of each reason what the code does, and every error can be read by a person."""

import re
from pathlib import Path

import pytest

from imagejobs import errors
from imagejobs.errors import Billed, Code, ImageJobsError, Retry, every_error
from imagejobs.web.problems import STATUSES, status_of

PAGE = (Path(__file__).parents[2] / "docs/reference/errors.md").read_text()
RETRIES = {
    Retry.NEVER: "not retried",
    Retry.LATER: "retried",
    Retry.SNOOZE: "waits, then tries again",
    Retry.RECONCILE: "asked for again where that buys nothing",
}
BILLED = {Billed.NO: "not billed", Billed.YES: "billed", Billed.UNKNOWN: "possibly billed"}
ERRORS = list(every_error())
BY_PROGRESS = (errors.JobError, errors.InternalError)
ANSWERS = (
    errors.RequestError,
    errors.DatabaseUnavailable,
    errors.SignInUnavailable,
    errors.InternalError,
    errors.StorageUnavailable,
)
IN_A_JOB = (errors.ProviderError, errors.InputError, errors.StorageError, errors.JobError, errors.InternalError)
CONTRACT_STATUSES = {  # A16
    Code.PERMANENT: {400, 402, 404, 405, 409, 413, 415, 422},
    Code.AUTH_ERROR: {401, 403},
    Code.RATE_LIMIT: {429},
    Code.TEMPORARY: {408, 503},  # 408 is ours: the contract knows no slow sender
    Code.UNKNOWN: {500},
}


def by_reason() -> dict[str, type[ImageJobsError]]:
    """Each reason with the class that introduces it; a word that a parent leaves unspecific belongs to the leaf."""
    found: dict[str, type[ImageJobsError]] = {}
    for error in ERRORS:
        if "reason" in vars(error):
            found[error.reason] = error
    return found


REASONS = by_reason()


def where(error: type[ImageJobsError]) -> str:
    places = [f"HTTP {status_of(error)}"] if issubclass(error, ANSWERS) else []
    places += ["in a job"] if issubclass(error, IN_A_JOB) else []
    if error is errors.ConfigurationError:
        places = ["at start"]
    return ", ".join(places) or "in logs"


def billed(error: type[ImageJobsError]) -> str:
    return "billed as far as it got" if issubclass(error, BY_PROGRESS) else BILLED[error.billed]


def section(reason: str) -> str:
    match = re.search(rf"^## `{reason}`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None, f"docs/reference/errors.md has no section ## `{reason}`"
    return match[1]


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_has_its_section_with_the_facts_of_the_code(reason: str) -> None:
    error = REASONS[reason]
    text = section(reason)
    assert text.strip().splitlines()[0] == f"`{error.code}` · {where(error)} · {RETRIES[error.retry]} · {billed(error)}"
    for heading in ("**What happened.** ", "**What it cost.** ", "**What to do.** "):
        assert len(text.partition(heading)[2].partition("\n\n")[0]) >= len("Nothing."), heading


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_is_a_row_of_the_table_and_links_to_its_section(reason: str) -> None:
    error = REASONS[reason]
    row = f"| [`{reason}`](#{reason}) | `{error.code}` | {where(error)} | {RETRIES[error.retry]} | {billed(error)} |"
    assert row in PAGE.splitlines()


def test_no_reason_is_described_that_no_error_has() -> None:
    assert set(re.findall(r"^## `(\w+)`$", PAGE, re.MULTILINE)) == set(REASONS)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_each_error_has_words_that_are_part_of_the_api(error: type[ImageJobsError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.reason)
    assert error.__doc__, "says what happened"
    assert error.__doc__.strip().endswith(".")
    assert (error.billed is Billed.UNKNOWN) == (error.retry is Retry.RECONCILE)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_no_two_leaves_share_a_reason(error: type[ImageJobsError]) -> None:
    if not error.__subclasses__():
        assert REASONS[error.reason] is error


@pytest.mark.parametrize("error", [error for error in ERRORS if issubclass(error, ANSWERS)], ids=lambda e: e.__name__)
def test_a8_a16_each_answer_has_the_status_of_its_code(error: type[ImageJobsError]) -> None:
    assert status_of(error) in CONTRACT_STATUSES[error.code]


def test_every_status_is_used() -> None:
    used = {status_of(error) for error in ERRORS}
    assert set(STATUSES.values()) == used
