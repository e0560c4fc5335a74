"""The TypeScript client: types, units, and the real service from Node and from a page of another origin in Chromium."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import free_port
from tests.support.up import Up, place, up

CLIENT = Path(__file__).parents[2] / "clients/typescript"
STAMP = CLIENT / "node_modules/.installed"
CHROMIUM = shutil.which("chromium")
NPM = {
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_prefer_offline": "true",
    "npm_config_fetch_retries": "5",
}
SUPABASE = "https://abcdefgh.supabase.co"  # only its name is used: the page looks for that project's session
PAGES = (CLIENT / "README.md", CLIENT.parents[1] / "docs/how-to/show-pictures-in-a-page.md")
INSTALL = re.compile(r"^<!-- tested: install -->\n```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SNIPPET = re.compile(r"^<!-- tested(?:: (\w+\.js))? -->\n```js\n(.*?)^```", re.MULTILINE | re.DOTALL)
IN_NODE = re.compile(r"^<!-- tested: inpaint\.ts -->\n```ts\n(.*?)^```", re.MULTILINE | re.DOTALL)
TRY_THEM = """
import { createImageService } from 'imagejobs'
import { show } from './picture.js'
import { retry } from './retry.js'
const images = createImageService({ apiUrl: process.env.IMAGEJOBS_URL, getToken: () => process.env.IMAGEJOBS_API_KEY })
const image = {}, status = {}
await show(images, 'a fox', { image, status })
console.log(image.alt, status.textContent, image.src)
const error = await show(images, 'a fox [storage]', { image, status })
console.log(status.textContent)
await retry(images, error, status)
console.log(status.textContent)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("npm") is None, reason="Node and npm are not installed"),
]


def run(*words: str, **settings: str) -> str:
    """The same in the client's folder."""
    return run_in(CLIENT, words, settings)


def run_in(folder: Path, words: Sequence[str], settings: Mapping[str, str]) -> str:
    """What a command says; it must succeed."""
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, **NPM, **settings}, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built() -> None:
    """The locked packages, installed once per lockfile and checkout, and the client compiled with its tests."""
    lock = hashlib.sha256((CLIENT / "package-lock.json").read_bytes()).hexdigest()
    if not STAMP.exists() or STAMP.read_text() != lock:
        run("npm", "ci", "--ignore-scripts", "--loglevel=error")
        STAMP.write_text(lock)
    run("npm", "run", "--silent", "build")
    run("npm", "run", "--silent", "build:test")


@pytest.fixture(scope="module")
def page_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def service(page_port: int) -> Iterator[Up]:
    """A service that lets in pages from one other origin."""
    with place() as at, up(at, CORS_ORIGINS=f"http://127.0.0.1:{page_port}") as running:
        yield running


def reached(service: Up) -> dict[str, str]:
    return {"IMAGEJOBS_URL": service.url, "IMAGEJOBS_API_KEY": service.ready["apiKey"]}


@pytest.mark.usefixtures("built")
def test_e1_e2_e3_the_units_of_the_client() -> None:
    run("npm", "run", "--silent", "test:unit")


def test_e1_an_application_installs_the_client_as_the_readme_says_from_a_fresh_clone(tmp_path: Path) -> None:
    """Nothing is built or installed beforehand, and the types are found from the application."""
    for name in run("git", "ls-files", ".").split():
        copy = tmp_path / "imagejobs/clients/typescript" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CLIENT / name, copy)
    application = tmp_path / "application"
    application.mkdir()
    (application / "package.json").write_text('{"type": "module"}')
    options = {"module": "nodenext", "target": "es2022", "lib": ["es2022", "dom"], "types": [], "strict": True}
    (application / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}))
    (application / "main.ts").write_text(
        "import { imageService, type GeneratedImage } from 'imagejobs'\n"
        "const made: Promise<GeneratedImage> = imageService.generateAssetImageKey('film', 'a knight')\n"
        "await made.catch((error: Error) => console.log(error.message))\n"
    )
    found = INSTALL.search((CLIENT / "README.md").read_text())
    assert found is not None
    compiler = "../imagejobs/clients/typescript/node_modules/.bin/tsc"
    script = f"set -e\n{found[1]}\n{compiler}\nnode main.js"
    said = run_in(application, ("bash", "-c", script), {})
    assert "set VITE_API_URL, or apiUrl in the options" in said


@pytest.mark.usefixtures("built")
def test_e1_e2_the_client_on_node_against_the_running_service(service: Up) -> None:
    run("npm", "run", "--silent", "test:service", **reached(service))


@pytest.mark.usefixtures("built")
def test_e1_e2_the_snippets_of_the_pages_run_as_they_stand(service: Up) -> None:
    snippets = [found for page in PAGES for found in SNIPPET.findall(page.read_text())]
    assert [name for name, _ in snippets] == ["", "", "picture.js", "retry.js"]
    folder = CLIENT / "build/snippets"
    folder.mkdir(parents=True, exist_ok=True)
    names = [name or f"readme-{number}.js" for number, (name, _) in enumerate(snippets)]
    for name, (_, text) in zip(names, snippets, strict=True):
        (folder / name).write_text(text)
    (folder / "try-them.js").write_text(TRY_THEM)
    made, refused, tried = (
        run("node", f"build/snippets/{name}", **reached(service)) for name in (names[0], names[1], "try-them.js")
    )
    assert re.search(r"a lighthouse at dusk: http://\S+/files/\S+ \([0-9a-f-]{36}\)", made)
    assert refused.startswith("PERMANENT content_refused no generating\n")
    assert re.match(r"a fox Here it is. http://\S+\n.+ It was billed.\nPaid already: ", tried)


@pytest.mark.usefixtures("built")
def test_e1_the_example_with_a_file_compiles_as_strictly_as_the_client_does_and_runs(service: Up) -> None:
    found = IN_NODE.search(PAGES[0].read_text())
    assert found is not None
    folder = CLIENT / "build/in-node"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "inpaint.ts").write_text(found[1])
    options = {"rootDir": ".", "noEmitOnError": True}
    (folder / "tsconfig.json").write_text(
        json.dumps({"extends": "../../tsconfig.json", "compilerOptions": options, "include": ["*.ts"]})
    )
    Image.new("RGB", (96, 64), "orange").save(folder / "fox.png")
    run("node_modules/.bin/tsc", "-p", str(folder))
    said = run_in(folder, ("node", "inpaint.js"), reached(service))
    assert re.fullmatch(r"http://\S+/files/\S+\n", said)


@pytest.mark.usefixtures("built")
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a15_e2_e3_the_example_page_in_a_browser_from_another_origin(service: Up, page_port: int) -> None:
    run("npm", "run", "--silent", "build:example", VITE_API_URL=service.url, VITE_SUPABASE_URL=SUPABASE)
    run("npm", "run", "--silent", "test:browser", PAGE_PORT=str(page_port), CHROMIUM=str(CHROMIUM), **reached(service))
