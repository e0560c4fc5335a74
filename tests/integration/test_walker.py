"""Every route, found in the OpenAPI document, refuses a stranger in the same way for what exists and for what does not.

The same status, the same bytes (but for the ids asked for) and the same statements to the database. A route that takes a
parameter or a body that the walker cannot fill fails here: teach `theirs`, `SIMPLEST` or `text_for` about it.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2
import pytest

from imagejobs.app.caches import Memory
from imagejobs.app.keys import create_key
from imagejobs.app.news import told
from imagejobs.db.pool import Connection, Database
from imagejobs.domain.access import Scope
from imagejobs.ports import Transaction
from imagejobs.web.problems import STATUSES
from imagejobs.web.server import create_app
from tests.support.declared import DOCUMENT, require_declared
from tests.support.providers import a_png
from tests.support.tokens import as_user, tokens_by_secret
from tests.support.world import World

SCHEMAS: Mapping[str, Any] = DOCUMENT["components"]["schemas"]
THEIRS = "theirs"
HOOKS = {"response": [require_declared]}


class Watched:
    """The database, telling each statement that is sent to it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.statements: list[str] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with self._database.connection() as connection:
            with connection.query_logger(self._note):
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._database.transaction() as tx:
            with tx.query_logger(self._note):
                yield tx

    def _note(self, record: asyncpg.connection.LoggedQuery) -> None:
        self.statements.append(record.query)


@dataclass(frozen=True)
class Ids:
    """What a request names: things of another tenant, or things that nobody made."""

    project_id: str
    job_id: str
    user_id: str
    further: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> str | None:
        """The id for a parameter or a member of that name, `job_id` and `jobId` alike."""
        snake = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()
        return {"project_id": self.project_id, "job_id": self.job_id, "user_id": self.user_id, **self.further}.get(snake)

    def hidden(self, text: str) -> str:
        """The text without these ids."""
        for value in (self.project_id, self.job_id, self.user_id, *self.further.values()):
            text = text.replace(value, "ID")
        return text


async def theirs(world: World) -> Ids:
    """Another tenant's things. A new kind of thing is made here, and put into `further` under its parameter's name."""
    made = await world.generate(projectId=THEIRS)
    async with world.deps.database.transaction() as tx:
        await tx.execute("INSERT INTO imagejobs.members VALUES ($1, 'their-member', 'admin')", THEIRS)
    style = await world.client.put(f"/api/projects/{THEIRS}/styles/noir", json={"name": "Noir"})
    uploaded = await world.client.post(f"/api/images/inputs?projectId={THEIRS}", content=PICTURE, headers=PNG)
    assert (style.status_code, uploaded.status_code) == (201, 201)
    await told(world.deps)  # what comes next finds every connection at rest
    return Ids(THEIRS, made.json()["jobId"], "their-member", {"style_id": "noir", "input_id": uploaded.json()["inputId"]})


def nobodys(existing: Ids) -> Ids:
    """Ids of the same kinds, of things that do not exist."""
    return Ids("nobodys", str(uuid4()), "nobody", {name: str(uuid4()) for name in existing.further})


@dataclass(frozen=True)
class Route:
    """One operation of the document."""

    method: str
    path: str
    operation: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def routes() -> Iterator[Route]:
    """Every operation that asks who the caller is."""
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            if "security" in operation:
                yield Route(method.upper(), path, operation)


OPEN = {"GET /healthz", "GET /readyz", "GET /files/{key}"}
SIMPLEST = {"jobType": "generate"}  # where the first choice of a schema needs more than what it requires


def value_for(schema: Mapping[str, Any], ids: Ids, name: str) -> Any:
    """The least that the schema takes; where something is named that somebody may own, its id."""
    if (known := ids.of(name) or SIMPLEST.get(name)) is not None:
        return known
    if "$ref" in schema:
        return value_for(SCHEMAS[schema["$ref"].rpartition("/")[2]], ids, name)
    if "anyOf" in schema:
        return value_for(schema["anyOf"][0], ids, name)
    for given in (*schema.get("examples", ())[:1], *schema.get("enum", ())[:1]):
        return given
    if "const" in schema or "default" in schema:
        return schema.get("const", schema.get("default"))
    return by_type(schema, ids, name)


