"""Settings: where they come from, what is refused, and with which words."""

import re
from pathlib import Path

import pytest

from imagejobs.bootstrap import default_provider, load_providers, require_database_url
from imagejobs.errors import ConfigurationError
from imagejobs.settings import Settings, load_settings


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment without any setting, in an empty directory."""
    for field in Settings.model_fields.values():
        for name in getattr(field.validation_alias, "choices", ()):
            monkeypatch.delenv(str(name), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_d1_the_environment_wins_over_the_file_and_the_command_line_over_both(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / ".env").write_text("PORT=4001\nDATABASE_URL=postgresql://from-file/x\nCORS_ORIGINS=http://a/, http://b\n")
    assert load_settings().port == 4001
    monkeypatch.setenv("PORT", "4002")
    settings = load_settings()
    assert (settings.port, settings.database_url) == (4002, "postgresql://from-file/x")
    assert settings.cors_origins == ("http://a", "http://b")
    assert load_settings(port=4003, host=None).port == 4003


def test_d1_the_port_is_3001_unless_said_otherwise_and_an_empty_value_says_nothing(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del bare
    monkeypatch.setenv("PORT", "")
    assert load_settings().port == 3001
    assert load_settings().served_url == "http://127.0.0.1:3001"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "70000", "PORT"),
        ("IMAGEJOBS_LOG_LEVEL", "loud", "debug, info"),
        ("IMAGEJOBS_CONCURRENCY", "0", "CONCURRENCY"),
    ],
)
def test_d1_what_cannot_be_used_is_named(
    bare: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    del bare
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=words):
        load_settings()


def test_d1_without_a_usable_database_the_ways_out_are_named(bare: Path) -> None:
    del bare
    with pytest.raises(ConfigurationError, match="imagejobs up"):
        require_database_url(load_settings())
    with pytest.raises(ConfigurationError, match="mysql"):
        require_database_url(load_settings(database_url="mysql://x/y"))


def test_only_the_variables_of_the_page_are_settings(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del bare
    for name in ("host", "port", "url", "api_key", "workers"):
        monkeypatch.setenv(name, "7")
    settings = load_settings()
    assert (settings.host, settings.port, settings.url, settings.workers) == ("127.0.0.1", 3001, None, 1)


def test_f5_a_providers_settings_come_by_pattern(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / ".env").write_text("IMAGEJOBS_ACME_BASE_URL=http://127.0.0.1:9\n")
    monkeypatch.setenv("IMAGEJOBS_ACME_API_KEY", "k")
    monkeypatch.setenv("IMAGEJOBS_ACME_TIMEOUT_SECONDS", "2.5")
    config = load_settings().provider_config("acme")
    assert (config.api_key, config.base_url, config.timeout_seconds) == ("k", "http://127.0.0.1:9", 2.5)
    assert "k'" not in repr(config)
    monkeypatch.setenv("IMAGEJOBS_ACME_TIMEOUT_SECONDS", "soon")
    with pytest.raises(ConfigurationError, match="TIMEOUT_SECONDS"):
        load_settings().provider_config("acme")
    monkeypatch.setenv("IMAGEJOBS_ACME_POLL_PATH", "/tasks/{id}")
    monkeypatch.delenv("IMAGEJOBS_ACME_TIMEOUT_SECONDS")
    assert load_settings().provider_config("acme").options == {"poll_path": "/tasks/{id}"}


def test_d1_d2_the_names_of_the_guides_activate_their_providers_and_the_pattern_wins(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / ".env").write_text("NANO_BANANA_API_KEY=nb\nGEMINI_API_KEY=second\n")
    settings = load_settings()
    banana = settings.provider_config("nanobanana")
    assert (banana.api_key, banana.base_url) == ("nb", "https://api.nanobanana.ai/v1")
    assert settings.provider_config("gemini").api_key == "second"
    monkeypatch.setenv("GOOGLE_AI_API_KEY", "first")
    assert load_settings().provider_config("gemini").api_key == "first"
    for name, value in (("NANOBANANA_API_KEY", "p1"), ("NANOBANANA_BASE_URL", "http://x"), ("GEMINI_API_KEY", "p2")):
        monkeypatch.setenv(f"IMAGEJOBS_{name}", value)
    settings = load_settings()
    assert settings.provider_config("nanobanana").api_key == "p1"
    assert settings.provider_config("nanobanana").base_url == "http://x"
    assert settings.provider_config("gemini").api_key == "p2"
    assert not {"nb", "second", "first", "p1", "p2"} & set(re.findall(r"\w+", repr(settings)))


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["fake", "gemini", "nanobanana", "sketch"], "gemini"),
        (["fake", "nanobanana", "sketch"], "nanobanana"),
        (["brush", "sketch"], "brush"),
        (["brush", "fake", "sketch"], None),
        (["sketch"], None),
        ([], None),
    ],
)
def test_d2_the_default_provider(bare: Path, names: list[str], chosen: str | None) -> None:
    del bare
    assert default_provider(load_settings(), names) == chosen
    for name in names:
        assert default_provider(load_settings(default_provider=name), names) == name
    with pytest.raises(ConfigurationError, match="IMAGEJOBS_DEFAULT_PROVIDER"):
        default_provider(load_settings(default_provider="nobody"), names)


def test_d1_the_placeholders_of_a_guide_make_providers_that_start(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del bare
    monkeypatch.setenv("NANO_BANANA_API_KEY", "your-nano-banana-api-key")
    assert "nanobanana" in load_providers(load_settings())


def test_hosts_that_may_be_private_are_hosts(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del bare
    monkeypatch.setenv("IMAGEJOBS_OUTBOUND_ALLOW", "pictures.internal, 10.0.0.5:8080,[fd00::5]:8080")
    settings = load_settings()
    assert settings.outbound_allow == ("pictures.internal", "10.0.0.5:8080", "[fd00::5]:8080")
    assert settings.provider_config("any").outbound_allow == settings.outbound_allow
    monkeypatch.setenv("IMAGEJOBS_OUTBOUND_ALLOW", "http://10.0.0.5/")
    with pytest.raises(ConfigurationError, match="IMAGEJOBS_OUTBOUND_ALLOW"):
        load_settings()
