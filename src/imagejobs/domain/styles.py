"""What a style capsule is: a look with a name, kept for a project and worn by as many jobs as like."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

MAX_NAME = 100
MAX_DESCRIPTORS = 20
MAX_DESCRIPTOR = 200
MAX_PILLARS = 10
MAX_PILLAR = 400
MAX_STYLE_PICTURES = 8


@dataclass(frozen=True, kw_only=True)
class Style:
    """A style capsule: words, and pictures of which only the look counts. Whom a picture shows never belongs here."""

    id: str
    name: str
    descriptors: tuple[str, ...]
    pillars: tuple[str, ...]
    inputs: tuple[UUID, ...]
    created_at: datetime
    updated_at: datetime
