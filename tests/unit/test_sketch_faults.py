"""Fault words: what they do, one by one, and that the page about them says the same."""

import asyncio
import io
import re
import zlib
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from PIL import Image, ImageChops

from imagejobs.domain.jobs import JobType, ResumeClass
from imagejobs.domain.rehearsal import STORAGE_FAULT_MARKER
from imagejobs.domain.requests import GenerationRequest, Picture
from imagejobs.errors import (
    AnswerUnusable,
    OutcomeUnknown,
    ProviderError,
    ProviderOverloaded,
    ProviderThrottled,
    StorageUnavailable,
)
from imagejobs.imaging import Decoder
from imagejobs.ports import Answer, Call, Provider, ProviderConfig
from imagejobs.providers.sketch import provider
from imagejobs.providers.sketch.faults import FAULT_WORDS, MAX_SECONDS, FaultWord, parse
from imagejobs.providers.sketch.snooze import Snoozes
from imagejobs.storage.filesystem import FilesystemStorage
from imagejobs.storage.rehearsal import RehearsalStorage

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "fault-words.md"
SHOWN = [word.shown for word in FAULT_WORDS]


def request(prompt: str, width: int = 96, height: int = 64) -> GenerationRequest:
    return GenerationRequest(job_type=JobType.GENERATE, prompt=prompt, width=width, height=height, model="sketch-1")


def call(prompt: str, deadline_seconds: float = 5.0, key: str = "key") -> Call:
    return Call(request=request(prompt), idempotency_key=key, deadline_seconds=deadline_seconds)


@pytest.fixture
def sketch() -> Provider:
    return provider(ProviderConfig())


async def answer(sketch: Provider, prompt: str, key: str = "key") -> Answer:
    given_back = await sketch.submit(call(prompt, key=key))
    assert isinstance(given_back, Answer)
    return given_back


def test_the_entry_point_leads_to_it() -> None:
    (entry,) = entry_points(group="imagejobs.providers", name="sketch")
    assert entry.load() is provider


