"""Reservations and the append-only ledger: one statement a function, in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from imagejobs.db.budgets import shift
from imagejobs.db.rows import parameters
from imagejobs.domain.money import Cost, Quote
from imagejobs.ports import Transaction


async def open_reservation(tx: Transaction, job_id: UUID) -> int | None:
    """The number of the job's reservation that still holds money."""
    number: int | None = await tx.fetchval(
        "SELECT reservation_no FROM imagejobs.reservations WHERE job_id = $1 AND state = 'reserved' "
        "ORDER BY reservation_no DESC LIMIT 1",
        job_id,
    )
    return number


async def reserve_again(
    tx: Transaction, job_id: UUID, quote: Quote, asked_by_key: str | None
) -> tuple[int, str, str | None]:
    """Write a reservation for a further purchase of the job: its number, and whose budgets have to hold it.

    That is the key of the reservation before; `asked_by_key` for a job that has none.
    """
    row = await tx.fetchrow(
        "WITH latest AS ("
        "SELECT project_id, key_id, reservation_no FROM imagejobs.reservations WHERE job_id = $1 "
        "ORDER BY reservation_no DESC LIMIT 1"
        "), job AS ("
        "SELECT id, project_id FROM public.image_generation_jobs WHERE id = $1"
        "), reservation AS ("
        "INSERT INTO imagejobs.reservations (job_id, reservation_no, project_id, key_id, amount_micros, price_version) "
        "SELECT job.id, coalesce(latest.reservation_no, 0) + 1, job.project_id, "
        "CASE WHEN latest.reservation_no IS NULL THEN $4 ELSE latest.key_id END, $2, $3 "
        "FROM job LEFT JOIN latest ON true RETURNING *"
        ") INSERT INTO imagejobs.ledger_entries "
        "(job_id, reservation_no, project_id, key_id, kind, amount_micros, price_version) "
        "SELECT job_id, reservation_no, project_id, key_id, 'reserve', $2, $3 FROM reservation "
        "RETURNING reservation_no, project_id, key_id",
        job_id,
        quote.micros,
        quote.price_version,
        asked_by_key,
    )
    assert row is not None
    return row["reservation_no"], row["project_id"], row["key_id"]


_CLOSE = """
WITH before AS (
    SELECT job_id, reservation_no, state, amount_micros FROM imagejobs.reservations
    WHERE job_id = $1 AND reservation_no = $2 AND state = ANY($5) FOR NO KEY UPDATE
), reservation AS (
    UPDATE imagejobs.reservations AS target SET state = $4, closed_at = now() FROM before
    WHERE target.job_id = before.job_id AND target.reservation_no = before.reservation_no
    RETURNING target.*, before.state AS state_before,
        CASE before.state WHEN 'released' THEN 0 ELSE target.amount_micros END AS held_micros
), entry AS (
    INSERT INTO imagejobs.ledger_entries
        (job_id, reservation_no, attempt_id, project_id, key_id, kind, amount_micros, price_version, note)
    SELECT job_id, reservation_no, $3, project_id, key_id,
        CASE $4 WHEN 'posted' THEN 'post' WHEN 'released' THEN 'release' ELSE $4 END,
        coalesce($6, amount_micros), coalesce($7, price_version), $8
    FROM reservation
), overrun AS (
    INSERT INTO imagejobs.ledger_entries
        (job_id, reservation_no, attempt_id, project_id, key_id, kind, amount_micros, price_version)
    SELECT job_id, reservation_no, $3, project_id, key_id, 'overrun', $6 - held_micros, coalesce($7, price_version)
    FROM reservation WHERE $6 > held_micros
)
SELECT state_before, held_micros FROM reservation
"""


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """The money side of an attempt."""

    job_id: UUID
    reservation_no: int
    attempt_id: UUID | None = None


async def post(tx: Transaction, purchase: Purchase, cost: Cost) -> bool:
    """Turn the reservation into spend, also one whose outcome was unknown until now, or that a person took for free.

    Never refused for the amount: what exceeds what is held becomes an `overrun` entry beside the posting. False where it is
    spend already.
    """
    return await _close(tx, purchase, "posted", ("reserved", "unknown", "released"), cost) is not None


async def post_reserved(tx: Transaction, purchase: Purchase) -> int | None:
    """Turn the reservation into spend at the price it was made at; the amount, None where it is closed already."""
    return await _close(tx, purchase, "posted", ("reserved",))


async def release(tx: Transaction, job_id: UUID) -> None:
    """Give back the money that is held for the job, if any is: nothing is bought with it."""
    if (number := await open_reservation(tx, job_id)) is not None:
        await _close(tx, Purchase(job_id=job_id, reservation_no=number), "released", ("reserved",))


async def mark_unknown(tx: Transaction, purchase: Purchase) -> None:
    """Keep the money as unknown spend, never guessed, until a person or a late answer says."""
    await _close(tx, purchase, "unknown", ("reserved",))


async def resolve(tx: Transaction, purchase: Purchase, *, billed: bool, by: str) -> int | None:
    """A person's word on unknown spend: posted as reserved, or released. What was posted; None where nothing was unknown."""
    return await _close(tx, purchase, "posted" if billed else "released", ("unknown",), note=f"resolved by {by}")


async def _close(
    tx: Transaction,
    purchase: Purchase,
    state: str,
    sources: Sequence[str],
    cost: Cost | None = None,
    note: str | None = None,
) -> int | None:
    """Close the reservation, and shift its amount within its budgets: what is spent or unknown now, None where none fits."""
    stated = (cost.micros, cost.price_version) if cost else (None, None)
    row = await tx.fetchrow(_CLOSE, *parameters(purchase), state, sources, *stated, note)
    if row is None:
        return None
    held: int = row["held_micros"]
    now = 0 if state == "released" else cost.micros if cost else held
    counts = {row["state_before"]: -held, state: now}
    counts.pop("released", None)
    await shift(tx, purchase.job_id, purchase.reservation_no, **counts)
    return now


async def unknown_purchases(tx: Transaction, job_id: UUID) -> list[Purchase]:
    """The job's purchases whose outcome nobody knows."""
    query = "SELECT reservation_no FROM imagejobs.reservations WHERE job_id = $1 AND state = 'unknown' ORDER BY 1"
    return [Purchase(job_id=job_id, **row) for row in await tx.fetch(query, job_id)]


async def committed_micros(tx: Transaction, job_id: UUID, states: Sequence[str] = ("posted", "unknown")) -> int:
    """What the job has cost, or may have cost, so far; with `reserved` also what is held for a purchase."""
    total = await tx.fetchval(
        "SELECT coalesce(sum(coalesce(posted.amount_micros, reservation.amount_micros)), 0) "
        "FROM imagejobs.reservations AS reservation LEFT JOIN imagejobs.ledger_entries AS posted "
        "ON posted.job_id = reservation.job_id AND posted.reservation_no = reservation.reservation_no "
        "AND posted.kind = 'post' WHERE reservation.job_id = $1 AND reservation.state = ANY($2)",
        job_id,
        list(states),
    )
    return int(total)
