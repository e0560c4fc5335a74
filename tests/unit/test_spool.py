"""The spool: a paid answer comes back from the disk as it was, or not at all."""

import hashlib
import json
from pathlib import Path
from uuid import uuid4

import pytest

from imagejobs.domain.money import Cost
from imagejobs.ports import Answer
from imagejobs.spool import Spool, Spooled

ANSWER = Answer(
    data=b"\x89PNG\r\n\x1a\n\x00\xff" * 1000,
    media_type="image/png",
    cost=Cost(micros=40_000, price_version="2026-11", estimated=True),
    remote_id="call-1",
    metadata={"seed": 7, "tokens": {"output": 1290, "thoughts": None}, "words": "Füchse im Schnee"},
)


def kept(spool: Spool, answer: Answer = ANSWER) -> Spooled:
    spooled = Spooled(attempt_id=uuid4(), job_id=uuid4(), reservation_no=2, answer=answer)
    spool.keep(spooled)
    return spooled


def test_p4_an_answer_is_read_as_it_was_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    plain = Answer(data=b"", media_type="image/webp", cost=Cost(micros=0, price_version="", estimated=False))
    first, second = kept(spool), kept(spool, plain)
    spool.keep(first)
    later = Spool(tmp_path / "spool")
    assert sorted(later.waiting(), key=lambda one: len(one.answer.data)) == [second, first]
    later.forget(first.attempt_id)
    later.forget(first.attempt_id)
    assert list(later.waiting()) == [second]


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_p4_a_damaged_file_is_passed_over_and_stays(tmp_path: Path, cut: int) -> None:
    spool = Spool(tmp_path)
    damaged = kept(spool)
    whole = kept(spool)
    path = tmp_path / f"{damaged.attempt_id}.answer"
    path.write_bytes(path.read_bytes()[:cut])
    assert list(spool.waiting()) == [whole]
    assert path.exists()


@pytest.mark.parametrize("header", [b"[]", b"{}", b"null", b"\xff", b'{"sha256": 1}'])
def test_p4_a_header_of_another_kind_is_passed_over(tmp_path: Path, header: bytes) -> None:
    (tmp_path / f"{uuid4()}.answer").write_bytes(header + b"\nbytes")
    assert list(Spool(tmp_path).waiting()) == []


def test_p4_an_empty_place_has_nothing(tmp_path: Path) -> None:
    assert list(Spool(tmp_path / "none").waiting()) == []


def test_p4_a_file_that_an_earlier_version_left_is_read(tmp_path: Path) -> None:
    """Paid pictures may wait on the disk while the program is replaced, so that the form of a file stays what it was."""
    attempt_id, job_id = uuid4(), uuid4()
    header = {
        "attempt_id": str(attempt_id),
        "job_id": str(job_id),
        "reservation_no": 2,
        "media_type": ANSWER.media_type,
        "cost_micros": 40_000,
        "price_version": "2026-11",
        "cost_estimated": True,
        "remote_id": ANSWER.remote_id,
        "metadata": dict(ANSWER.metadata),
        "sha256": hashlib.sha256(ANSWER.data).hexdigest(),
    }
    (tmp_path / f"{attempt_id}.answer").write_bytes(json.dumps(header).encode() + b"\n" + ANSWER.data)
    (found,) = Spool(tmp_path).waiting()
    assert found == Spooled(attempt_id=attempt_id, job_id=job_id, reservation_no=2, answer=ANSWER)
