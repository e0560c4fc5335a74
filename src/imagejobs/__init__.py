"""imagejobs turns "make me this picture" into a durable job."""

__all__ = ["__version__"]

__version__ = "0.1.0"
