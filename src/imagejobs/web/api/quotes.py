"""The price of a request, before it is made."""

from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from imagejobs.app.quote import Quoted, quote
from imagejobs.domain.money import to_credits
from imagejobs.web.api.requests import GenerateBody, Wire
from imagejobs.web.auth import Asker, WiredDeps

router = APIRouter(prefix="/api/images", tags=["jobs"])


class ObstacleBody(Wire):
    """What would stop the jobs: no room for the money, or no provider."""

    code: Literal["PERMANENT"]
    reason: Literal["budget_exhausted", "no_provider_configured"]
    message: str


class QuoteBody(Wire):
    """What a request would cost, in credits: `estimated` for each picture, `total` for all `n`; null while unknown.

    `width` and `height` are those of the picture that the model makes, `prompt` the words that it would get. `obstacle` is
    null where the jobs would be made.
    """

    provider: str | None
    model: str | None
    width: int
    height: int
    n: int
    estimated: float | None
    total: float | None
    price_version: str | None
    prompt: str
    obstacle: ObstacleBody | None


@router.post("/quote", response_model=QuoteBody, summary="What would it cost")
async def ask_price(body: GenerateBody, deps: WiredDeps, caller: Asker) -> Response:
    """Price the request that `POST /api/images/generate` would take, and refuse it as that would.

    Nothing is made, reserved or remembered; an idempotency key has no effect.
    """
    micros_per_credit = deps.policy.micros_per_credit
    quoted = await quote(deps, caller, body.request(micros_per_credit))
    return JSONResponse(_json(quoted, micros_per_credit))


def _json(quoted: Quoted, micros_per_credit: int) -> dict[str, object]:
    request, target, price, obstacle = quoted.request, quoted.target, quoted.target.quote, quoted.obstacle
    return {
        "provider": target.provider,
        "model": target.model,
        "width": (price and price.width) or request.width,
        "height": (price and price.height) or request.height,
        "n": request.n,
        "estimated": price and float(to_credits(price.micros, micros_per_credit)),
        "total": price and float(to_credits(price.micros * request.n, micros_per_credit)),
        "priceVersion": price and price.price_version,
        "prompt": request.composed_prompt or request.prompt,
        "obstacle": obstacle and {"code": obstacle.code.value, "reason": obstacle.reason, "message": obstacle.detail},
    }
