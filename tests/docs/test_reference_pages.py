"""The generated pages are as the code wants them."""

import re
from pathlib import Path

import pytest
from scripts.write_reference import ROOT, main, pages, stale

PAGES = pages()
CALL = re.compile(r"^ *(?:[A-Z_]+=\S+ )*imagejobs [a-z]", re.MULTILINE)
FENCED = re.compile(r"^```$.*?^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_a_generated_page_is_current(path: Path) -> None:
    assert (ROOT / path).read_text() == PAGES[path], "run `python scripts/write_reference.py`"


def test_the_check_names_what_is_stale_and_writing_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], tmp_path) == 0
    settings = tmp_path / "docs/reference/settings.md"
    settings.write_text(settings.read_text() + "edited by hand\n")
    capsys.readouterr()
    assert main(["--check"], tmp_path) == 1
    assert capsys.readouterr().out == "docs/reference/settings.md is stale\n"
    assert main([], tmp_path) == 0
    assert stale(tmp_path) == []


def test_every_command_on_the_page_of_commands_stands_in_a_block_of_code() -> None:
    page = PAGES[Path("docs/reference/cli.md")]
    assert "IMAGEJOBS_FAKE_BASE_URL=" in page
    assert not CALL.findall(FENCED.sub("", page))
