"""What pages promise, compared with what was said."""

import re


def is_said(expected: str, said: str) -> bool:
    """Whether a line says it; `…` stands for anything, and runs of spaces are one."""
    pattern = ".*".join(r"\s+".join(map(re.escape, part.split())) for part in expected.strip("`").split("…"))
    pattern = re.sub(r"(?<=\S) ?\.\* ?(?=\S)", ".*", pattern)
    return re.search(pattern, said) is not None
