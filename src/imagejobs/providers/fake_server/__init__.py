"""A provider of pictures for tests: real HTTP, its own bill, and every bad habit that a script asks for."""

from imagejobs.providers.fake_server.server import FakeProvider, Options, running
from imagejobs.providers.fake_server.studio import Terms

__all__ = ["FakeProvider", "Options", "Terms", "running"]
