"""What is at an address: each id that can be made and nothing else, and every method that it takes."""

from collections.abc import Mapping
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest

from imagejobs.app.keys import create_key
from imagejobs.domain.access import Scope
from tests.integration.test_walker import OPEN
from tests.support.declared import DOCUMENT
from tests.support.serving import serving
from tests.support.tokens import as_user
from tests.support.world import World

pytestmark = pytest.mark.database

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
WITH_HEAD = {path for path in DOCUMENT["paths"] if f"GET {path}" in OPEN}
ODD_IDS = [
    *("fi/lm", "a%2Fb", "%2F", "/", "//", "50%", "100%25", "what?", "a#b", "..", ".", "../images/jobs", "%2E%2E", "a\\b"),
    *("a b", " ", "+", "a+b", "\U0001f98a", "e\u0301", "\u202egnp", "a\nb", "film/members", "film/members/u", "film/styles"),
    *("film/styles/noir", "x" * 200, "\U0001f98a/" * 100, "{project_id}", "a;b=c", "~!$&'()*,:@", "a%00b"),
]


def at(project_id: str, *below: str) -> str:
    """The address of a project, or of what is below it, each id encoded whole, `..` too: clients drop dots."""
    parts = [quote(part, safe="") for part in (project_id, *below)]
    return "/".join(["/api/projects", *(part.replace(".", "%2E") if part in (".", "..") else part for part in parts)])


@pytest.mark.parametrize("path", DOCUMENT["paths"])
async def test_a16_every_method_that_an_address_takes_is_named_to_those_who_send_another(world: World, path: str) -> None:
    allowed = [
        method
        for method in METHODS
        if method.lower() in DOCUMENT["paths"][path] or (method, path in WITH_HEAD) == ("HEAD", True)
    ]
    for method in {*METHODS, "TRACE", "PROPFIND"} - {*allowed}:
        answer = await world.client.request(method, path.replace("{", "").replace("}", ""))
        assert (answer.status_code, answer.headers["allow"]) == (405, ", ".join(allowed)), method
        if method != "HEAD":
            detail = f"This address does not take {method}; it takes {', '.join(allowed)}."
            assert answer.json()["detail"] == detail


async def test_a_load_balancer_may_ask_how_it_is_with_head(world: World) -> None:
    async with serving(world.deps, world.client.headers) as api:
        for path in ("/healthz", "/readyz"):
            whole, head = [await api.client.request(method, path) for method in ("GET", "HEAD")]
            assert (head.status_code, head.content) == (200, b"")
            assert {**head.headers, "date": ""} == {**whole.headers, "date": ""}


async def test_a1_every_project_that_a_picture_can_make_is_reached_and_no_other_by_its_id(world: World) -> None:
    """Ids are opaque: made in a body, they are found at their address, percent-encoded, down to members and styles."""
    admin = {"authorization": f"Bearer {await create_key(world.deps.database, 'a', scopes=(Scope.ADMIN,))}"}
    await world.generate(projectId="film")
    for below, body in ((("members", "u"), {"role": "viewer"}), (("styles", "noir"), {"name": "Noir"})):
        assert (await world.client.put(at("film", *below), json=body, headers=admin)).is_success
    for odd in ODD_IDS:
        assert (await world.client.get(at(odd))).status_code == 404, odd
        assert (await world.generate(projectId=odd)).status_code == 202, odd
        await require_reached(world, odd, admin)
    for odd in ODD_IDS:
        found = (await world.client.get(at(odd), headers=admin)).json()
        assert (found["projectId"], found["name"]) == (odd, odd[::-1])
        assert (await world.client.delete(at(odd, "styles", odd), headers=admin)).status_code == 204
        assert (await world.client.delete(at(odd, "members", odd), headers=admin)).status_code == 204
        for kind in ("styles", "members"):
            assert (await world.client.get(at(odd, kind), headers=admin)).json()[kind] == []
    assert len((await world.client.get(at("film", "members"), headers=admin)).json()["members"]) == 1


async def require_reached(world: World, odd: str, admin: Mapping[str, str]) -> None:
    """The project of that id, its style and its member of the same id can be written and read."""

    async def said(method: str, *below: str, body: Any = None) -> Any:
        answer = await world.client.request(method, at(odd, *below), json=body, headers=dict(admin))
        assert answer.is_success, (odd, method, below, answer.text)
        return answer.json() if answer.content else None

    assert (await said("PUT", body={"name": odd[::-1]}))["projectId"] == odd
    assert (await said("PUT", "styles", odd, body={"name": "Noir"}))["styleId"] == odd
    assert [style["styleId"] for style in (await said("GET", "styles"))["styles"]] == [odd]
    await said("PUT", "members", odd, body={"role": "viewer"})
    assert [member["userId"] for member in (await said("GET", "members"))["members"]] == [odd]


async def test_a12_an_odd_id_tells_a_stranger_nothing_and_leads_nowhere_else(world: World) -> None:
    key = await create_key(world.deps.database, "s", scopes=(Scope.ADMIN,), project_ids=("mine",))
    strangers = [{"authorization": f"Bearer {key}"}, as_user("a-stranger")]
    await world.generate(projectId="film")
    asked = list(product(ODD_IDS, ((), ("members",), ("styles",), ("styles", "noir")), strangers))

    async def answers() -> list[tuple[int, str, list[str]]]:
        said = [await world.client.get(at(odd, *below), headers=headers) for odd, below, headers in asked]
        return [(answer.status_code, answer.json()["detail"], sorted(answer.headers)) for answer in said]

    before = await answers()
    for odd in ODD_IDS:
        assert (await world.client.put(at(odd, "styles", "noir"), json={"name": "Noir"})).status_code == 201
    assert await answers() == before
    assert {status for status, _, _ in before} == {404}


@pytest.mark.parametrize(
    "path", ["/api/projects%2Ffilm", "/api%2Fprojects/film", "/api/projects/film%2Fmembers", "/api/projects/film/"]
)
async def test_a_slash_that_is_part_of_an_id_separates_nothing(world: World, path: str) -> None:
    await world.generate(projectId="film")
    assert (await world.client.get(path)).status_code == 404
    assert (await world.client.get("/api/%70rojects/%66ilm")).json()["projectId"] == "film"


async def test_a_project_with_a_slash_is_reached_over_the_wire_too(world: World) -> None:
    await world.generate(projectId="fi/lm")
    async with serving(world.deps, world.client.headers) as api:
        assert (await api.client.get("/api/projects/fi%2flm")).json()["projectId"] == "fi/lm"
        assert (await api.client.get("/api/projects/fi/lm")).status_code == 404
