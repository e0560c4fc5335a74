"""Settings: where they come from, what is refused, and with which words."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from imagejobs.bootstrap import Role, default_provider, load_providers, migrate_database, open_database, storage_place
from imagejobs.cli.banner import Ready, banner
from imagejobs.cli.home import Home
from imagejobs.cli.placeholders import placeholders
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
        ("PORT", "70000", "^PORT: must be at most 65535.$"),
        ("PORT", "abc", "^PORT: must be a whole number.$"),
        ("IMAGEJOBS_SWEEP_SECONDS", "soon", "^IMAGEJOBS_SWEEP_SECONDS: must be a number.$"),
        ("IMAGEJOBS_LOG_LEVEL", "loud", "debug, info"),
        ("IMAGEJOBS_CONCURRENCY", "0", "CONCURRENCY"),
        ("IMAGEJOBS_PUBLIC_URL", "postgresql://host/x", "^IMAGEJOBS_PUBLIC_URL: .*, with http:// or https:// before it.$"),
        ("IMAGEJOBS_URL", "host/x", "^IMAGEJOBS_URL: .*, with http:// or https:// before it.$"),
        ("IMAGEJOBS_DIRECT_DATABASE_URL", "https://host/x", "with postgresql:// or postgres:// before it"),
    ],
)
def test_d1_what_cannot_be_used_is_named(
    bare: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    del bare
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=words):
        load_settings()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "DATABASE_URL is not set"),
        ("mysql://x/y", "“mysql”"),
        ("your-database-url", "must look like postgresql://"),
        ("postgresql://postgres:[YOUR-PASSWORD]@db.abc.supabase.co:5432/postgres", "in a password write"),
        ("postgresql://somebody:hidden@127.0.0.1:9/none", "127.0.0.1"),
    ],
)
async def test_d1_an_unusable_database_is_refused_and_the_ways_out_are_named(
    bare: Path, value: str | None, words: str
) -> None:
    del bare
    settings = load_settings(database_url=value)
    for use in (open_database(settings, Role.API), migrate_database(settings)):
        with pytest.raises(ConfigurationError, match="DATABASE_URL") as refused:
            await use
        assert words in str(refused.value)
        assert "`imagejobs up`" in str(refused.value)
        assert "hidden" not in str(refused.value)


def test_d1_a_session_secret_is_long_or_left_out_and_never_told(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del bare
    assert load_settings().session_secret is None
    monkeypatch.setenv("SESSION_SECRET", "s" * 32)
    assert load_settings().session_secret == "s" * 32
    assert "sss" not in repr(load_settings())
    monkeypatch.setenv("SESSION_SECRET", "s" * 31)
    with pytest.raises(ConfigurationError, match="SESSION_SECRET: must have 32 characters or more; `openssl") as refused:
        load_settings()
    assert "sss" not in str(refused.value)


def test_d1_the_place_of_the_pictures_names_what_is_missing_for_another(bare: Path) -> None:
    del bare
    url, key = "SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY"
    assert f"{url} and {key} and IMAGEJOBS_STORAGE_URL are not set" in storage_place(load_settings())
    half = storage_place(load_settings(supabase_url="https://a.supabase.co"))
    assert f"because {key} and IMAGEJOBS_STORAGE_URL are not set" in half
    assert url in storage_place(load_settings(supabase_service_role_key="k"))


@pytest.mark.parametrize("chosen", ["sketch", "gemini", None])
def test_fault_words_are_offered_where_they_cost_nothing_only(bare: Path, chosen: str | None) -> None:
    settings = load_settings(default_provider=chosen, database_url="postgresql://h/d")
    ready = Ready(settings=settings, url="http://h", admin_key="k", home=Home(bare), embedded=None)
    said = banner(ready, 1.0)
    assert "[refuse]" in said
    assert ("--model sketch shows" in said) == (chosen != "sketch")
    assert ("cost money" in said) == (chosen == "gemini")
    assert "imagejobs checklist" in said


def test_the_key_stands_once_in_what_up_says_and_its_example_finds_it(bare: Path) -> None:
    home = Home(bare / "a folder")
    home.path.mkdir()
    home.keep_admin_key("ij_5kOv85i3_kept")
    settings = load_settings(default_provider="sketch", database_url="postgresql://h/d")
    said = banner(Ready(settings=settings, url="http://h", admin_key="ij_5kOv85i3_kept", home=home, embedded=None), 1.0)
    assert said.count("ij_5kOv85i3_kept") == 1
    example = re.search(r"curl .*?}'", said, re.DOTALL)
    assert example is not None
    script = f'curl() {{ printf "%s\\n" "$@"; }}\n{example[0]}'
    words = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"http://h/api/images/generate", "Authorization: Bearer ij_5kOv85i3_kept"} <= set(words)


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


PAGES = Path(__file__).parents[2]
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.your-key"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUPABASE_URL", "https://YOUR-PROJECT.supabase.co"),
        ("SUPABASE_URL", "https://your-project.supabase.co"),
        ("SUPABASE_URL", "https://your-project-ref.supabase.co/"),
        ("SUPABASE_URL", "https://xxxxxxxxxxxx.supabase.co"),
        ("SUPABASE_URL", "https://<project-ref>.supabase.co"),
        ("SUPABASE_URL", "https://….supabase.co"),
        ("SUPABASE_URL", "your_supabase_url"),
        ("SUPABASE_SERVICE_ROLE_KEY", "YOUR-SERVICE-KEY"),
        ("SUPABASE_SERVICE_ROLE_KEY", "your-service-role-key"),
        ("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_…"),
        ("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_xxx"),
        ("SUPABASE_SERVICE_ROLE_KEY", "eyJhbGciOi..."),
        ("SUPABASE_ANON_KEY", "your-anon-key"),
        ("NANO_BANANA_API_KEY", "your-nano-banana-api-key"),
        ("NANO_BANANA_API_KEY", "changeme"),
        ("NANO_BANANA_API_KEY", "change-me"),
        ("GOOGLE_AI_API_KEY", "YOUR-GOOGLE-KEY"),
        ("GOOGLE_AI_API_KEY", "YOUR_KEY"),
        ("GEMINI_API_KEY", "<your key>"),
        ("GEMINI_API_KEY", "your_google_key_here"),
        ("IMAGEJOBS_GEMINI_API_KEY", "xxx"),
        ("IMAGEJOBS_API_KEY", "ij_…"),
        ("IMAGEJOBS_STORAGE_URL", "s3://YOUR-BUCKET/pictures"),
        ("AWS_ACCESS_KEY_ID", "YOUR-KEY-ID"),
        ("AWS_ENDPOINT_URL", "https://YOUR-SERVER"),
        ("DATABASE_URL", "postgresql://postgres:[YOUR-PASSWORD]@db.abc.supabase.co:5432/postgres"),
    ],
)
def test_d1_a_placeholder_is_known_and_told_without_its_value(
    bare: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    del bare
    monkeypatch.setenv(name, value)
    found = placeholders(load_settings())
    assert list(found) == [name]
    assert value not in found[name]


@pytest.mark.parametrize(
    "values",
    [
        {"SUPABASE_URL": "https://abcdefghijklmnopqrst.supabase.co", "SUPABASE_SERVICE_ROLE_KEY": JWT},
        {"SUPABASE_URL": "https://your-story.supabase.co", "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_xxxA9xxx_your1key"},
        {"SUPABASE_URL": "https://pictures.your-project.example", "SUPABASE_ANON_KEY": "sb_publishable_change_me9"},
        {"GOOGLE_AI_API_KEY": "AIzaSyYOUR-KEY_your-key-xxx_changeme012"},
        {"NANO_BANANA_API_URL": "http://127.0.0.1:9000", "NANO_BANANA_API_KEY": "changeme"},
        {"IMAGEJOBS_GEMINI_BASE_URL": "http://127.0.0.1:9000", "GOOGLE_AI_API_KEY": "your-key"},
        {"IMAGEJOBS_BRUSH_API_KEY": "xxx", "SESSION_SECRET": "your-secret-" + "x" * 32},
        {"DATABASE_URL": "postgresql://your-user:changeme@your-host:5432/your-project"},
        {
            "IMAGEJOBS_STORAGE_URL": "s3://your-bucket/x",
            "AWS_ACCESS_KEY_ID": "changeme",
            "AWS_SECRET_ACCESS_KEY": "your-key",
        },
        {"SUPABASE_JWT_SECRET": "your-super-secret-jwt-token-with-at-least-32-characters-long"},
    ],
)
def test_d1_a_value_that_can_be_real_is_no_placeholder(
    bare: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str]
) -> None:
    del bare
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert placeholders(load_settings()) == {}


def test_d1_up_names_the_placeholders_that_are_left_and_where_the_values_are(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_AI_API_KEY", "your-google-key")
    ready = Ready(
        settings=load_settings(database_url="postgresql://h/d"),
        url="http://h",
        admin_key="k",
        home=Home(bare),
        embedded=None,
    )
    (line,) = [line for line in banner(ready, 1.0).splitlines() if "GOOGLE_AI_API_KEY" in line]
    assert line.startswith("  Replace    GOOGLE_AI_API_KEY, ")
    assert "Google AI Studio" in line
    assert "your-google-key" not in banner(ready, 1.0)
    monkeypatch.setenv("GOOGLE_AI_API_KEY", "AIzaSyD-real0123")
    assert "Replace" not in banner(replace(ready, settings=load_settings()), 1.0)


def test_d1_every_placeholder_that_our_pages_tell_to_set_is_known(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del bare
    texts = [page.read_text() for page in [PAGES / "README.md", *(PAGES / "docs/how-to").glob("*.md")]]
    shown = {
        pair for text in texts for pair in re.findall(r"^(?:export )?([A-Z_]+)=(\S*(?:YOUR-|…)\S*)$", text, re.MULTILINE)
    }
    ours = sorted(pair for pair in shown if not pair[0].startswith("VITE_"))
    assert len(ours) >= 6
    for name, value in ours:
        with monkeypatch.context() as here:
            here.setenv(name, value)
            assert list(placeholders(load_settings())) == [name]
