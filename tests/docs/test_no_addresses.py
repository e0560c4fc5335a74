"""Nothing in the repository names a package registry or a path of somebody's machine."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REGISTRIES = ["pypi." + "org", "python" + "hosted", "npm" + "js", "crates." + "io", "deb.debian." + "org"]
OPTIONS = ["--index" + "-url", "--extra-index" + "-url", "--find" + "-links", "--trusted" + "-host"]
MACHINE = [r"(?<![\w./])/" + folder + r"/\w" for folder in ("work", "root", "home", "Users", "tmp")]
FORBIDDEN = re.compile("|".join([*map(re.escape, REGISTRIES), *OPTIONS, *MACHINE]))


def tracked() -> list[Path]:
    """What git would publish: tracked files and new ones that are not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_no_file_names_a_registry_or_a_machine() -> None:
    found = []
    for path in tracked():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in FORBIDDEN.finditer(text)]
    assert not found