def by_type(schema: Mapping[str, Any], ids: Ids, name: str) -> Any:
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            wanted = [*schema.get("required", ()), *(one for one in properties if ids.of(one) is not None)]
            return {one: value_for(properties[one], ids, one) for one in wanted}
        case "array":
            return [value_for(schema["items"], ids, name)] * schema.get("minItems", 0)
        case "integer":
            return int(schema.get("minimum", 1))
        case "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "string":
            return text_for(schema, name)
        case other:
            raise AssertionError(f"the walker cannot fill {name}: {other} in {schema}")


PICTURE = a_png()
PNG = {"content-type": "image/png"}
FORMATS = {
    "uuid": "00000000-0000-4000-8000-00000000000a",
    "date-time": "2026-01-01T00:00:00Z",
    "uri": "https://a.test/a.png",
}


def text_for(schema: Mapping[str, Any], name: str) -> str:
    """A text that the schema takes."""
    kind = schema.get("format", "binary")
    assert "pattern" not in schema, f"the walker cannot fill {name}: {schema}; give it an example"
    assert kind in (*FORMATS, "binary"), f"the walker cannot fill {name}: format {kind}"
    least: int = schema.get("minLength", 1)
    return FORMATS.get(kind, "x" * max(1, least))


def filled(route: Route, ids: Ids) -> dict[str, Any]:
    """The request's parts, naming `ids` wherever it can."""
    path, query = route.path, {}
    for parameter in route.operation.get("parameters", ()):
        name = parameter["name"]
        known = ids.of(name)
        if parameter["in"] == "path":
            assert known is not None, f"{route}: the walker knows nothing of {{{name}}}; make one in theirs()"
            path = path.replace(f"{{{name}}}", known)
        elif parameter["in"] == "query" and (known is not None or parameter.get("required")):
            query[name] = value_for(parameter["schema"], ids, name)
    return {"method": route.method, "url": path, "params": query, **_body(route, ids)}


def _body(route: Route, ids: Ids) -> dict[str, Any]:
    content = route.operation.get("requestBody", {}).get("content", {})
    if not content:
        return {}
    media_type, described = next(iter(content.items()))
    if media_type == "application/json":
        return {"json": value_for(described["schema"], ids, "body")}
    if media_type != "multipart/form-data":
        return {"content": PICTURE, "headers": PNG}
    members = value_for(described["schema"], ids, "body")
    return {
        "files": {
            name: (None, value) if ids.of(name) else ("a.png", PICTURE, "image/png") for name, value in members.items()
        }
    }


@dataclass(frozen=True)
class Answer:
    """What a stranger can see of a request, and what the database saw."""

    status: int
    headers: Mapping[str, str]
    text: str
    statements: tuple[str, ...]


@dataclass
class Street:
    """A served instance with another tenant's things in it, and its strangers."""

    watched: Watched
    client: httpx2.AsyncClient
    theirs: Ids
    nobodys: Ids
    strangers: Mapping[str, Mapping[str, str]]

    async def ask(self, route: Route, ids: Ids, headers: Mapping[str, str]) -> Answer:
        request = filled(route, ids)
        self.watched.statements.clear()
        answer = await self.client.request(**{**request, "headers": {**request.get("headers", {}), **headers}})
        shown = {name: ids.hidden(value) for name, value in answer.headers.items() if name not in ("date", "content-length")}
        return Answer(answer.status_code, shown, ids.hidden(answer.text), tuple(self.watched.statements))


