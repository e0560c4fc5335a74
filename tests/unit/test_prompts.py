"""The words for the provider: the caller's own stay whole, everything else follows from the request alone."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from imagejobs.domain.jobs import JobType
from imagejobs.domain.prompts import ASSET_SHAPES, JOB_WORDS, asset_shape, compose, style_words
from imagejobs.domain.requests import PictureSource, Reference, ReferenceRole
from imagejobs.domain.styles import (
    MAX_DESCRIPTOR,
    MAX_DESCRIPTORS,
    MAX_NAME,
    MAX_PILLAR,
    MAX_PILLARS,
    MAX_STYLE_PICTURES,
    Style,
)
from tests.support.values import NOW, a_request

IDENTITY, STYLE = ReferenceRole.IDENTITY, ReferenceRole.STYLE
OUTSIDE_FILM = (JobType.GENERATE, JobType.EDIT)
MOST_OF_OURS = 1_200
SOURCE = PictureSource(job_id="j")


def references(*roles: ReferenceRole) -> tuple[Reference, ...]:
    return tuple(Reference(source=PictureSource(input_id=str(place)), role=role) for place, role in enumerate(roles))


def a_style(**changes: Any) -> Style:
    noir = {"id": "noir", "name": "Noir", "descriptors": ("high contrast", "wet asphalt"), "pillars": ("hard light",)}
    return Style(**{**noir, "inputs": (), "created_at": NOW, "updated_at": NOW, **changes})


styles = st.builds(
    a_style,
    name=st.text(min_size=1, max_size=MAX_NAME),
    descriptors=st.lists(st.text(min_size=1, max_size=MAX_DESCRIPTOR), max_size=MAX_DESCRIPTORS).map(tuple),
    pillars=st.lists(st.text(min_size=1, max_size=MAX_PILLAR), max_size=MAX_PILLARS).map(tuple),
)
words = st.none() | st.text(min_size=1, max_size=200)
requests = st.builds(
    a_request,
    job_type=st.sampled_from(JobType),
    prompt=st.text(min_size=1),
    asset_type=st.none() | st.sampled_from([*ASSET_SHAPES, "Character"]) | st.text(min_size=1, max_size=200),
    manual_visual_tone=words,
    mask_description=words,
    negative_prompt=words,
    source_image=st.sampled_from([None, SOURCE]),
    references=st.lists(st.sampled_from(ReferenceRole), max_size=16 + MAX_STYLE_PICTURES).map(
        lambda roles: references(*roles)
    ),
)


@given(request=requests, style=st.none() | styles)
def test_f4_the_callers_words_stay_whole_and_what_is_added_is_bounded(request: Any, style: Style | None) -> None:
    composed = compose(request, style)
    assert composed == compose(request, style)
    given_words = [request.prompt, request.manual_visual_tone, request.mask_description, style and style_words(style)]
    assert composed.startswith(request.prompt)
    assert all(said in composed for said in given_words if said)
    assert len(composed) <= sum(len(said) for said in given_words if said) + MOST_OF_OURS


@given(request=requests)
def test_a4_outside_film_a_prompt_goes_as_it_is(request: Any) -> None:
    plain = a_request(
        job_type=request.job_type,
        prompt=request.prompt,
        asset_type=request.asset_type,
        source_image=request.source_image,
        references=references(*(IDENTITY for _ in request.references)),
    )
    assert (compose(plain, None) == plain.prompt) == (plain.job_type in OUTSIDE_FILM)


def test_a4_every_type_of_job_of_film_has_words_of_its_own() -> None:
    assert set(JOB_WORDS) == set(JobType) - set(OUTSIDE_FILM)
    assert len(set(JOB_WORDS.values())) == len(JOB_WORDS)


def test_f4_identity_and_style_are_told_apart_by_place_those_for_identity_first() -> None:
    request = a_request(references=references(STYLE, IDENTITY, IDENTITY, STYLE, STYLE))
    assert compose(request, None).removeprefix(request.prompt) == (
        "\n\nReference pictures 1 and 2 show who and what must stay the same. Reference pictures 3, 4 and 5 show only the "
        "look to follow: nothing of what is seen in them belongs in the picture."
    )
    alone = a_request(job_type=JobType.START_FRAME, references=references(IDENTITY), source_image=SOURCE)
    assert compose(alone, None).endswith(
        "\n\nReference picture 1 shows who or what must stay the same. The last picture given is the one to start from."
    )
    only = a_request(job_type=JobType.INPAINT, source_image=SOURCE)
    assert compose(only, None).endswith("\n\nThe picture given is the one to start from.")


def test_f4_a_style_its_tone_and_the_region_are_said_in_full() -> None:
    request = a_request(
        job_type=JobType.INPAINT, prompt="a straw hat", mask_description="the hat", manual_visual_tone="calm"
    )
    assert compose(request, a_style()).split("\n\n") == [
        "a straw hat",
        JOB_WORDS[JobType.INPAINT],
        "The region to change: the hat",
        "Style: Noir\nhigh contrast, wet asphalt\nAlways:\n- hard light",
        "Tone: calm",
    ]
    assert style_words(a_style(descriptors=(), pillars=())) == "Style: Noir"


@pytest.mark.parametrize("asset_type", ["character", "Prop", "LOCATION"])
def test_an_asset_is_shaped_by_its_type_whatever_its_case_and_only_where_it_is_the_subject(asset_type: str) -> None:
    shape = ASSET_SHAPES[asset_type.lower()]
    assert shape.words in compose(a_request(job_type=JobType.MASTER_ASSET, asset_type=asset_type), None)
    for job_type in (*OUTSIDE_FILM, JobType.START_FRAME, JobType.END_FRAME, JobType.INPAINT):
        assert asset_shape(job_type, asset_type) is None
    assert ("clean, plain, light background" in shape.words) == (asset_type != "LOCATION")


def test_a_type_of_the_callers_own_adds_nothing() -> None:
    for asset_type in ("vehicle", "", "characters", None):
        assert asset_shape(JobType.MASTER_ASSET, asset_type) is None
