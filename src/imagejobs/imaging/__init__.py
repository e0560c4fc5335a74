"""Untrusted pictures: what they are, whether they are whole, and small copies of them."""

from imagejobs.imaging.decoder import Decoder, PictureFacts, Thumbnail

__all__ = ["Decoder", "PictureFacts", "Thumbnail"]