@pytest.fixture
async def street(world: World) -> AsyncIterator[Street]:
    watched = Watched(world.deps.database)
    query = "SELECT user_id::text FROM imagejobs.members WHERE project_id = $1 AND false"
    policy = replace(world.deps.policy, ownership_query=query)
    database: Any = watched  # all of it that use cases call
    # Nothing that was learnt is forgotten between two requests that are compared.
    deps = replace(world.deps, database=database, policy=policy, keys=Memory(600.0), refusals=Memory(600.0))
    strangers = {"nobody at all": {}, "a user without a role": as_user("a-stranger")}
    for scopes in ((Scope.READ, Scope.WRITE), (Scope.ADMIN,)):
        key = await create_key(world.deps.database, "stranger", scopes=scopes, project_ids=("mine",))
        strangers[f"a key of another project with {scopes}"] = {"authorization": f"Bearer {key}"}
    async with world.deps.database.transaction() as tx:
        await tx.execute("INSERT INTO imagejobs.members VALUES ('mine', 'a-member', 'admin')")
    strangers["an admin of another project"] = as_user("a-member")
    transport = httpx2.ASGITransport(create_app(deps, tokens=tokens_by_secret()), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x.test", event_hooks=HOOKS) as client:
        existing = await theirs(world)
        yield Street(watched, client, existing, nobodys(existing), strangers)


@pytest.mark.parametrize("route", list(routes()), ids=str)
async def test_a12_a_stranger_cannot_tell_what_exists_from_what_does_not(street: Street, route: Route) -> None:
    for name, headers in street.strangers.items():
        await street.client.get("/api/images/jobs", headers=dict(headers))  # the first request proves the key
        for _ in ("at first", "and with whatever is remembered then"):
            absent = await street.ask(route, street.nobodys, headers)
            present = await street.ask(route, street.theirs, headers)
            assert present == absent, f"{name} can tell"
        if not headers:
            assert (present.status, present.statements) == (401, ()), name
        elif "{" in route.path or route.method != "GET":
            assert present.status == 404, (name, present.text)
        else:
            assert present.status == 200, (name, present.text)
            assert THEIRS not in present.text.replace("ID", "")


async def test_a12_a_viewer_and_a_key_that_reads_change_nothing_and_a_key_that_writes_reads_nothing(world: World) -> None:
    """Each request is one that its owner may make; see below."""
    existing = await theirs(world)
    async with world.deps.database.transaction() as tx:
        await tx.execute("INSERT INTO imagejobs.members VALUES ($1, 'a-viewer', 'viewer')", THEIRS)
    keys = [
        await create_key(world.deps.database, "k", scopes=(one,), project_ids=(THEIRS,)) for one in (Scope.READ, Scope.WRITE)
    ]
    reading, writing = [{"authorization": f"Bearer {key}"} for key in keys]
    for route in routes():
        callers = [writing] if route.method == "GET" else [as_user("a-viewer"), reading]
        for headers in callers:
            request = filled(route, existing)
            answer = await world.client.request(**{**request, "headers": {**request.get("headers", {}), **headers}})
            assert (answer.status_code, answer.json()["reason"]) == (403, "permission_denied"), (route, headers)


async def test_a12_what_is_not_theirs_is_untouched_after_all_of_that(world: World, street: Street) -> None:
    async def everything() -> list[Any]:
        return [
            await world.scalar(f"SELECT array_agg(t::text ORDER BY t::text) {table} AS t WHERE project_id = $1", THEIRS)
            for table in (
                "FROM public.image_generation_jobs",
                "FROM imagejobs.members",
                "FROM imagejobs.events",
                "FROM imagejobs.ledger_entries",
            )
        ]

    before = await everything()
    projects = await world.scalar("SELECT array_agg(id ORDER BY id) FROM imagejobs.projects")
    for route in routes():
        for headers in street.strangers.values():
            for ids in (street.theirs, street.nobodys):
                await street.ask(route, ids, headers)
    assert await everything() == before
    assert await world.scalar("SELECT array_agg(id ORDER BY id) FROM imagejobs.projects") == projects


def test_a12_each_route_asks_who_the_caller_is_or_is_known_to_be_open() -> None:
    asking = {str(route) for route in routes()}
    every = {f"{method.upper()} {path}" for path, operations in DOCUMENT["paths"].items() for method in operations}
    assert every - asking <= OPEN


@pytest.mark.parametrize("route", list(routes()), ids=str)
async def test_a12_each_request_of_the_walker_is_one_that_its_owner_may_make(world: World, route: Route) -> None:
    """Else a stranger's 404 would prove nothing: a body that is refused unread looks the same for all."""
    key = await create_key(world.deps.database, "owner", scopes=(Scope.ADMIN,), project_ids=(THEIRS,))
    request = filled(route, await theirs(world))
    headers = {**request.get("headers", {}), "authorization": f"Bearer {key}"}
    if "text/event-stream" in str(route.operation["responses"]):
        return  # it does not end while the job is open
    answer = await world.client.request(**{**request, "headers": headers})
    assert answer.status_code in (200, 201, 202, 204, 409), answer.text


def test_a16_the_document_declares_every_status_of_a_problem_and_none_that_the_framework_made_up() -> None:
    operations = [one for by_method in DOCUMENT["paths"].values() for one in by_method.values()]
    answers = [answer for one in operations for answer in one["responses"].items()]
    declared = {int(status) for status, answer in answers if "application/problem+json" in answer.get("content", {})}
    assert declared == {*STATUSES.values()} - {405}  # an address that does not take a method has no operation for it
    assert "HTTPValidationError" not in str(DOCUMENT)
    for route in routes():
        assert {"401", "403", "429", "500", "503"} <= route.operation["responses"].keys(), route
