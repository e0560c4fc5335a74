"""Which users' tokens are taken, by the settings alone."""

from pathlib import Path

import pytest

from imagejobs.cli.sign_in import tokens_of
from imagejobs.errors import ConfigurationError, TokenRefused
from imagejobs.settings import Settings, load_settings
from tests.support.scripted_server import Reply, scripted_server
from tests.support.tokens import ISSUER, SECRET, USER, EllipticKey, claims, elliptic_token, secret_token


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields.values():
        for name in getattr(field.validation_alias, "choices", ()):
            monkeypatch.delenv(str(name), raising=False)
    monkeypatch.chdir(tmp_path)


def test_without_a_project_only_api_keys_are_taken() -> None:
    assert tokens_of(load_settings()) is None


async def test_the_projects_address_says_who_makes_tokens_and_where_their_keys_are() -> None:
    key = EllipticKey()
    with scripted_server(Reply(document={"keys": [key.entry]})) as server:
        tokens = tokens_of(load_settings(supabase_url=f"{server.url}/"))
        assert tokens is not None
        assert await tokens.user_of(elliptic_token(key, claims(iss=f"{server.url}/auth/v1"))) == USER
        assert [asked.target for asked in server.asked] == ["/auth/v1/.well-known/jwks.json"]
        with pytest.raises(TokenRefused, match="token_issuer"):
            await tokens.user_of(elliptic_token(key))


async def test_address_and_issuer_may_be_named_each_by_itself() -> None:
    key = EllipticKey()
    with scripted_server(Reply(document={"keys": [key.entry]})) as server:
        tokens = tokens_of(load_settings(supabase_jwks_url=f"{server.url}/keys", supabase_issuer=ISSUER))
        assert tokens is not None
        assert await tokens.user_of(elliptic_token(key)) == USER
        assert [asked.target for asked in server.asked] == ["/keys"]


async def test_a_shared_secret_is_all_that_counts_where_it_is_set() -> None:
    tokens = tokens_of(load_settings(supabase_url="https://project.test", supabase_jwt_secret=SECRET))
    assert tokens is not None
    assert await tokens.user_of(secret_token()) == USER


@pytest.mark.parametrize(
    "chosen",
    [{"supabase_jwt_secret": SECRET}, {"supabase_jwks_url": "https://project.test/keys"}, {"supabase_issuer": ISSUER}],
)
def test_half_of_what_is_needed_is_refused_at_start(chosen: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="SUPABASE_URL"):
        tokens_of(load_settings(**chosen))


def test_a_secret_that_can_be_guessed_is_refused_and_none_is_shown() -> None:
    with pytest.raises(ConfigurationError, match="SUPABASE_JWT_SECRET") as caught:
        load_settings(supabase_url="https://project.test", supabase_jwt_secret="guess-me")  # noqa: S106 - too short
    assert "guess-me" not in str(caught.value)
    assert SECRET not in repr(load_settings(supabase_jwt_secret=SECRET))
