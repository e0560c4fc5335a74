"""What a failure is answered with: a step that fits its reason, with a command that exists."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from imagejobs.cli.advice import next_step
from imagejobs.cli.jobs import app
from imagejobs.client import Job
from imagejobs.errors import ConfigurationError, LostClaim, ProviderError, every_error

REASONS = sorted(
    {error.reason for error in every_error()} - {LostClaim.reason, ConfigurationError.reason, ProviderError.reason}
)


def advice(reason: str, *, code: str = "PERMANENT", billed: str = "no", provider: str | None = "acme") -> str:
    error = {"code": code, "reason": reason, "billed": billed}
    job = {"jobId": "one", "status": "failed", "createdAt": "2026-01-01T00:00:00Z", "provider": provider, "error": error}
    return next_step(Job.parse(job))


@pytest.mark.parametrize(
    ("reason", "billed", "said"),
    [
        ("storage_unavailable", "yes", "jobs retry one` is free"),
        ("storage_rejected", "yes", "jobs retry one` is free"),
        ("outcome_unknown", "unknown", "imagejobs jobs resolve one --billed"),
        ("outcome_unknown", "no", "is settled"),
        ("provider_credit_exhausted", "no", "Add credit"),
        ("provider_key_rejected", "no", "provider's key"),
        ("no_provider_configured", "no", "IMAGEJOBS_DEFAULT_PROVIDER=sketch"),
        ("not_an_image", "yes", "IMAGEJOBS_ACME_BASE_URL"),
        ("image_corrupt", "yes", "buys another"),
        ("image_too_large", "yes", "free if it can be decoded then"),
        ("provider_unreachable", "no", "Check the provider's address"),
        ("content_refused", "no", "Change the request"),
        ("budget_exhausted", "no", "Raise the budget"),
        ("of_the_future", "no", "Change the request"),
    ],
)
def test_each_reason_has_its_own_step(reason: str, billed: str, said: str) -> None:
    assert said in advice(reason, billed=billed)


@pytest.mark.parametrize(("code", "said"), [("TEMPORARY", "in a while"), ("RATE_LIMIT", "in a while"), ("UNKNOWN", "log")])
def test_a_reason_without_a_step_of_its_own_goes_by_its_code(code: str, said: str) -> None:
    assert said in advice("of_the_future", code=code)


@pytest.mark.parametrize("reason", REASONS)
def test_every_command_in_it_exists_and_nothing_is_left_to_fill_in(reason: str) -> None:
    group = get_command(app)
    for billed in ("yes", "no", "unknown"):
        text = advice(reason, billed=billed, provider=None)
        assert not re.search(r"[{}]", text)
        for word in re.findall(r"imagejobs jobs (\w+) one", text):
            assert word in getattr(group, "commands")  # noqa: B009 - a group's, which typer does not type


def test_every_command_on_jobs_that_is_named_anywhere_exists() -> None:
    root = Path(__file__).parents[2]
    named = {
        word
        for path in [*(root / "src").rglob("*.py"), *(root / "docs").rglob("*.md"), root / "README.md"]
        for word in re.findall(r"imagejobs jobs ([a-z]+)", path.read_text())
    }
    assert named <= {*getattr(get_command(app), "commands")}  # noqa: B009 - a group's, which typer does not type