def test_the_page_lists_exactly_the_words_of_the_table() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `[")]
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in lines] == [_row(word) for word in FAULT_WORDS]


def _row(word: FaultWord) -> list[str]:
    error = word.error
    if error is None:
        return [f"`{word.shown}`", "—", "completed", "—", word.happens]
    reason = f"[`{error.reason}`](errors.md#{error.reason})"
    return [f"`{word.shown}`", f"`{error.code}`", reason, str(error.billed), word.happens]


@pytest.mark.parametrize("shown", SHOWN)
def test_each_word_is_found_anywhere_in_any_case_and_cut_out(shown: str) -> None:
    left, faults = parse(f"a fox {shown.upper()} in the snow{shown}")
    assert left == "a fox in the snow"
    assert [fault.word.shown for fault in faults] == [shown, shown]


@pytest.mark.parametrize(
    "plain",
    [
        "a fox",
        "  two  spaces stay \n",
        "[503 5s]",
        "[slow fast]",
        "[slow -5s]",
        "[slow ٣s]",
        "[slow\n5s]",
        "slow 5s",
        "[ref use]",
        "[4290]",
        "[slowly]",
        "[[",
    ],
)
def test_everything_else_in_brackets_is_part_of_the_prompt(plain: str) -> None:
    assert parse(plain) == (plain, ())


@given(st.text(alphabet=st.characters(exclude_characters="["), max_size=200))
def test_a_prompt_without_brackets_is_left_alone(prompt: str) -> None:
    assert parse(prompt) == (prompt, ())


@given(
    st.lists(st.one_of(st.text(max_size=10), st.sampled_from([*SHOWN, "[", "]", "[slow", "[429 ", "9" * 400])), max_size=12)
)
def test_no_text_upsets_the_parser(pieces: list[str]) -> None:
    left, faults = parse("".join(pieces))
    assert all(0 <= fault.seconds <= max(MAX_SECONDS, fault.word.seconds) for fault in faults)
    if faults:
        assert left == left.strip()


def test_seconds_may_have_a_fraction_and_an_end() -> None:
    _, faults = parse("[slow 1.5s] [SLOW 7] [ slow  2 s ] [slow 99999s]")
    assert [fault.seconds for fault in faults] == [1.5, 7, 2, MAX_SECONDS]


def test_a_plan_grows_with_the_waits_and_knows_what_cannot_be_asked_again(sketch: Provider) -> None:
    base = sketch.plan(request("a fox")).call_deadline_seconds
    assert sketch.plan(request("[slow 20s] [slow 1.5s]")).call_deadline_seconds == base + 21.5
    assert sketch.plan(request("[timeout]")).call_deadline_seconds == 3.0
    assert sketch.plan(request("a fox")).resume_class is ResumeClass.KEY
    assert sketch.plan(request("[unknown]")).resume_class is ResumeClass.NONE


def test_the_operator_may_set_the_call_deadline() -> None:
    assert provider(ProviderConfig(timeout_seconds=12.5)).plan(request("a fox")).call_deadline_seconds == 12.5


RAISING = [word for word in FAULT_WORDS if word.error is not None and word.detail]


@pytest.mark.parametrize("word", RAISING, ids=lambda word: word.shown)
async def test_a_word_that_raises_raises_its_error_and_names_itself(sketch: Provider, word: FaultWord) -> None:
    with pytest.raises(ProviderError) as caught:
        await sketch.submit(call(f"a fox {word.shown}", deadline_seconds=0.02))
    assert type(caught.value) is word.error
    assert word.shown in caught.value.detail


async def test_words_act_in_the_order_in_which_they_stand(sketch: Provider) -> None:
    with pytest.raises(ProviderOverloaded):
        await sketch.submit(call("[503] [unknown]"))
    with pytest.raises(OutcomeUnknown):
        await sketch.submit(call("[slow 0.01s] [unknown] [503] [corrupt]"))


async def test_a_slow_answer_takes_its_time_and_is_the_same_picture(sketch: Provider) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    slow = await answer(sketch, "a fox [slow 0.2s]")
    assert loop.time() - began >= 0.2
    assert slow == await answer(sketch, "a fox")


async def test_an_hour_of_throttling_outlives_the_default_deadline(sketch: Provider) -> None:
    with pytest.raises(ProviderThrottled) as caught:
        await sketch.submit(call("[429]"))
    assert caught.value.retry_after_seconds == 3600


async def test_a_throttled_job_comes_back_under_a_new_key_and_gets_its_picture(sketch: Provider) -> None:
    with pytest.raises(ProviderThrottled) as caught:
        await sketch.submit(call("a fox [429 0.05s]", key="attempt 1"))
    assert caught.value.retry_after_seconds is not None
    await asyncio.sleep(caught.value.retry_after_seconds + 0.01)
    assert await answer(sketch, "a fox [429 0.05s]", key="attempt 2") == await answer(sketch, "a fox")


ASKED = ("a fox [429 5s]", None, 96, 64)


def test_as_many_come_in_as_were_sent_away_then_it_starts_anew() -> None:
    snoozes = Snoozes()
    assert snoozes.remaining(ASKED, 5, now=100) == 5
    assert snoozes.remaining(ASKED, 5, now=102) == 3
    assert snoozes.remaining(ASKED, 5, now=105) == 0
    assert snoozes.remaining(ASKED, 5, now=106) == 0
    assert snoozes.remaining(ASKED, 5, now=107) == 5


def test_a_wait_that_nobody_came_back_for_is_forgotten() -> None:
    snoozes = Snoozes()
    snoozes.remaining(ASKED, 5, now=0)
    assert snoozes.remaining(ASKED, 5, now=10_000) == 5
    for number in range(5_000):
        snoozes.remaining((str(number), None, 64, 64), 5, now=10_000)
    assert len(snoozes._waits) <= 1024


def test_no_wait_at_all_lets_in_at_once() -> None:
    assert Snoozes().remaining(ASKED, 0, now=3) == 0


async def test_a_cut_off_picture_looks_like_one_until_it_is_decoded(sketch: Provider) -> None:
    broken = await answer(sketch, "a fox [corrupt]")
    assert broken.media_type == "image/png"
    image = Image.open(io.BytesIO(broken.data))
    with pytest.raises(OSError, match="truncated"):
        image.load()


async def test_a_web_page_comes_as_a_picture(sketch: Provider) -> None:
    page = await answer(sketch, "a fox [html]")
    assert page.media_type == "image/png"
    assert page.data.startswith(b"<!doctype html")


async def test_the_bomb_is_small_and_whole_and_huge(sketch: Provider) -> None:
    bomb = await answer(sketch, "a fox [bomb]")
    assert len(bomb.data) < 200_000
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(bomb.data))
    start = bomb.data.index(b"IDAT") + 4
    rows = zlib.decompress(bomb.data[start : bomb.data.rindex(b"IEND") - 8])
    assert len(rows) == 20_000 * (1 + 2_500)


async def test_only_the_storage_word_marks_the_picture(sketch: Provider) -> None:
    marked = await answer(sketch, "a fox [storage]")
    Image.open(io.BytesIO(marked.data)).load()
    assert 0 <= marked.data.find(STORAGE_FAULT_MARKER) < 200
    plain = await answer(sketch, "a fox imagejobs-fault\0storage")
    assert STORAGE_FAULT_MARKER not in plain.data


UNUSABLE = [(word.shown, word.error) for word in FAULT_WORDS if word.error and issubclass(word.error, AnswerUnusable)]


async def test_the_decoder_finds_in_each_spoiled_answer_what_the_page_says(sketch: Provider) -> None:
    assert len(UNUSABLE) == 3
    decoder = Decoder()
    try:
        for shown, error in UNUSABLE:
            spoiled = await answer(sketch, f"a fox {shown}")
            with pytest.raises(error):
                await decoder.inspect(spoiled.data)
        sound = await decoder.inspect((await answer(sketch, "a fox [storage]")).data)
    finally:
        await decoder.stop()
    assert (sound.media_type, sound.width, sound.height) == ("image/png", 96, 64)


async def test_the_storage_refuses_the_marked_picture(sketch: Provider, tmp_path: Path) -> None:
    storage = RehearsalStorage(FilesystemStorage(tmp_path, "https://pictures.example"))
    await storage.put("plain.png", (await answer(sketch, "a fox")).data, "image/png")
    with pytest.raises(StorageUnavailable):
        await storage.put("marked.png", (await answer(sketch, "a fox [storage]")).data, "image/png")


def test_the_page_counts_the_spoiling_words_right() -> None:
    spoiling = [word.shown for word in FAULT_WORDS if word.error is not None and not word.detail]
    assert SHOWN[-4:] == spoiling
    assert re.search(r"Of the last four", PAGE.read_text())


async def test_inputs_are_counted_below_the_picture_and_change_nothing_in_it(sketch: Provider) -> None:
    bare = request("a fox", 512, 512)
    input_picture = Picture(data=b"never looked at", media_type="image/png")
    full = replace(bare, references=(input_picture,) * 2, source_image=input_picture, mask=input_picture)
    images = []
    for asked in (bare, full):
        given_back = await sketch.submit(Call(request=asked, idempotency_key="key", deadline_seconds=5))
        assert isinstance(given_back, Answer)
        images.append(Image.open(io.BytesIO(given_back.data)))
    difference = ImageChops.difference(*images).getbbox()
    assert difference is not None
    assert difference[1] > 440
