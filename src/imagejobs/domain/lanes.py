"""Lanes: the engine's queue for each provider, and one for jobs that no provider can take."""

UNASSIGNED = "unassigned"


def lane_of(provider: str | None) -> str:
    """The lane that jobs of this provider wait in."""
    return provider or UNASSIGNED
