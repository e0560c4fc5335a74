"""Links between our pages lead somewhere, and so do the names of functions and commands in them."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from typer.main import get_command

from imagejobs.cli.main import app as command_line

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
FUNCTION = re.compile(r"`((?:app|db|domain|engine|errors|imaging|embedded|ports|web|worker|bootstrap)(?:\.(?!py`)\w+)+)`")
MODULE = re.compile(r"`((?:app|db|domain|engine|imaging|embedded|web|providers|storage|cli|tests|scripts|docs)/[\w./-]*)`")
FROM_A_REGISTRY = re.compile(r"\b(?:pip|pipx|uv|npm) (?:install|add)\b[^\n`]*(?<![\w./-])imagejobs(?![\w/-])")
COMMAND = re.compile(r"(?:^    |`)imagejobs ([a-z][a-z-]*)(?: ([a-z]+))?", re.MULTILINE)


CLIENTS = sorted((ROOT / "clients").glob("*/README.md"))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", CODE_BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target, anchor in LINK.findall(CODE_BLOCK.sub("", page.read_text())):
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            broken.append(f"{target}#{anchor}")
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_functions_exist(page: Path) -> None:
    for name in FUNCTION.findall(page.read_text()):
        parts = name.split(".")
        found: object = import_module(f"imagejobs.{parts[0]}")
        for number, part in enumerate(parts[1:], start=2):
            if not hasattr(found, part):
                import_module(f"imagejobs.{'.'.join(parts[:number])}")
            found = getattr(found, part)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_exist(page: Path) -> None:
    for name in MODULE.findall(page.read_text()):
        if "<" not in name:
            assert (ROOT / name).exists() or (ROOT / "src/imagejobs" / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_commands_exist(page: Path) -> None:
    root = get_command(command_line)
    for name, subname in COMMAND.findall(page.read_text()):
        assert name in root.commands  # type: ignore[attr-defined]
        group = root.entries[name].load(name)  # type: ignore[attr-defined]
        assert not subname or not hasattr(group, "commands") or subname in group.commands


@pytest.mark.parametrize("page", [*PAGES, *CLIENTS], ids=name_of)
def test_no_page_installs_us_by_name(page: Path) -> None:
    """We are in no registry: whatever is there under that name is somebody else's."""
    assert not FROM_A_REGISTRY.findall(page.read_text())
