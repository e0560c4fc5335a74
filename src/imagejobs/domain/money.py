"""Money is integer micro-dollars everywhere inside; credits exist only at the edges."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

MICROS = 1_000_000
_SIX_PLACES = Decimal("0.000001")


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What one picture is expected to cost, and by which price list; its size, where it is not the one asked for."""

    micros: int
    price_version: str
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one call did cost; `estimated` where the provider gave no figure of its own."""

    micros: int
    price_version: str
    estimated: bool


def to_credits(micros: int, micros_per_credit: int = MICROS) -> Decimal:
    """Credits as numeric(12,6), rounded half to even (B6)."""
    return (Decimal(micros) / Decimal(micros_per_credit)).quantize(_SIX_PLACES, ROUND_HALF_EVEN)


def from_credits(credit: Decimal | float, micros_per_credit: int = MICROS) -> int:
    """Micro-dollars for an amount of credits as it is written, rounded half to even."""
    return int((Decimal(str(credit)) * micros_per_credit).quantize(Decimal(1), ROUND_HALF_EVEN))
