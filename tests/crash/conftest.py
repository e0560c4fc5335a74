from tests.integration.conftest import decoder, world

__all__ = ["decoder", "world"]
