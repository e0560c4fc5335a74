"""The catalogue, which size a wish becomes, and what a picture should and did cost."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, strategies as st

from imagejobs.app.choose import require_capable
from imagejobs.domain.jobs import JobType
from imagejobs.domain.requests import Fit, GenerationRequest, ImageRequest, Picture, ReferenceRole
from imagejobs.errors import (
    ConfigurationError,
    ModelUnavailable,
    ProviderKeyRejected,
    ProviderRejected,
    UnsupportedCapability,
)
from imagejobs.net.http import Outbound
from imagejobs.ports import Call, ProviderConfig
from imagejobs.providers.gemini import provider
from imagejobs.providers.gemini.adapter import Gemini
from imagejobs.providers.gemini.body import read_body
from imagejobs.providers.gemini.catalogue import Model, load_catalogue
from imagejobs.providers.gemini.prices import Usage, cost_of
from imagejobs.providers.gemini.wire import pictures_of, words_of

CATALOGUE = load_catalogue()
MODELS = {model.name: model for model in CATALOGUE.models}
DEFAULT = CATALOGUE.models[0]
PLAIN = GenerationRequest(job_type=JobType.GENERATE, prompt="a cat", width=512, height=512, model=DEFAULT.name)


def on(year: int, month: int, day: int) -> Gemini:
    """The adapter as of that day."""
    now = datetime(year, month, day, tzinfo=UTC)
    return Gemini(
        outbound=Outbound(),
        base_url="http://127.0.0.1:1",
        api_key="k",
        timeout_seconds=None,
        catalogue=CATALOGUE,
        now=lambda: now,
    )


def wish(width: int, height: int, fit: Fit | None = None) -> ImageRequest:
    return ImageRequest(
        project_id="p", branch_id="b", job_type=JobType.GENERATE, prompt="x", width=width, height=height, fit=fit
    )


def test_the_default_is_the_current_model_and_serves() -> None:
    assert DEFAULT.name == "gemini-nano-banana-2.1"
    assert DEFAULT.shutdown is None
    assert CATALOGUE.serving("nano-banana", date(2026, 11, 22)) is DEFAULT
    assert [frame.size for frame in DEFAULT.frames if frame.ratio == "1:1"] == ["1K", "2K", "4K"]
    assert all(model.successor in MODELS for model in CATALOGUE.models if model.shutdown)


@pytest.mark.parametrize(
    ("model", "width", "height", "expected"),
    [
        (DEFAULT.name, 512, 512, ("1:1", "1K", 1024, 1024)),
        (DEFAULT.name, 1024, 1024, ("1:1", "1K", 1024, 1024)),
        (DEFAULT.name, 1025, 1024, ("1:1", "2K", 2048, 2048)),
        (DEFAULT.name, 1280, 720, ("16:9", "1K", 1376, 768)),
        (DEFAULT.name, 1920, 1080, ("16:9", "2K", 2752, 1536)),
        (DEFAULT.name, 3840, 2160, ("16:9", "4K", 5504, 3072)),
        (DEFAULT.name, 2560, 1080, ("21:9", "2K", 3168, 1344)),
        (DEFAULT.name, 64, 2000, ("1:8", "1K", 352, 2928)),
        (DEFAULT.name, 4100, 4100, ("1:1", "4K", 4096, 4096)),
        ("gemini-2.5-flash-image", 1920, 1080, ("16:9", "", 1344, 768)),
        ("gemini-3-pro-image", 300, 1200, ("9:16", "1K", 768, 1376)),
        ("gemini-3.1-flash-image", 300, 300, ("1:1", "512", 512, 512)),
    ],
)
def test_a_wish_becomes_the_nearest_ratio_in_the_smallest_size_that_covers_it(
    model: str, width: int, height: int, expected: tuple[str, str, int, int]
) -> None:
    frame = MODELS[model].frame(width, height)
    assert (frame.ratio, frame.size, frame.width, frame.height) == expected


@pytest.mark.parametrize("model", CATALOGUE.models, ids=lambda model: model.name)
def test_what_a_model_makes_exactly_is_what_it_is_asked_for(model: Model) -> None:
    for frame in model.frames:
        assert model.frame(frame.width, frame.height) == frame


@given(st.integers(64, 11_712), st.integers(64, 11_712))
def test_every_wish_has_a_frame(width: int, height: int) -> None:
    frame = DEFAULT.frame(width, height)
    largest = DEFAULT.frame(frame.width * 100, frame.height * 100)
    assert (frame.width >= width and frame.height >= height) or frame == largest


def test_fit_exact_refuses_what_the_model_does_not_make_and_names_what_is_near() -> None:
    capability = DEFAULT.capability()
    require_capable(capability, wish(1376, 768, Fit.EXACT))
    require_capable(capability, wish(1920, 1080))
    with pytest.raises(UnsupportedCapability, match="1376x768") as caught:
        require_capable(capability, wish(1344, 768, Fit.EXACT))
    assert caught.value.field == "width"
    require_capable(replace(capability, sizes=()), wish(1344, 768, Fit.EXACT))
    with pytest.raises(UnsupportedCapability):
        require_capable(capability, wish(5000, 5000))


def test_a_model_past_its_last_day_is_refused_and_its_successor_named() -> None:
    request = replace(PLAIN, model="gemini-2.5-flash-image")
    assert on(2027, 3, 14).quote(request).micros > 0
    for ask in (on(2027, 3, 15).quote, on(2027, 3, 15).plan):
        with pytest.raises(ModelUnavailable, match=r"gemini-nano-banana-2\.1"):
            ask(request)
    with pytest.raises(ModelUnavailable, match=r"2026-10-29.*gemini-nano-banana-2\.1"):
        on(2026, 11, 22).quote(replace(PLAIN, model="nano-banana-2"))
    with pytest.raises(ModelUnavailable):
        on(2026, 11, 22).plan(replace(PLAIN, model="dall-e-3"))


def test_a_quote_is_the_picture_its_inputs_and_its_words() -> None:
    picture = Picture(data=b"x", media_type="image/png")
    assert on(2026, 11, 22).quote(PLAIN).micros == 33_600 + 8  # 5 bytes at 1.5
    assert on(2026, 11, 22).quote(replace(PLAIN, width=4096, prompt="")).micros == 50_400  # 4:1, which takes 2K
    assert (
        on(2026, 11, 22).quote(replace(PLAIN, references=(picture,) * 2, source_image=picture)).micros == 33_608 + 3 * 1680
    )


@pytest.mark.parametrize(
    ("usage", "micros", "is_estimated"),
    [
        (Usage(input=8, output=1120, thoughts=0, image=1120), 33_612, False),
        (Usage(input=0, output=1220, thoughts=300, image=1120), 33_600 + 3_000, False),
        (Usage(input=8, output=1120, thoughts=0, image=None), 33_600, True),
        (None, 33_600, True),
    ],
)
def test_a_cost_is_the_tokens_of_each_kind(usage: Usage | None, micros: int, is_estimated: bool) -> None:
    cost = cost_of(DEFAULT, DEFAULT.frame(1024, 1024), usage, "v")
    assert (cost.micros, cost.estimated) == (micros, is_estimated)


def test_pictures_come_in_the_order_identity_style_source() -> None:
    style, identity = [Picture(data=b"s", media_type="image/png", role=role) for role in reversed(ReferenceRole)]
    source = Picture(data=b"o", media_type="image/png")
    request = replace(PLAIN, references=(style, identity), source_image=source, negative_prompt="dogs")
    assert pictures_of(request) == [identity, style, source]
    assert words_of(request) == "a cat\n\nAvoid: dogs"


def test_what_google_does_not_take_is_refused_when_planning() -> None:
    png, gif = Picture(data=b"x", media_type="image/png"), Picture(data=b"x", media_type="image/gif")
    large = Picture(data=bytes(15_000_000), media_type="image/png")
    for request in (
        replace(PLAIN, mask=png),
        replace(PLAIN, source_image=gif),
        replace(PLAIN, source_image=large),
        replace(PLAIN, references=(png,) * 14, source_image=png),
    ):
        with pytest.raises(ProviderRejected):
            on(2026, 11, 22).plan(request)
    assert (
        on(2026, 11, 22).plan(replace(PLAIN, source_image=replace(large, data=bytes(14_000_000)))).call_deadline_seconds
        == 180
    )


async def test_a_placeholder_for_a_key_starts_and_is_named_by_the_first_call() -> None:
    assert provider(ProviderConfig()) is None
    made = provider(ProviderConfig(api_key="<your key here>"))
    assert made is not None
    with pytest.raises(ProviderKeyRejected):
        await made.submit(Call(request=PLAIN, idempotency_key="k", deadline_seconds=1))
    assert not (await made.check()).ok
    with pytest.raises(ConfigurationError):
        provider(ProviderConfig(api_key="k", base_url="generativelanguage"))


LONG = "QUJD" * 4096


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (LONG, b"ABC" * 4096),
        (LONG + "QQ==", b"ABC" * 4096 + b"A"),
        (LONG + "QQ", b"ABC" * 4096 + b"A"),
        (LONG + "\\u002b-_\\/", b"ABC" * 4096 + b"\xfb\xef\xff"),
        (LONG + "+-_/", b"ABC" * 4096 + b"\xfb\xef\xff"),
        (LONG + "\\n" + LONG, b"ABC" * 8192),
        ("QUJD", b"ABC"),
        ("*", b"*"),
    ],
)
def test_a_picture_is_cut_out_of_the_body_and_decoded(value: str, data: bytes) -> None:
    body = f'{{"a": "said \\"data\\": \\"x\\"", "b": {{"data" :\n"{value}", "c": 1}}, "d": {{"data": "{LONG}"}}}}'.encode()
    cut = read_body(body)
    assert cut is not None
    assert cut.document["a"] == 'said "data": "x"'
    assert cut.document["b"]["c"] == 1
    assert cut.picture(cut.document["b"]["data"]) == data
    assert cut.picture(cut.document["d"]["data"]) == b"ABC" * 4096


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data": "' + b"A" * 9000, b"[" * 100_000, b'{"a": 1'])
def test_what_is_no_json_is_none(body: bytes) -> None:
    assert read_body(body) is None


def test_nothing_that_is_no_string_is_a_picture() -> None:
    cut = read_body(b'{"data": 7}')
    assert cut is not None
    values: list[object] = [cut.document["data"], None, True, [], -1]
    assert [cut.picture(value) for value in values] == [b""] * 5
