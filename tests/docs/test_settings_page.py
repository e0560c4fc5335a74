"""D3: a page lists every variable, and no page names one that does not exist."""

import re
from pathlib import Path

import pytest

from imagejobs.settings import PROVIDER_PATTERNS, Settings

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
FIELDS = {name: field for name, field in Settings.model_fields.items() if not field.exclude}
VARIABLES = {str(field.validation_alias.choices[0]): field for field in FIELDS.values()}  # type: ignore[union-attr]
OF_PROVIDERS = re.compile(r"IMAGEJOBS_(<PROVIDER>|[A-Z0-9]+)_(API_KEY|BASE_URL|TIMEOUT_SECONDS)")


@pytest.mark.parametrize("variable", [*VARIABLES, *PROVIDER_PATTERNS])
def test_d3_each_variable_is_listed(variable: str) -> None:
    assert f"| `{variable}` | " in (ROOT / "docs/reference/settings.md").read_text()


@pytest.mark.parametrize("variable", VARIABLES)
def test_d3_each_variable_is_described_in_a_sentence(variable: str) -> None:
    description = VARIABLES[variable].description
    assert description is not None
    assert re.fullmatch(r"\S.{10,}[.`]", description), description


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_d3_no_page_names_a_variable_that_does_not_exist(page: Path) -> None:
    named = set(re.findall(r"IMAGEJOBS_[A-Z0-9_]+[A-Z0-9]", page.read_text()))
    assert {
        name for name in named - set(PROVIDER_PATTERNS) if name not in VARIABLES and not OF_PROVIDERS.fullmatch(name)
    } == set()
