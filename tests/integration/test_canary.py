"""Planted secrets come out nowhere: not in a log at its loudest, not in a row, not in an answer, however jobs fail."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from imagejobs.app.keys import create_key
from imagejobs.db.pool import Database
from imagejobs.imaging import Decoder
from imagejobs.ports import ProviderConfig
from imagejobs.providers import fake as adapter, sketch
from imagejobs.providers.fake_server import FakeProvider, Options, running
from tests.support.fakes import once, script
from tests.support.tokens import SECRET, as_user, claims, secret_token
from tests.support.world import World, open_world

pytestmark = pytest.mark.database

PROVIDER_KEY = "canary-of-the-provider-0123456789"
WAYS: dict[str, dict[str, Any]] = {
    "rejected": {"status": 400, "leaks_key": True},
    "key rejected": {"status": 401, "leaks_key": True},
    "no credit": {"status": 402, "leaks_key": True},
    "refused": {"status": 400, "error_type": "content_refused", "leaks_key": True},
    "throttled": {"status": 429, "retry_after": "3600", "leaks_key": True},
    "broken": {"status": 500, "leaks_key": True},
    "lost": {"reset": "before_headers"},
    "cut": {"cut_after_bytes": 100},
    "a page": {"html": True},
    "text": {"image": "text"},
    "corrupt": {"image": "corrupt"},
    "nothing": {"empty": True},
    "good": {},
}


@dataclass
class Shop:
    """An instance that buys from a fake provider with the planted key, and all that it ever answered."""

    fake: FakeProvider
    world: World
    answers: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> httpx2.Response:
        answer = await self.world.client.request(method, path, json=body, headers=headers)
        self.answers.append(f"{answer.headers} {answer.text}")
        return answer

    async def buy(self, headers: dict[str, str], model: str, prompt: str = "a red fox") -> str:
        body = {"projectId": "film", "jobType": "generate", "prompt": prompt, "width": 64, "height": 64, "model": model}
        made = await self.ask("POST", "/api/images/generate", headers, body)
        assert made.status_code == 202, made.text
        job_id: str = made.json()["jobId"]
        await self.world.work_off(job_id)
        await self.ask("GET", f"/api/images/jobs/{job_id}", headers)
        await self.ask("GET", f"/api/images/jobs/{job_id}/events", headers)
        return job_id


@pytest.fixture
async def shop(dsn: str, database: Database, decoder: Decoder, tmp_path: Path) -> AsyncIterator[Shop]:
    async with running(Options()) as fake:
        bought = adapter.provider(ProviderConfig(base_url=fake.url, api_key=PROVIDER_KEY))
        assert bought is not None
        providers = {"fake": bought, "sketch": sketch.provider(ProviderConfig())}
        async with open_world(dsn, database, decoder, tmp_path / "files", providers=providers) as world:
            yield Shop(fake, world)
        await bought.close()


async def test_no_secret_comes_out_anywhere(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    key = await create_key(shop.world.deps.database, "canary", project_ids=())
    by_key = {"authorization": f"Bearer {key}"}
    with caplog.at_level(logging.DEBUG):
        await shop.buy(by_key, "fake:none")
        async with shop.world.deps.database.transaction() as tx:
            await tx.execute("INSERT INTO imagejobs.members VALUES ('film', 'canary-user', 'admin')")
        user = as_user("canary-user")
        for number, action in enumerate(WAYS.values()):
            script(shop.fake, once(**action))
            job_id = await shop.buy(by_key if number % 2 else user, "fake:none")
            await shop.ask("POST", f"/api/images/jobs/{job_id}/resolve", user, {"billed": True})
        script(shop.fake)
        for word in ("[storage]", "[503]", "[refuse]"):
            job_id = await shop.buy(user, "sketch", f"a red fox {word}")
            await shop.ask("POST", f"/api/images/jobs/{job_id}/retry", user)
        bad = [
            secret_token(claims(exp=1)),
            secret_token(claims(aud="x")),
            f"{user['authorization'][7:]}x",
            f"{str(key)[:-1]}!",
        ]
        for token in bad:
            answer = await shop.ask("GET", "/api/images/jobs", {"authorization": f"Bearer {token}"})
            assert answer.status_code == 401
        await shop.ask("GET", "/api/images/jobs", by_key)
    logs = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    tokens = [user["authorization"][7:], *bad]
    secrets = [PROVIDER_KEY, key.secret, SECRET, *(token.rpartition(".")[2] for token in tokens if "." in token)]
    for place, text in {"log": logs, "row": await shop.world.rows(), "answer": "\n".join(shop.answers)}.items():
        assert len(text) > 1_000
        for secret in secrets:
            assert secret not in text, f"a secret is in a {place}"
            assert secret.encode().hex() not in text, f"a secret's bytes are in a {place}"
