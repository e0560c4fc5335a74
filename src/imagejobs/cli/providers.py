"""`imagejobs providers`: who makes the pictures, whether they can, and who gets the jobs that name no model."""

import asyncio
from collections.abc import AsyncIterator

from imagejobs.app.findings import Finding, fail, ok, warn
from imagejobs.bootstrap import default_provider, load_providers
from imagejobs.cli.console import AsJson, command_app
from imagejobs.cli.findings import CHECK_SECONDS, collected, report
from imagejobs.cli.home import Home
from imagejobs.errors import ConfigurationError
from imagejobs.ports import Provider
from imagejobs.settings import Settings, load_settings

app = command_app(no_args_is_help=True, help="The providers that make the pictures.")


@app.callback()
def _group() -> None:
    """Keep the name of the one command."""


@app.command()
def check(as_json: AsJson = False) -> None:
    """Ask each configured provider, free of charge, whether it answers and takes its key.

    The last line says who gets the jobs that name no model. The exit code is 1 if a provider cannot work.

    ```
    imagejobs providers check
    imagejobs providers check --json | jq -r 'select(.level == "fail").advice'
    ```
    """
    findings = collected("providers", provider_findings(load_settings()), WHOLE_SECONDS)
    raise report(asyncio.run(findings), as_json=as_json)


CORRECT = "Correct it in the environment or in .env."
WHOLE_SECONDS = CHECK_SECONDS + 15  # each has CHECK_SECONDS, all at once, and then a little to let go
_SKETCH = "sketch"
_KEYS = {"gemini": "GOOGLE_AI_API_KEY", "nanobanana": "NANO_BANANA_API_KEY"}  # as the guide names them


async def provider_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Each provider, asked free of charge and all at once, and who gets the jobs that name no model."""
    try:
        providers = load_providers(settings)
    except ConfigurationError as error:
        yield fail("providers", error.detail, CORRECT)
        return
    asked = (collected(name, _asked(provider)) for name, provider in providers.items())
    for findings in await asyncio.gather(*asked):
        for finding in findings:
            yield finding
    yield _default_provider(settings, list(providers))


def advice_for(provider: str) -> str:
    """Where its key is set."""
    variables = [name for name in (_KEYS.get(provider), f"IMAGEJOBS_{provider.upper()}_API_KEY") if name]
    return f"Its key is set by {' or '.join(variables)}, as the settings page says."


async def _asked(provider: Provider) -> AsyncIterator[Finding]:
    try:
        health = await provider.check()
    finally:
        await provider.close()
    advice = f"Jobs for it will fail until this is put right. {advice_for(provider.name)}"
    yield ok(provider.name, health.detail) if health.ok else fail(provider.name, health.detail, advice)


def _default_provider(settings: Settings, names: list[str]) -> Finding:
    """Who gets the jobs that name no model."""
    subject, chosen = "default provider", settings.default_provider
    known = ", ".join(names) or "none"
    if chosen is not None:
        if chosen in names:
            return ok(subject, f"{chosen}, from IMAGEJOBS_DEFAULT_PROVIDER")
        return fail(subject, f"IMAGEJOBS_DEFAULT_PROVIDER is {chosen}, there is {known}", CORRECT)
    paid = [name for name in names if name != _SKETCH]
    if (found := default_provider(settings, names)) is not None:
        return ok(subject, f"{found}, {'the only paid one' if len(paid) == 1 else f'which comes first among {known}'}")
    if paid:
        choice = " or ".join(f"IMAGEJOBS_DEFAULT_PROVIDER={name}" for name in paid)
        return warn(subject, f"none chosen among {known}: jobs without a model will fail", f"Set {choice}.")
    if settings.database_url is None or Home(settings.data_dir).running() is not None:
        return ok(subject, f"{_SKETCH}, which `imagejobs up` chooses where no paid one is configured")
    return warn(
        subject,
        "none chosen: under `imagejobs api` and `imagejobs worker`, jobs without a model will fail",
        f"Set IMAGEJOBS_DEFAULT_PROVIDER={_SKETCH}, which is free, or configure a paid one; `imagejobs up` does so.",
    )
