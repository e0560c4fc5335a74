"""Reservations and the append-only ledger: one statement a function, in the caller's transaction."""

from uuid import UUID

from imagejobs.ports import Transaction


async def open_reservation(tx: Transaction, job_id: UUID) -> int | None:
    """The number of the job's reservation that still holds money."""
    number: int | None = await tx.fetchval(
        "SELECT reservation_no FROM imagejobs.reservations WHERE job_id = $1 AND state = 'reserved' "
        "ORDER BY reservation_no DESC LIMIT 1",
        job_id,
    )
    return number


async def reserve_again(tx: Transaction, job_id: UUID, amount_micros: int, price_version: str) -> int:
    """Hold money for a further purchase of the job; the new reservation's number."""
    number = await tx.fetchval(
        "WITH latest AS ("
        "SELECT project_id, key_id, reservation_no FROM imagejobs.reservations WHERE job_id = $1 "
        "ORDER BY reservation_no DESC LIMIT 1"
        "), job AS ("
        "SELECT id, project_id FROM public.image_generation_jobs WHERE id = $1"
        "), reservation AS ("
        "INSERT INTO imagejobs.reservations (job_id, reservation_no, project_id, key_id, amount_micros, price_version) "
        "SELECT job.id, coalesce(latest.reservation_no, 0) + 1, job.project_id, latest.key_id, $2, $3 "
        "FROM job LEFT JOIN latest ON true RETURNING *"
        ") INSERT INTO imagejobs.ledger_entries "
        "(job_id, reservation_no, project_id, key_id, kind, amount_micros, price_version) "
        "SELECT job_id, reservation_no, project_id, key_id, 'reserve', $2, $3 FROM reservation RETURNING reservation_no",
        job_id,
        amount_micros,
        price_version,
    )
    return int(number)


_CLOSE = """
WITH reservation AS (
    UPDATE imagejobs.reservations SET state = $3, closed_at = now()
    WHERE job_id = $1 AND reservation_no = $2 AND state = ANY($4)
    RETURNING *
), entry AS (
    INSERT INTO imagejobs.ledger_entries
        (job_id, reservation_no, attempt_id, project_id, key_id, kind, amount_micros, price_version)
    SELECT job_id, reservation_no, $5, project_id, key_id, $6, coalesce($7, amount_micros), coalesce($8, price_version)
    FROM reservation
), overrun AS (
    INSERT INTO imagejobs.ledger_entries
        (job_id, reservation_no, attempt_id, project_id, key_id, kind, amount_micros, price_version)
    SELECT job_id, reservation_no, $5, project_id, key_id, 'overrun', $7 - amount_micros, coalesce($8, price_version)
    FROM reservation WHERE $7 > amount_micros
)
SELECT count(*) FROM reservation
"""


async def post(tx: Transaction, attempt: tuple[UUID, int, UUID], micros: int, price_version: str) -> bool:
    """Turn the reservation (job, number, attempt) into spend, also one whose outcome was unknown until now.

    Never refused for the amount: what exceeds the reservation becomes an `overrun` entry beside the posting.
    """
    job_id, number, attempt_id = attempt
    changed = await tx.fetchval(
        _CLOSE, job_id, number, "posted", ["reserved", "unknown"], attempt_id, "post", micros, price_version
    )
    return bool(changed)


async def release(tx: Transaction, job_id: UUID, reservation_no: int) -> bool:
    """Give the money back: nothing was bought."""
    changed = await tx.fetchval(_CLOSE, job_id, reservation_no, "released", ["reserved"], None, "release", None, None)
    return bool(changed)


async def mark_unknown(tx: Transaction, attempt: tuple[UUID, int, UUID]) -> bool:
    """Keep the money as unknown spend, never guessed, until a person or a late answer says."""
    job_id, number, attempt_id = attempt
    changed = await tx.fetchval(_CLOSE, job_id, number, "unknown", ["reserved"], attempt_id, "unknown", None, None)
    return bool(changed)
