"""Circuits: while a provider is known not to work under a key, nothing is sent to it, except by one job now and then.

A refused key or an empty account fails every further job at once (A9); an outage sends them back to the queue. Circuits are
rows, so all processes share them; another key is another row, and starts closed. The row is locked after the job's and
before the ledger's.
"""

from imagejobs import errors
from imagejobs.app.deps import Deps
from imagejobs.db import provider_state
from imagejobs.db.provider_state import Account, Circuit
from imagejobs.errors import ImageJobsError
from imagejobs.ports import Transaction

KEY_PROBE_SECONDS = 60.0
OUTAGE_PROBE_SECONDS = 10.0
FAILURES_TO_OPEN = 5

_KEY_ERRORS = {error.reason: error for error in (errors.ProviderKeyRejected, errors.ProviderCreditExhausted)}
_OUTAGES = (errors.ProviderUnreachable, errors.ProviderOverloaded)
_IT_WORKS = (errors.ContentRefused, errors.AnswerUnusable)


async def admit(deps: Deps, tx: Transaction, provider: str) -> bool:
    """Let a purchase go on, as a probe where the circuit is open; True where its success has to be noted.

    In the transaction of the intent, so that a probe is used up exactly when it is sent. Raises what opened the circuit, for
    an outage `ProviderPaused`.
    """
    account = _account(deps, provider)
    if account is None or (circuit := await provider_state.circuit_of(tx, account)) is None:
        return False
    if circuit.reason is not None and not await provider_state.take_probe(tx, account, _probe_seconds(circuit.reason)):
        raise _refusal(provider, circuit, deps.clock.chance())
    return True


async def note_success(deps: Deps, provider: str) -> None:
    """The provider made a picture: its circuit closes."""
    if (account := _account(deps, provider)) is not None:
        async with deps.database.connection() as connection:
            await provider_state.close_circuit(connection, account)


async def note_error(deps: Deps, tx: Transaction, provider: str, error: ImageJobsError) -> None:
    """What a call that was made says of the provider; most errors say nothing."""
    account = _account(deps, provider)
    if account is None:
        return
    if error.reason in _KEY_ERRORS:
        await provider_state.open_circuit(tx, account, error.reason)
    elif isinstance(error, _OUTAGES):
        failures = await provider_state.count_failure(tx, account)
        circuit = await provider_state.circuit_of(tx, account)
        is_about_the_key = circuit is not None and circuit.reason in _KEY_ERRORS
        if failures >= FAILURES_TO_OPEN and not is_about_the_key:
            await provider_state.open_circuit(tx, account, error.reason)
    elif isinstance(error, _IT_WORKS):
        await provider_state.close_circuit(tx, account)


def _account(deps: Deps, provider: str) -> Account | None:
    """None for a provider without a key, such as `sketch`: its troubles are its own, or rehearsed."""
    fingerprint = deps.key_fingerprints.get(provider)
    return None if fingerprint is None else Account(provider=provider, fingerprint=fingerprint)


def _probe_seconds(reason: str) -> float:
    return KEY_PROBE_SECONDS if reason in _KEY_ERRORS else OUTAGE_PROBE_SECONDS


def _refusal(provider: str, circuit: Circuit, chance: float) -> errors.ProviderError:
    match circuit.reason:
        case errors.ProviderKeyRejected.reason:
            return errors.ProviderKeyRejected(
                f"{provider} does not accept its key, as an earlier job found; nothing was sent. Correct the key and start "
                "again, then retry the job."
            )
        case errors.ProviderCreditExhausted.reason:
            return errors.ProviderCreditExhausted(
                f"The account at {provider} has no credit left, as an earlier job found; nothing was sent. Add some, then "
                "retry the job: one job a minute is let through to see."
            )
        case _:
            wait = max(0.0, OUTAGE_PROBE_SECONDS - circuit.last_probe_seconds) * (1 + chance / 2)
            return errors.ProviderPaused(
                f"{provider} failed {FAILURES_TO_OPEN} times in a row and is left alone for a moment; nothing was sent. "
                "The job goes on by itself.",
                retry_after_seconds=wait,
            )
