"""Each row of the contract that this version keeps has a test that names it."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
COUNTS = {"a": 16, "b": 6, "c": 5, "d": 3, "e": 3, "f": 7}
ROWS = [f"{letter}{number}" for letter, count in COUNTS.items() for number in range(1, count + 1)]
REQUIRED = [
    *(f"a{number}" for number in range(1, 17)),
    *("b1", "b2", "b3", "b4", "b5", "b6"),
    *("c1", "c2", "c3", "c4", "c5"),
    *("d1", "d2", "d3"),
    *("e1", "e2", "e3"),
    *("f1", "f2", "f3", "f4", "f5", "f6", "f7"),
]
OWN_NAME = Path(__file__).name


def tokens_of_tests() -> set[str]:
    """Every word of every test's name."""
    files = [path for path in TESTS.rglob("test_*.py") if path.name != OWN_NAME]
    names = [name for path in files for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)]
    return {token for name in names for token in name.split("_")}


TOKENS = tokens_of_tests()


def test_each_required_row_has_a_test_of_its_name() -> None:
    missing = [row for row in REQUIRED if row not in TOKENS]
    assert not missing, f"no test function has these rows in its name: {missing}"


def test_every_required_row_is_a_row() -> None:
    assert set(REQUIRED) <= set(ROWS)
