"""How long the other side asks to wait, however badly it puts it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, strategies as st

from imagejobs.net.retry_after import MAX_SECONDS, retry_after_seconds

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def a_date(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("5", 5.0),
        (" 5 ", 5.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("86400", 86_400.0),
        ("86401", None),
        ("999999999999999999999", None),
        ("-5", None),
        ("+5", None),
        ("1e9", None),
        ("inf", None),
        ("nan", None),
        ("\u0665", None),
        ("5 seconds", None),
        ("", None),
        (a_date(90), 90.0),
        (a_date(-90), 0.0),
        (a_date(100_000), None),
        ("Sunday, 22-Nov-26 12:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 12:01:00", 60.0),
        ("Sun, 22 Nov 2026 12:01:00 +0100", 0.0),
        ("Sun, 99 Nov 2026 12:01:00 GMT", None),
        ("tomorrow", None),
    ],
)
def test_what_is_stated_is_understood_or_ignored(stated: str, expected: float | None) -> None:
    assert retry_after_seconds({"retry-after": stated}, NOW) == expected


def test_nothing_stated_is_none() -> None:
    assert retry_after_seconds({}, NOW) is None


def test_a_date_counts_from_the_clock_of_the_answer() -> None:
    skewed = {"date": a_date(3600), "retry-after": a_date(3610)}
    assert retry_after_seconds(skewed, NOW) == 10.0


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_header_can_do_harm(stated: str, date: str) -> None:
    found = retry_after_seconds({"retry-after": stated, "date": date}, NOW)
    assert found is None or 0 <= found <= MAX_SECONDS


@given(st.datetimes(timezones=st.just(UTC)))
def test_any_date_is_a_wait_within_bounds(instant: datetime) -> None:
    found = retry_after_seconds({"retry-after": format_datetime(instant, usegmt=True)}, NOW)
    assert found is None or 0 <= found <= MAX_SECONDS
