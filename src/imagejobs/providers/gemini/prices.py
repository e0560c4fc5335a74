"""What a picture should cost, and what it did cost, in micro-dollars."""

from dataclasses import dataclass

from imagejobs.domain.money import Cost, Quote
from imagejobs.domain.requests import GenerationRequest
from imagejobs.errors import Billed
from imagejobs.providers.gemini.catalogue import Frame, Model

MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The tokens that Google counted; `image` is None where it does not say which of `output` were picture."""

    input: int
    output: int
    thoughts: int
    image: int | None

    @property
    def billed(self) -> Billed:
        """Whether an answer without a picture was charged, as far as the counts tell.

        Google does not document it. Counted output is charged output; from anything else nobody can tell.
        """
        return Billed.YES if self.output + self.thoughts > 0 else Billed.UNKNOWN


def quote_of(model: Model, frame: Frame, request: GenerationRequest, price_version: str) -> Quote:
    """The picture's own price, every input picture, and a token for each byte of the words, which is more than they need.

    Thoughts cannot be foreseen; what they cost beyond this is posted as an overrun.
    """
    words = len(request.prompt.encode()) + len((request.negative_prompt or "").encode())
    pictures = len(request.references) + (request.source_image is not None)
    price = frame.tokens * model.prices.image_out + words * model.prices.text_in
    micros = _rounded(price) + pictures * model.prices.image_in
    return Quote(micros=micros, price_version=price_version, width=frame.width, height=frame.height)


def cost_of(model: Model, frame: Frame, usage: Usage | None, price_version: str) -> Cost:
    """By the tokens of each kind; the picture's list price, marked as an estimate, where they are not told apart."""
    prices = model.prices
    if usage is None or not usage.image:
        return Cost(micros=_rounded(frame.tokens * prices.image_out), price_version=price_version, estimated=True)
    words = max(0, usage.output - usage.image) + usage.thoughts
    price = usage.input * prices.text_in + usage.image * prices.image_out + words * prices.text_out
    return Cost(micros=_rounded(price), price_version=price_version, estimated=False)


def _rounded(price: int) -> int:
    return (price + MILLION // 2) // MILLION
