"""The pages about storage: their `.env` and their three commands, run in order against servers on this machine."""

import re
from pathlib import Path

import httpx2
import pytest

from tests.support.s3_server import make_bucket, s3_server
from tests.support.supabase_server import SECRET_KEY, supabase_double
from tests.support.up import Place, place, up

PAGES = Path(__file__).parents[2] / "docs/how-to"

pytestmark = pytest.mark.timeout(120)


def follow(page: str, values: dict[str, str], at: Place) -> list[str]:
    """What the three commands print, with these values in the page's `.env`."""
    text = (PAGES / page).read_text()
    settings, commands = (
        re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[0] for kind in ("ini", "bash")
    )
    for placeholder, value in values.items():
        assert placeholder in settings
        settings = settings.replace(placeholder, value)
    (at.cwd / ".env").write_text(settings)
    first, second, third = commands.splitlines()
    said = [at.run(*first.split()[1:])]
    assert second == "imagejobs up"
    with up(at) as running:
        said.append(running.run("generate", third.partition('"')[2].rstrip('"')))
    assert [done.returncode for done in said] == [0, 0], said
    return [done.stdout for done in said]


def test_three_commands_lead_to_a_public_picture_in_ones_own_supabase_bucket() -> None:
    with supabase_double() as double, place() as at:
        values = {"https://YOUR-PROJECT.supabase.co": double.url, "YOUR-SERVICE-KEY": SECRET_KEY}
        setup, address = follow("supabase-storage.md", values, at)
        assert "asset-images made: public; png, jpeg and webp of up to 10 MB" in setup
        assert address.startswith(f"{double.url}/storage/v1/object/public/asset-images/project_")
        assert httpx2.get(address.strip()).content.startswith(b"\x89PNG")
        assert f"bucket asset-images at {double.url}" in at.stderr


def test_three_commands_lead_to_a_public_picture_in_ones_own_s3_bucket() -> None:
    with s3_server() as url, place() as at:
        bucket = make_bucket(url, public=True)
        values = {"https://YOUR-SERVER": url, "YOUR-BUCKET": bucket, "YOUR-KEY-ID": "AKIAEXAMPLE", "YOUR-KEY": "a-secret"}
        verify, address = follow("object-storage.md", values, at)
        assert "it opens in a browser" in verify
        assert address.startswith(f"{url}/{bucket}/pictures/project_")
        assert httpx2.get(address.strip()).content.startswith(b"\x89PNG")
        assert "a-secret" not in at.stderr
