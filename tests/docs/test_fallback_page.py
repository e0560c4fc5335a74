"""The page on fallback names the reasons that the code goes on from, and no others."""

import re
from pathlib import Path

from imagejobs.domain.fallback import may_go_on
from imagejobs.errors import ImageJobsError, every_error

PAGE = (Path(__file__).parents[2] / "docs/how-to/go-on-with-another-model.md").read_text()


def goes_on(error: type[ImageJobsError]) -> bool:
    return not error.__subclasses__() and may_go_on(error.__new__(error))


def test_the_page_names_each_reason_that_a_job_goes_on_from() -> None:
    _, _, after = PAGE.partition("## When it goes on")
    table, _, _ = after.partition("## When it does not")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {word for row in rows for word in re.findall(r"`(\w+)`", row)} - {"reason"}
    assert named == {error.reason for error in every_error() if goes_on(error)}
