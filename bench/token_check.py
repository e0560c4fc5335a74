"""How long one user's token takes to check once its key is known: ES256, RS256, HS256. At most 0.3 ms (issue 4)."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

from bench.report import Claim, report
from imagejobs.net.http import Outbound
from imagejobs.web.signing_keys import SigningKeys
from imagejobs.web.tokens import TokenRules, UserTokens
from tests.support.scripted_server import Reply, scripted_server
from tests.support.tokens import ISSUER, EllipticKey, RsaKey, elliptic_token, rsa_token, secret_token, tokens_by_secret


async def milliseconds(check: Callable[[str], Awaitable[str]], token: str, rounds: int) -> float:
    """Processor time of one, the mean of many, after one that fetches the key: other load on the machine is left out."""
    await check(token)
    began = time.process_time()
    for _ in range(rounds):
        await check(token)
    return (time.process_time() - began) / rounds * 1000


async def run(rounds: int) -> list[Claim]:
    """Each kind of token, on one core."""
    elliptic, rsa = EllipticKey(), RsaKey()
    with scripted_server(Reply(document={"keys": [elliptic.entry, rsa.entry]})) as server:
        by_keys = UserTokens(TokenRules(issuer=ISSUER), SigningKeys(server.url, Outbound(), time.monotonic))
        measured = [
            ("ES256", await milliseconds(by_keys.user_of, elliptic_token(elliptic), rounds)),
            ("RS256", await milliseconds(by_keys.user_of, rsa_token(rsa), rounds)),
            ("HS256", await milliseconds(tokens_by_secret().user_of, secret_token(), rounds)),
        ]
    return [Claim(f"check of a token, {name}, warm", figure, "ms", most=0.3) for name, figure in measured]


if __name__ == "__main__":
    sys.exit(report(asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 3000))))
