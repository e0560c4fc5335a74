"""The how-to about styles, its commands run in order as a reader would."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.up import place, up

PAGE = (Path(__file__).parents[2] / "docs/how-to/styles.md").read_text()
COMMANDS = re.findall(r"<!-- tested -->\n```bash\n(.*?)```", PAGE, re.DOTALL)
COMPOSED = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)

pytestmark = pytest.mark.timeout(300)


def test_f4_the_pages_commands_do_what_it_says() -> None:
    with place() as somewhere, up(somewhere) as running:
        reach = {"IMAGEJOBS_URL": running.url, "IMAGEJOBS_API_KEY": running.ready["apiKey"]}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        said = []
        for command in COMMANDS:
            words = ["bash", "-euo", "pipefail", "-c", command]
            done = subprocess.run(
                words,
                env=somewhere.environment(PATH=path, **reach),
                cwd=somewhere.cwd,
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            said.append(done.stdout)
        made, quoted, worn, deleted = said
        assert json.loads(made)["styleId"] == "noir"
        assert quoted == "0.0000 credits for 1 of 512x512 by sketch:sketch-1\n"
        assert worn.startswith(running.url)
        assert deleted == ""
        (job,) = running.run("jobs", "ls", "--project", "film", "--json").stdout.splitlines()
        assert json.loads(job)["composedPrompt"] == COMPOSED[0]
