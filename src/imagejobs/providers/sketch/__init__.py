"""The provider that draws by itself: offline, free, the same picture for the same words, number and size."""

from imagejobs.providers.sketch.adapter import provider

__all__ = ["provider"]
