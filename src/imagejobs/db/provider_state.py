"""What is known of a provider under one key, for all processes: its circuit, and how often it failed in a row."""

from dataclasses import dataclass

from imagejobs.db.pool import Connection
from imagejobs.db.rows import parameters, value_from


@dataclass(frozen=True, kw_only=True)
class Account:
    """A provider under one key; `fingerprint` tells keys apart without holding them."""

    provider: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """`reason` is that of the error which opened it, None while it is closed; `last_probe_seconds`: how long ago one was."""

    reason: str | None
    last_probe_seconds: float


@dataclass(frozen=True, kw_only=True)
class OpenCircuit:
    """An account that is known not to work, why, and for how long."""

    account: Account
    reason: str
    open_seconds: float


async def open_circuits(connection: Connection) -> list[OpenCircuit]:
    """All of them, those of keys that are no longer in use too."""
    rows = await connection.fetch(
        "SELECT provider, key_fingerprint AS fingerprint, circuit_reason AS reason, "
        "extract(epoch FROM clock_timestamp() - coalesce(circuit_opened_at, updated_at))::float8 AS open_seconds "
        "FROM imagejobs.provider_state WHERE circuit_reason IS NOT NULL ORDER BY provider, key_fingerprint"
    )
    return [value_from(OpenCircuit, row, account=value_from(Account, row)) for row in rows]


async def circuit_of(connection: Connection, account: Account) -> Circuit | None:
    """The account's circuit; None where nothing ever went wrong since it last worked."""
    row = await connection.fetchrow(
        "SELECT circuit_reason AS reason, "
        "coalesce(extract(epoch FROM clock_timestamp() - probe_at), 0)::float8 AS last_probe_seconds "
        "FROM imagejobs.provider_state WHERE provider = $1 AND key_fingerprint = $2 "
        "AND (circuit_reason IS NOT NULL OR facts ? 'failures')",
        *parameters(account),
    )
    return None if row is None else value_from(Circuit, row)


async def take_probe(connection: Connection, account: Account, every_seconds: float) -> bool:
    """True for one caller in `every_seconds`, whoever else asks at the same time; it may try the open circuit."""
    taken = await connection.execute(
        "UPDATE imagejobs.provider_state SET probe_at = clock_timestamp(), updated_at = now() "
        "WHERE provider = $1 AND key_fingerprint = $2 AND circuit_reason IS NOT NULL "
        "AND probe_at <= clock_timestamp() - make_interval(secs => $3)",
        *parameters(account),
        every_seconds,
    )
    return bool(taken == "UPDATE 1")


async def open_circuit(connection: Connection, account: Account, reason: str) -> None:
    """Open it, or keep it open; the next probe's waiting time begins anew."""
    await connection.execute(
        "INSERT INTO imagejobs.provider_state AS s (provider, key_fingerprint, circuit_reason, circuit_opened_at, probe_at) "
        "VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp()) ON CONFLICT (provider, key_fingerprint) DO UPDATE "
        "SET circuit_reason = $3, circuit_opened_at = coalesce(s.circuit_opened_at, clock_timestamp()), "
        "probe_at = clock_timestamp(), updated_at = now()",
        *parameters(account),
        reason,
    )


async def count_failure(connection: Connection, account: Account) -> int:
    """One more failure in a row; says how many there are."""
    count = await connection.fetchval(
        "INSERT INTO imagejobs.provider_state AS s (provider, key_fingerprint, facts) "
        "VALUES ($1, $2, jsonb_build_object('failures', 1)) ON CONFLICT (provider, key_fingerprint) DO UPDATE "
        "SET facts = s.facts || jsonb_build_object('failures', coalesce((s.facts ->> 'failures')::int, 0) + 1), "
        "updated_at = now() RETURNING (facts ->> 'failures')::int",
        *parameters(account),
    )
    return int(count)


async def close_circuit(connection: Connection, account: Account) -> None:
    """It works: close the circuit and forget the failures."""
    await connection.execute(
        "UPDATE imagejobs.provider_state SET circuit_reason = NULL, circuit_opened_at = NULL, probe_at = NULL, "
        "facts = facts - 'failures', updated_at = now() WHERE provider = $1 AND key_fingerprint = $2 "
        "AND (circuit_reason IS NOT NULL OR facts ? 'failures')",
        *parameters(account),
    )
