"""Google's Gemini API ("Nano Banana") as a provider."""

from imagejobs.providers.gemini.adapter import provider

__all__ = ["provider"]
