"""Figures beside what was claimed."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A measured figure and its bound, if it has one."""

    name: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None

    @property
    def holds(self) -> bool:
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)


def report(claims: Sequence[Claim]) -> int:
    """Print the table; 3 where a claim does not hold, so that it is told from a bench that broke."""
    for claim in claims:
        bound = "" if claim.most is None else f"≤ {claim.most:g}"
        bound = bound if claim.least is None else f"≥ {claim.least:g}"
        mark = " " if not bound else "✓" if claim.holds else "✗"
        print(f"{mark} {claim.name:<44} {claim.value:>10.2f} {claim.unit:<4} {bound}")
    return 0 if all(claim.holds for claim in claims) else 3
