"""How long one user's token takes to check once its key is known: ES256, RS256, HS256. At most 0.3 ms (issue 4)."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count

from bench.report import Claim, report
from imagejobs.net.http import Outbound
from imagejobs.web.signing_keys import SigningKeys
from imagejobs.web.tokens import TokenRules, UserTokens
from tests.support.scripted_server import Reply, scripted_server
from tests.support.tokens import (
    ISSUER,
    EllipticKey,
    RsaKey,
    claims,
    elliptic_token,
    rsa_token,
    secret_token,
    tokens_by_secret,
)

Check = Callable[[str], Awaitable[str]]


async def milliseconds(check: Check, make: Callable[[], str], *, tokens: int, times: int) -> float:
    """Processor time of one check, the mean over many: other load on the machine is left out, and so is the key's fetch."""
    await check(make())
    made = [make() for _ in range(tokens)]
    began = time.process_time()
    for token in made:
        for _ in range(times):
            await check(token)
    return (time.process_time() - began) / (tokens * times) * 1000


async def run(rounds: int) -> list[Claim]:
    """Each kind of token, on one core: many of them once, and one of them many times."""
    elliptic, rsa = EllipticKey(), RsaKey()
    numbers = count()

    def said() -> dict[str, object]:
        return claims(session_id=str(next(numbers)), app_metadata={"provider": "email", "providers": ["email"]})

    with scripted_server(Reply(document={"keys": [elliptic.entry, rsa.entry]})) as server:
        by_keys = UserTokens(TokenRules(issuer=ISSUER), SigningKeys(server.url, Outbound(), time.monotonic)).user_of
        kinds: list[tuple[str, Check, Callable[[], str]]] = [
            ("ES256", by_keys, lambda: elliptic_token(elliptic, said())),
            ("RS256", by_keys, lambda: rsa_token(rsa, said())),
            ("HS256", tokens_by_secret().user_of, lambda: secret_token(said())),
        ]
        found = []
        for name, check, make in kinds:
            first = await milliseconds(check, make, tokens=rounds, times=1)
            again = await milliseconds(check, make, tokens=1, times=rounds)
            found += [
                Claim(f"{name}, a token's first request, key known", first, "ms", most=0.3),
                Claim(f"{name}, its next requests", again, "ms", most=0.3),
            ]
    return found


if __name__ == "__main__":
    sys.exit(report(asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 3000))))
