"""The page of the fake provider names every condition, every action and every word of the script."""

from pathlib import Path

import pytest

from imagejobs.providers.fake_server.pictures import Kind
from imagejobs.providers.fake_server.script import Action, Billing, Fate, On, Webhook, When

PAGE = (Path(__file__).parents[2] / "docs/reference/fake-provider.md").read_text()
FIELDS = [
    *(field.alias or name for name, field in When.model_fields.items()),
    *Action.model_fields,
    *Webhook.model_fields,
]


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_a_rule_is_described(name: str) -> None:
    assert f"`{name}`" in PAGE or f'"{name}"' in PAGE


@pytest.mark.parametrize("word", [*On, *Kind, *Billing, *Fate])
def test_every_word_of_a_rule_is_described(word: str) -> None:
    assert f"`{word}`" in PAGE
