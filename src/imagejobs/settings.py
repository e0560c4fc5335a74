"""Every setting, read once from the environment and a `.env` file; nothing else reads them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from dotenv import dotenv_values
from pydantic import AliasChoices, AliasGenerator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from imagejobs.errors import ConfigurationError
from imagejobs.ports import ProviderConfig

_PROVIDER_SETTING = re.compile(r"IMAGEJOBS_([A-Z0-9]+)_([A-Z0-9_]+)")
_CLOUD_SETTING = re.compile(r"(AWS|GOOGLE|AZURE)_")
PROVIDER_PATTERNS = {
    "IMAGEJOBS_<PROVIDER>_API_KEY": "The key of that provider; `<PROVIDER>` is its name in capitals.",
    "IMAGEJOBS_<PROVIDER>_BASE_URL": "Where that provider answers, instead of its usual address.",
    "IMAGEJOBS_<PROVIDER>_TIMEOUT_SECONDS": "How long one call may take, instead of what its catalogue entry says.",
    "IMAGEJOBS_NANOBANANA_POLL_PATH": (
        "The route by which the service of NANO_BANANA_API_URL is asked for a job, like `/jobs/{id}`. Setting it says that "
        "the service answers with ids, so that a lost worker loses no picture."
    ),
    "IMAGEJOBS_NANOBANANA_PRICE": "What that service takes for a picture, in US dollars, where it does not say; else 0.04.",
}


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "imagejobs"


def _variable(field: str) -> AliasChoices:
    """By which a field is set that `_named` gives no other."""
    return AliasChoices(f"IMAGEJOBS_{field.upper()}")


def _setting(description: str, default: Any = None, **limits: Any) -> Any:  # noqa: ANN401 - pydantic's own field type
    return Field(default, description=description, **limits)


def _named(name: str, description: str, default: Any = None, **limits: Any) -> Any:  # noqa: ANN401 - as above
    return _setting(description, default, validation_alias=AliasChoices(name), **limits)


class Settings(BaseSettings):
    """What the operator chose. Frozen; an empty value counts as unset."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        case_sensitive=True,
        alias_generator=AliasGenerator(validation_alias=_variable),
    )

    database_url: str | None = _named(
        "DATABASE_URL", "PostgreSQL 15 or newer, as `postgresql://user:password@host/database`. Unset: `up` runs its own."
    )
    direct_database_url: str | None = _setting(
        "The same database without a pooler between, for migrations and listening; set it when DATABASE_URL names a pooler."
    )
    session_secret: str | None = _named(
        "SESSION_SECRET",
        "Will sign the sessions and one-time links of pages that this version does not have yet: nothing is signed with it. "
        "At least 32 characters; unset: one will be made and kept.",
        repr=False,
    )
    port: int = _named("PORT", "The port of the web API.", 3001, ge=0, le=65_535)
    host: str = _setting("The address the web API listens on.", "127.0.0.1")
    public_url: str | None = _setting("The address under which callers reach the service; unset: the address it listens on.")
    data_dir: Path = Field(
        default_factory=_default_data_dir, description="Where `up` keeps its database, its pictures and its admin key."
    )
    default_provider: str | None = _setting(
        "The provider of jobs that name no model; unset: `gemini` if it has a key, else `nanobanana`, else the only other, "
        "else `sketch` under `up`."
    )
    nano_banana_api_key: str | None = _named(
        "NANO_BANANA_API_KEY", "The key of a service with the Nano Banana contract; activates `nanobanana`.", repr=False
    )
    nano_banana_api_url: str = _named("NANO_BANANA_API_URL", "Where that service answers.", "https://api.nanobanana.ai/v1")
    google_ai_api_key: str | None = _named(
        "GOOGLE_AI_API_KEY", "A key of Google's API, home of the Nano Banana models; activates `gemini`.", repr=False
    )
    gemini_api_key: str | None = _named("GEMINI_API_KEY", "The same under another name; GOOGLE_AI_API_KEY wins.", repr=False)
    supabase_url: str | None = _named(
        "SUPABASE_URL",
        "The Supabase project, `https://….supabase.co`: its users are let in; with its key, pictures go into its storage.",
    )
    supabase_jwt_secret: str | None = _named(
        "SUPABASE_JWT_SECRET",
        "The secret that the project signs its tokens with, if it does; then only HS256 is taken. Unset: published keys.",
        min_length=32,
        repr=False,
    )
    supabase_jwks_url: str | None = _setting(
        "Where the published keys are, instead of `SUPABASE_URL/auth/v1/.well-known/jwks.json`."
    )
    supabase_issuer: str | None = _setting("What a token must say as its `iss`, instead of `SUPABASE_URL/auth/v1`.")
    ownership_query: str | None = _setting(
        "Whose a project is, by your own tables in the same database: `SELECT user_id FROM projects WHERE id = $1`."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = _named(
        "CORS_ORIGINS", "Origins of pages that may call the API, separated by commas.", ()
    )
    outbound_allow: Annotated[tuple[str, ...], NoDecode] = _setting(
        "Hosts, or `host:port`, separated by commas, that files may be fetched from though private or on an odd port.", ()
    )
    concurrency: int = _setting("Jobs that one worker has in hand at once.", 10, ge=1, le=2000)
    workers: int = _setting("Worker processes that `up` runs.", 1, ge=0, le=64)
    heartbeat_seconds: float = _setting("A worker silent for so long is taken for dead.", 10.0, ge=0.5, le=600)
    dequeue_seconds: float = _setting("How often a worker looks for work that nobody woke it for.", 5.0, ge=0.1, le=60)
    job_deadline_seconds: float = _setting("How long a job may take in all, unless it says otherwise.", 900.0, ge=1)
    batch_deadline_seconds: float = _setting("The same for each job of a batch.", 86_400.0, ge=1)
    max_retries: int = _setting("Automatic retries of a job before it fails.", 3, ge=0, le=20)
    retry_base_seconds: float = _setting("The longest wait before the first retry; it doubles with each.", 1.0, gt=0)
    retry_cap_seconds: float = _setting("The longest wait before any retry.", 10.0, gt=0)
    sweep_seconds: float = _setting("How often each worker looks for jobs that were forgotten.", 15.0, ge=0.2)
    max_queued: int = _setting("Jobs that may wait at once; more are refused with 429. 0: any number.", 100_000, ge=0)
    max_queued_per_project: int = _setting("The same for the jobs of one project.", 50_000, ge=0)
    requests_per_minute: int = _setting(
        "Requests that one key may send to one API process in a minute, in one go or spread; more get 429. 0: any number.",
        60_000,
        ge=0,
    )
    address_requests_per_minute: int = _setting(
        "The same for one address, whatever keys it sends. Behind a proxy all callers may share one.", 120_000, ge=0
    )
    address_failures_per_minute: int = _setting(
        "Refused keys and tokens of one address, after which only such as were taken lately are looked at. 0: any number.",
        300,
        ge=0,
    )
    streams_per_caller: int = _setting(
        "Streams and waiting requests of one caller at each API process; more are refused. 0: any number.", 500, ge=0
    )
    staged_bytes_days: int = _setting("How long the bytes of a picture that could not be stored are kept.", 30, ge=1)
    input_max_bytes: int = _setting(
        "The largest input picture that is taken or fetched.", 20_971_520, ge=1024, le=67_108_864
    )
    input_days: int = _setting("How long an uploaded input picture can be used, unless it is uploaded again.", 7, ge=1)
    input_bytes_per_project: int = _setting(
        "Bytes of input pictures that one project may keep; more are refused. 0: any number.", 10_000_000_000, ge=0
    )
    staged_bytes_limit: int = _setting(
        "Bytes of paid pictures that wait to be stored, from which on no more are bought; jobs wait.",
        10_000_000_000,
        ge=1_000_000,
    )
    max_picture_pixels: int = _setting("The largest picture that is decoded, in pixels.", 40_000_000, ge=1_000_000)
    supabase_service_role_key: str | None = _named(
        "SUPABASE_SERVICE_ROLE_KEY", "Its service key: `service_role` (a JWT) or `sb_secret_…`.", repr=False
    )
    supabase_anon_key: str | None = _named(
        "SUPABASE_ANON_KEY",
        "Its public key; only `storage verify` and `doctor` use it, to try what strangers may do.",
        repr=False,
    )
    supabase_bucket: str = _setting(
        "The bucket that pictures go into there.", "asset-images", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,62}$"
    )
    storage_url: str | None = _setting(
        "Where pictures go without Supabase: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`; unset: "
        "the local disk. Credentials come from the cloud's usual variables."
    )
    storage_public_url: str | None = _setting(
        "The address under which the objects below IMAGEJOBS_STORAGE_URL open in a browser; unset: the storage's own."
    )
    storage_uses_machine_role: bool = _setting(
        "Take that storage's credentials from the machine's own role where none are set.", default=False
    )
    log_level: str = _setting("debug, info, warning or error.", "info")
    log_format: str = _setting("json, text, or auto: text on a terminal.", "auto")
    url: str | None = _setting("Where the commands `generate` and `jobs` find the service.")
    api_key: str | None = _setting(
        "The key that the commands `generate` and `jobs` send; unset: the one in the data directory.", repr=False
    )
    armed_probes: str | None = _named(
        "IMAGEJOBS_PROBES", "For tests only: what to do at named points, such as `stage.after_commit=kill`."
    )
    provider_settings: Mapping[str, Mapping[str, str]] = Field(
        default_factory=dict, alias="provider_settings", exclude=True, repr=False
    )
    cloud_settings: Mapping[str, str] = Field(default_factory=dict, alias="cloud_settings", exclude=True, repr=False)

    @field_validator("cors_origins", "outbound_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        texts = value.split(",") if isinstance(value, str) else None
        return value if texts is None else tuple(text.strip().rstrip("/") for text in texts if text.strip())

    @field_validator("public_url", "storage_public_url", "direct_database_url", "url")
    @classmethod
    def _an_address(cls, value: str | None, field: ValidationInfo) -> str | None:
        schemes = ("postgresql", "postgres") if field.field_name == "direct_database_url" else ("http", "https")
        if value is not None and not re.match(rf"({'|'.join(schemes)})://[^/]", value):
            raise ValueError(f"must be a whole address, with {' or '.join(f'{scheme}://' for scheme in schemes)} before it")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not re.fullmatch(r"https?://[^/]+", origin):
                raise ValueError(f"{origin} is no origin; one looks like https://app.example")
        return value

    @field_validator("outbound_allow")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?", entry, re.ASCII):
                raise ValueError(f"{entry} is no host; one looks like pictures.internal, 10.0.0.5:8080 or [fd00::5]:8080")
        return value

    @field_validator("session_secret")
    @classmethod
    def _long(cls, value: str | None) -> str | None:
        if value is not None and len(value) < 32:
            raise ValueError("must have 32 characters or more; `openssl rand -hex 32` makes one, or leave it out")
        return value

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.lower() not in ("debug", "info", "warning", "error"):
            raise ValueError("must be debug, info, warning or error")
        return value.lower()

    @property
    def served_url(self) -> str:
        """The address that callers are told, without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    def provider_config(self, name: str) -> ProviderConfig:
        """What the environment says of one provider."""
        found = {**self._guides_names().get(name, {}), **self.provider_settings.get(name, {})}
        seconds = found.pop("timeout_seconds", None)
        try:
            return ProviderConfig(
                api_key=found.pop("api_key", None),
                base_url=found.pop("base_url", None),
                timeout_seconds=None if seconds is None else float(seconds),
                options=found,
                outbound_allow=self.outbound_allow,
            )
        except ValueError as error:
            raise ConfigurationError([f"IMAGEJOBS_{name.upper()}_TIMEOUT_SECONDS must be a number of seconds."]) from error

    def _guides_names(self) -> Mapping[str, Mapping[str, str]]:
        """Providers' settings under the names that guides give them (D1, D2); the pattern's variables win."""
        google = self.google_ai_api_key or self.gemini_api_key
        banana = {"api_key": self.nano_banana_api_key, "base_url": self.nano_banana_api_url}
        return {
            "gemini": {"api_key": google} if google else {},
            "nanobanana": {name: value for name, value in banana.items() if value},
        }


def load_settings(**chosen: Any) -> Settings:  # noqa: ANN401 - each field has its own type
    """The settings of this process; `chosen` ones (from the command line) win. Every problem is listed at once."""
    words = {variable_of(name): value for name, value in chosen.items() if value is not None}
    try:
        return Settings(provider_settings=_provider_settings(), cloud_settings=_cloud_settings(), **words)
    except ValidationError as error:
        raise ConfigurationError([_problem(item["loc"], item["msg"]) for item in error.errors()]) from error


def environment_with(decided: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process and what `up` decided, for its children."""
    return {**os.environ, **decided}


def variable_of(field: str) -> str:
    """The variable's name of a field, by which alone it can be set."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else field


def _provider_settings() -> Mapping[str, Mapping[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, value in {**dotenv_values(".env"), **os.environ}.items():
        if value and (match := _PROVIDER_SETTING.fullmatch(name)):
            found.setdefault(match[1].lower(), {})[match[2].lower()] = value
    return found


def _cloud_settings() -> Mapping[str, str]:
    found = {**dotenv_values(".env"), **os.environ}
    return {name: value for name, value in found.items() if value and _CLOUD_SETTING.match(name)}


def _problem(location: tuple[int | str, ...], message: str) -> str:
    said = message.removeprefix("Value error, ").partition(", unable to parse")[0].replace("Input should be", "must be")
    said = said.replace("valid integer", "whole number").replace("a valid number", "a number")
    said = said.replace("less than or equal to", "at most").replace("greater than or equal to", "at least")
    return f"{'.'.join(map(str, location))}: {said}."
