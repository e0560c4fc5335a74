"""What a status stands for, whatever the provider says of its bill; and what of its text may be shown."""

import pytest
from hypothesis import given, strategies as st

from imagejobs.errors import (
    Billed,
    OutcomeUnknown,
    ProviderCreditExhausted,
    ProviderError,
    ProviderFailed,
    ProviderKeyRejected,
    ProviderOverloaded,
    ProviderRejected,
    ProviderThrottled,
)
from imagejobs.net.http import OutboundAnswer
from imagejobs.providers.remote import MAX_QUOTED, Complaint, document_in, error_of, quoted

UNKNOWN = OutcomeUnknown
TABLE: dict[int, tuple[type[ProviderError], type[ProviderError], type[ProviderError]]] = {
    # status: what it is where the provider says nothing of its bill, where it says free, and where it says charged
    302: (UNKNOWN, ProviderFailed, UNKNOWN),
    400: (ProviderRejected, ProviderRejected, ProviderRejected),
    401: (ProviderKeyRejected, ProviderKeyRejected, UNKNOWN),
    402: (ProviderCreditExhausted, ProviderCreditExhausted, UNKNOWN),
    408: (UNKNOWN, UNKNOWN, UNKNOWN),
    409: (UNKNOWN, UNKNOWN, UNKNOWN),
    429: (ProviderThrottled, ProviderThrottled, UNKNOWN),
    500: (UNKNOWN, ProviderFailed, UNKNOWN),
    502: (UNKNOWN, ProviderFailed, UNKNOWN),
    503: (ProviderOverloaded, ProviderOverloaded, UNKNOWN),
    504: (UNKNOWN, ProviderFailed, UNKNOWN),
    529: (ProviderOverloaded, ProviderOverloaded, UNKNOWN),
}


@pytest.mark.parametrize("status", TABLE)
@pytest.mark.parametrize(("column", "says"), [(0, None), (1, False), (2, True)])
def test_a_status_and_what_is_said_of_the_bill_decide_together(status: int, column: int, says: bool | None) -> None:
    error = error_of(OutboundAnswer(status=status, headers={}, body=b""), Complaint(billed=says), "acme")
    assert type(error) is TABLE[status][column]
    if says:
        assert error.billed is not Billed.NO


@given(st.integers(300, 999), st.sampled_from([None, Complaint(), Complaint(billed=True)]))
def test_no_status_is_called_free_unless_it_surely_is(status: int, complaint: Complaint | None) -> None:
    error = error_of(OutboundAnswer(status=status, headers={}, body=b""), complaint, "acme")
    if status >= 500 and complaint is None:
        assert error.billed is Billed.UNKNOWN
    if complaint is not None and complaint.billed:
        assert error.billed is not Billed.NO


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("two\r\nlines\tand\0more", "two lines and more"),
        ("key s3cret here", "key *** here"),
        ("Authorization: Bearer abc.def-ghi, sorry", "Authorization: Bearer *** sorry"),
        ("see https://x.example/a/b?X-Amz-Signature=abc&y=1 now", "see https://x.example/a/b?*** now"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("right\u202eto\u2066left", "right to left"),
        ("x" * 5000, "x" * (MAX_QUOTED - 1) + "…"),
    ],
)
def test_a_text_of_others_is_made_fit_to_be_shown(text: str, expected: str) -> None:
    assert quoted(text, "s3cret") == expected


@given(st.text(max_size=3000))
def test_any_text_becomes_one_short_storable_line(text: str) -> None:
    line = quoted(text + "s3cret" + text, "s3cret")
    assert len(line) <= MAX_QUOTED
    assert "s3cret" not in line
    assert "\0" not in line
    line.encode()


def test_a_hostile_text_takes_no_time() -> None:
    assert len(quoted("http://" * 1_000_000)) == MAX_QUOTED


@given(st.binary(max_size=200))
def test_any_body_is_an_object_or_none(body: bytes) -> None:
    found = document_in(OutboundAnswer(status=200, headers={}, body=body))
    assert found is None or isinstance(found, dict)
