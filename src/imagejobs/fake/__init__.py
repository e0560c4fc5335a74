"""A provider of pictures for tests: real HTTP, its own bill, and every bad habit that a script asks for."""

from imagejobs.fake.server import FakeProvider, Options, running
from imagejobs.fake.studio import Terms

__all__ = ["FakeProvider", "Options", "Terms", "running"]
