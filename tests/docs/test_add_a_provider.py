"""F5: the provider that the page builds, installed as a package, run through the contract, used by a job."""

import io
import json
import re
import threading
import time
import tomllib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zlib import crc32

import pytest
from PIL import Image

from imagejobs.bootstrap import load_providers
from imagejobs.db.pool import Database
from imagejobs.domain.jobs import JobStatus, JobType
from imagejobs.domain.requests import GenerationRequest
from imagejobs.errors import (
    ContentRefused,
    ModelUnavailable,
    NoImageReturned,
    OutcomeUnknown,
    ProviderCreditExhausted,
    ProviderError,
    ProviderKeyRejected,
    ProviderOverloaded,
    ProviderRejected,
    ProviderThrottled,
    ProviderUnreachable,
)
from imagejobs.imaging import Decoder
from imagejobs.ports import Provider
from imagejobs.settings import load_settings
from tests.contract import test_providers as contract
from tests.contract.provider_cases import ProviderCase
from tests.support.world import open_world

PAGE = (Path(__file__).parents[2] / "docs/how-to/add-a-provider.md").read_text()
PRICE = 30_000
PLAIN = GenerationRequest(job_type=JobType.GENERATE, prompt="a heron", width=96, height=64, model="brush-1", seed=7)
FAILING: tuple[tuple[str, type[ProviderError]], ...] = (
    ("400", ProviderRejected),
    ("401", ProviderKeyRejected),
    ("402", ProviderCreditExhausted),
    ("404", ModelUnavailable),
    ("429", ProviderThrottled),
    ("451", ContentRefused),
    ("500", OutcomeUnknown),
    ("503", ProviderOverloaded),
    ("nothing", NoImageReturned),
    ("cut", OutcomeUnknown),
)


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


class Service(BaseHTTPRequestHandler):
    """brush itself: draws a picture of one color, charges each key once, and fails where the prompt says so."""

    protocol_version = "HTTP/1.1"
    charged: set[str]

    def do_GET(self) -> None:
        self._answer(200, b"{}", "application/json")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        word = body["prompt"]
        if word == "slow":
            time.sleep(0.5)
        if word.isdecimal():
            self._answer(int(word), b"{}", "application/json")
        elif word == "cut":
            self._answer(200, b"\x89PNG", "image/png", missing=100)
            self.close_connection = True
        else:
            self.charged.add(self.headers["idempotency-key"])
            self._answer(200, b"" if word == "nothing" else picture(word, tuple(body["size"])), "image/png")

    def _answer(self, status: int, data: bytes, media_type: str, missing: int = 0) -> None:
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(data) + missing))
        self.send_header("retry-after", "7")
        self.send_header("x-cost-micros", str(PRICE))
        self.end_headers()
        self.wfile.write(data)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def picture(prompt: str, size: tuple[int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, f"#{crc32(prompt.encode()) & 0xFFFFFF:06x}").save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Brush", (Service,), {"charged": set()}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def installed(tmp_path: Path, service: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's package where Python finds it, with the page's own entry point, and its settings."""
    groups = tomllib.loads(block("toml"))["project"]["entry-points"]
    lines = [f"[{group}]\n{name} = {target}\n" for group, entries in groups.items() for name, target in entries.items()]
    information = tmp_path / "imagejobs_brush-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: imagejobs-brush\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("".join(lines))
    (tmp_path / "imagejobs_brush.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("IMAGEJOBS_BRUSH_API_KEY", "secret")
    monkeypatch.setenv("IMAGEJOBS_BRUSH_BASE_URL", f"http://127.0.0.1:{service.server_port}")


@pytest.fixture
async def brush(installed: None) -> AsyncIterator[Provider]:
    del installed
    providers = load_providers(load_settings())
    yield providers["brush"]
    for provider in providers.values():
        await provider.close()


@pytest.fixture
def case(brush: Provider) -> ProviderCase:
    return ProviderCase(open=lambda: brush, plain=PLAIN, failing=(), slow=replace(PLAIN, prompt="slow"))


def test_f5_without_its_key_an_installed_provider_changes_nothing(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del installed
    monkeypatch.delenv("IMAGEJOBS_BRUSH_API_KEY")
    assert "brush" not in load_providers(load_settings())


async def test_f5_the_pages_provider_keeps_the_contract(brush: Provider, case: ProviderCase) -> None:
    contract.test_it_is_called_what_it_is_configured_as(brush, "brush")
    contract.test_its_default_model_comes_first_and_every_name_finds_its_model(brush, case)
    contract.test_its_limits_make_sense_and_admit_the_plain_request(brush, case)
    contract.test_a_quote_is_never_negative_and_equal_each_time(brush, case)
    contract.test_a_plan_gives_time_and_is_equal_each_time(brush, case)
    await contract.test_a_plain_request_brings_a_picture_and_its_cost(brush, case)
    await contract.test_the_same_request_under_the_same_key_brings_the_same_bytes(brush, case)
    await contract.test_a_canceled_call_stops_at_once(brush, case)
    await contract.test_after_a_canceled_call_it_goes_on_working(brush, case)
    await contract.test_many_calls_at_once_do_not_mix_up_their_answers(brush, case)
    await contract.test_what_it_does_not_know_it_does_not_cancel(brush)
    await contract.test_a_check_costs_nothing_and_says_what_it_found(brush)
    await contract.test_closing_twice_is_harmless(case)


async def test_f5_the_pages_provider_says_what_happened(brush: Provider) -> None:
    for word, expected in FAILING:
        with pytest.raises(ProviderError) as caught:
            await brush.submit(contract.call(replace(PLAIN, prompt=word)))
        assert type(caught.value) is expected, word
        if isinstance(caught.value, ProviderThrottled):
            assert caught.value.retry_after_seconds == 7.0
    with pytest.raises(OutcomeUnknown):
        await brush.submit(contract.call(replace(PLAIN, prompt="slow"), deadline_seconds=0.05))


async def test_f5_a_service_that_is_not_there_is_unreachable(
    installed: None, service: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del installed
    closed = ThreadingHTTPServer(("127.0.0.1", 0), service.RequestHandlerClass)
    closed.server_close()
    monkeypatch.setenv("IMAGEJOBS_BRUSH_BASE_URL", f"http://127.0.0.1:{closed.server_port}")
    brush = load_providers(load_settings())["brush"]
    with pytest.raises(ProviderUnreachable):
        await brush.submit(contract.call(PLAIN))
    assert not (await brush.check()).ok
    await brush.close()


@pytest.mark.database
async def test_f5_a_job_is_made_with_the_pages_provider(
    brush: Provider, service: ThreadingHTTPServer, dsn: str, database: Database, tmp_path: Path
) -> None:
    decoder = Decoder()
    async with open_world(dsn, database, decoder, tmp_path / "files", providers={"brush": brush}) as world:
        answer = await world.generate(model="brush:brush-1")
        job = await world.work_off(answer.json()["jobId"])
    await decoder.stop()
    assert (job.status, job.provider, job.cost_micros) == (JobStatus.COMPLETED, "brush", PRICE)
    assert len(service.RequestHandlerClass.charged) == 1  # type: ignore[attr-defined]
