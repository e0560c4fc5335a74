"""The pages about storage: their `.env` and their three commands, run in order against servers on this machine."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.support.s3_server import make_bucket, s3_server
from tests.support.supabase_server import SECRET_KEY, Bucket, supabase_double
from tests.support.up import Place, place, up

PAGES = Path(__file__).parents[2] / "docs/how-to"

pytestmark = pytest.mark.timeout(300)


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


def test_c4_s13_pictures_of_the_disk_go_on_opening_after_a_move_to_a_bucket() -> None:
    with supabase_double() as double, place() as at:
        with up(at) as running:
            earlier = running.run("generate", "a red fox in snow").stdout.strip()
        double.buckets["asset-images"] = Bucket(name="asset-images")
        (at.cwd / ".env").write_text(f"SUPABASE_URL={double.url}\nSUPABASE_SERVICE_ROLE_KEY={SECRET_KEY}\n")
        with up(at) as running:
            later = running.run("generate", "a red fox in snow").stdout.strip()
            path = urlsplit(earlier).path
            assert path.startswith("/files/project_")
            assert httpx2.get(running.url + path).content.startswith(b"\x89PNG")
            assert later.startswith(double.url)
            assert httpx2.get(later).content.startswith(b"\x89PNG")
            assert httpx2.get(f"{running.url}/files/{later.partition('/asset-images/')[2]}").status_code == 404
            listed = [json.loads(line) for line in running.run("jobs", "ls", "--json").stdout.splitlines()]
            (shown,) = [job for job in listed if job["publicUrl"] == earlier]
            assert shown["thumbnailUrl"] == f"{earlier}.thumb.webp"
            sound = running.run("verify")
            assert (sound.returncode, "2 pictures" in sound.stderr) == (0, True), sound
