"""Who may do what: the table of `domain/access.py`, role by role and key by key, over HTTP; projects, members, ownership."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from imagejobs.app.keys import create_key
from imagejobs.app.users import CONFIRMED_SECONDS, require_usable
from imagejobs.domain.access import Caller, Operation, Role, Scope, user_caller
from imagejobs.errors import ConfigurationError, PermissionDenied
from imagejobs.web.server import create_app
from tests.support.tokens import as_user, claims, secret_token, tokens_by_secret
from tests.support.world import World

ROLES = list(Role)
JOB = {"projectId": "film", "jobType": "generate", "prompt": "a red fox", "width": 64, "height": 64}
# What each operation looks like over HTTP, and the status of an allowed one; a job that is not failed cannot be retried.
REQUESTS: dict[Operation, tuple[str, str, Any, int]] = {
    Operation.READ_JOB: ("GET", "/api/images/jobs/{job}", None, 200),
    Operation.LIST_JOBS: ("GET", "/api/images/jobs?projectId=film", None, 200),
    Operation.CREATE_JOB: ("POST", "/api/images/generate", JOB, 202),
    Operation.RETRY_JOB: ("POST", "/api/images/jobs/{job}/retry", None, 409),
    Operation.RESOLVE_JOB: ("POST", "/api/images/jobs/{job}/resolve", {"billed": True}, 409),
    Operation.CHANGE_JOB: ("PATCH", "/api/images/jobs/{job}", {"priority": 1}, 200),
    Operation.READ_STYLES: ("GET", "/api/projects/film/styles", None, 200),
    Operation.WRITE_STYLES: ("PUT", "/api/projects/film/styles/noir", {"name": "Noir"}, 200),
    Operation.READ_PROJECT: ("GET", "/api/projects/film", None, 200),
    Operation.WRITE_PROJECT: ("PUT", "/api/projects/film", {"name": "The film"}, 200),
    Operation.MEMBERS: ("GET", "/api/projects/film/members", None, 200),
}


async def ask(world: World, operation: Operation, job_id: str, headers: dict[str, str]) -> httpx2.Response:
    method, path, body, _ = REQUESTS[operation]
    return await world.client.request(method, path.format(job=job_id), json=body, headers=headers)


async def make_member(world: World, user_id: str, role: Role, project_id: str = "film") -> dict[str, str]:
    async with world.deps.database.transaction() as tx:
        await tx.execute("INSERT INTO imagejobs.members VALUES ($1, $2, $3)", project_id, user_id, role.value)
    return as_user(user_id)


async def key_of(world: World, *scopes: Scope, projects: tuple[str, ...] = ()) -> dict[str, str]:
    key = await create_key(world.deps.database, "test", scopes=scopes, project_ids=projects)
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize("operation", Operation, ids=lambda one: one.name)
@pytest.mark.parametrize("role", Role)
def test_a12_a_role_allows_what_the_table_says(operation: Operation, role: Role) -> None:
    user = user_caller("u", {"film": role})
    if ROLES.index(role) >= ROLES.index(operation.role):
        user.require_project("film", operation)
    else:
        with pytest.raises(PermissionDenied, match=operation.role.value):
            user.require_project("film", operation)


@pytest.mark.parametrize("operation", Operation, ids=lambda one: one.name)
@pytest.mark.parametrize("scope", Scope)
def test_a12_a_scope_allows_what_the_table_says(operation: Operation, scope: Scope) -> None:
    key = Caller(name="k", key_id="k", scopes=frozenset({scope}), project_ids=frozenset({"film"}))
    if scope in (Scope.ADMIN, operation.scope):
        key.require_project("film", operation)
    else:
        with pytest.raises(PermissionDenied, match=operation.scope.value):
            key.require_project("film", operation)


async def test_a12_each_route_asks_the_table_for_users_and_for_keys(world: World) -> None:
    job_id = (await world.generate()).json()["jobId"]
    assert (await world.client.put("/api/projects/film/styles/noir", json={"name": "Noir"})).status_code == 201
    callers = [(role, await make_member(world, f"user-{role.value}", role)) for role in ROLES]
    for operation, (_, _, _, allowed) in REQUESTS.items():
        for role, headers in callers:
            answer = await ask(world, operation, job_id, headers)
            expected = allowed if ROLES.index(role) >= ROLES.index(operation.role) else 403
            assert answer.status_code == expected, (operation, role, answer.text)
        for scope in (Scope.READ, Scope.WRITE, Scope.ADMIN):
            answer = await ask(world, operation, job_id, await key_of(world, scope, projects=("film",)))
            assert answer.status_code == (allowed if scope in (operation.scope, Scope.ADMIN) else 403), (operation, scope)


async def test_a12_a_user_sees_their_projects_only_in_a_list(world: World) -> None:
    await world.generate()
    await world.generate(projectId="other")
    viewer = await make_member(world, "viewer", Role.VIEWER)
    for query, projects in (
        ("", ["film"]),
        ("?projectId=film", ["film"]),
        ("?projectId=other", []),
        ("?projectId=none", []),
    ):
        answer = await world.client.get(f"/api/images/jobs{query}", headers=viewer)
        assert len(answer.json()["jobs"]) == len(projects), query
    assert (await world.client.get("/api/images/jobs", headers=as_user("nobody"))).json()["jobs"] == []


async def test_a12_users_never_make_projects(world: World) -> None:
    answer = await world.client.post("/api/images/generate", json=JOB, headers=as_user("somebody"))
    assert answer.status_code == 404
    assert await world.scalar("SELECT count(*) FROM imagejobs.projects") == 0
    put = await world.client.put("/api/projects/film", json={}, headers=as_user("somebody"))
    assert put.status_code == 404


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (secret_token(claims(exp=1)), "token_expired"),
        (secret_token(claims(aud="other")), "token_refused"),
        ("a.b.c", "token_refused"),
        ("." * 100_000, "token_refused"),
        ("ij_nonsense", "unauthenticated"),
    ],
)
async def test_a16_a_bad_token_is_401_with_its_reason_and_none_of_its_words(world: World, token: str, reason: str) -> None:
    answer = await world.client.get("/api/images/jobs", headers={"authorization": f"Bearer {token}"})
    body = answer.json()
    assert (answer.status_code, body["reason"], body["code"]) == (401, reason, "AUTH_ERROR")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert token not in answer.text


async def test_without_supabase_a_token_says_that_it_cannot_be_proven(world: World) -> None:
    transport = httpx2.ASGITransport(create_app(world.deps))
    async with httpx2.AsyncClient(transport=transport, base_url="http://x.test") as client:
        answer = await client.get("/api/images/jobs", headers=as_user("somebody"))
    assert (answer.status_code, "token_not_configured" in answer.text) == (401, True)


# Projects and members


async def test_a14_an_admin_key_makes_a_project_names_it_and_gives_it_members(world: World) -> None:
    admin = await key_of(world, Scope.ADMIN)
    put = world.client.put
    first = await put("/api/projects/film", json={"name": "The film", "onUnknownOutcome": "retry_once"}, headers=admin)
    again = await put("/api/projects/film", json={"name": "The film", "onUnknownOutcome": "retry_once"}, headers=admin)
    assert (first.status_code, again.status_code, first.json()) == (201, 200, again.json())
    assert first.json()["onUnknownOutcome"] == "retry_once"
    bare = await put("/api/projects/film", json={}, headers=admin)
    assert (bare.json()["name"], bare.json()["onUnknownOutcome"]) == (None, "fail")
    for role in ("viewer", "editor", "editor"):
        answer = await put("/api/projects/film/members/u-1", json={"role": role}, headers=admin)
        assert (answer.status_code, answer.content) == (204, b"")
    members = (await world.client.get("/api/projects/film/members", headers=admin)).json()["members"]
    assert [(one["userId"], one["role"], one["source"]) for one in members] == [("u-1", "editor", "members")]
    made = await world.client.post("/api/images/generate", json=JOB, headers=as_user("u-1"))
    assert made.status_code == 202
    job = await world.job(made.json()["jobId"])
    assert await world.scalar("SELECT created_by FROM image_generation_jobs WHERE id = $1", job.id) == "user:u-1"
    assert (await world.client.delete("/api/projects/film/members/u-1", headers=admin)).status_code == 204
    assert (await world.client.delete("/api/projects/film/members/u-1", headers=admin)).status_code == 404
    gone = await world.client.get(f"/api/images/jobs/{job.id}", headers=as_user("u-1"))
    assert gone.status_code == 404, "a removed member is out at once"


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PUT", "/api/projects/film", {"onUnknownOutcome": "maybe"}, "onUnknownOutcome"),
        ("PUT", "/api/projects/film", {"name": ""}, "name"),
        ("PUT", "/api/projects/film", {"name": "a\0b"}, "name"),
        ("PUT", "/api/projects/film", {"colour": "red"}, "colour"),
        ("PUT", f"/api/projects/{'x' * 201}", {}, "project_id"),
        ("PUT", "/api/projects/a%00b", {}, "project_id"),
        ("PUT", "/api/projects/film/members/u", {"role": "owner"}, "role"),
        ("PUT", "/api/projects/film/members/u", {}, "role"),
        ("PUT", f"/api/projects/film/members/{'x' * 201}", {"role": "viewer"}, "user_id"),
        ("DELETE", "/api/projects/film/members/a%00b", None, "user_id"),
    ],
)
async def test_a14_bad_projects_and_members_are_named_and_nothing_is_written(
    world: World, method: str, path: str, body: Any, field: str
) -> None:
    answer = await world.client.request(method, path, json=body, headers=await key_of(world, Scope.ADMIN))
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert await world.scalar("SELECT count(*) FROM imagejobs.projects") == 0


async def test_a14_there_are_no_members_of_a_project_that_nobody_made(world: World) -> None:
    admin = await key_of(world, Scope.ADMIN)
    for method, path, body in [
        ("GET", "/api/projects/none", None),
        ("GET", "/api/projects/none/members", None),
        ("PUT", "/api/projects/none/members/u", {"role": "viewer"}),
        ("DELETE", "/api/projects/none/members/u", None),
    ]:
        answer = await world.client.request(method, path, json=body, headers=admin)
        assert answer.status_code == 404, path


# The ownership query

OWNER, STRANGER = "2d1c7e54-9a3b-4f60-8b1e-c0ffee000001", "2d1c7e54-9a3b-4f60-8b1e-c0ffee000002"
THEIRS, NOBODYS = "7fb0d6a2-41c8-4e95-a2d7-c0ffee000003", "7fb0d6a2-41c8-4e95-a2d7-c0ffee000004"


@pytest.fixture
async def owned(world: World, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[httpx2.Response]]]:
    """The world with tables of the application, and an API that asks them."""
    del tmp_path
    async with world.deps.database.transaction() as tx:
        await tx.execute("CREATE SCHEMA app")
        await tx.execute("CREATE TABLE app.projects (id uuid PRIMARY KEY, user_id uuid NOT NULL)")
        await tx.execute("INSERT INTO app.projects VALUES ($1::text::uuid, $2::text::uuid)", THEIRS, OWNER)
    query = "SELECT user_id FROM app.projects WHERE id = $1"
    deps = replace(world.deps, policy=replace(world.deps.policy, ownership_query=query))
    transport = httpx2.ASGITransport(create_app(deps, tokens=tokens_by_secret()), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x.test") as client:

        async def send(user_id: str, method: str, path: str, body: Any = None) -> httpx2.Response:
            return await client.request(method, path, json=body, headers=as_user(user_id))

        yield send


async def test_a12_a_project_of_the_applications_tables_is_made_by_its_owners_first_picture(
    world: World, owned: Any
) -> None:
    made = await owned(OWNER, "POST", "/api/images/generate", {**JOB, "projectId": THEIRS})
    assert made.status_code == 202, made.text
    read = await owned(OWNER, "GET", f"/api/images/jobs/{made.json()['jobId']}")
    assert read.status_code == 200
    assert len((await owned(OWNER, "GET", "/api/images/jobs")).json()["jobs"]) == 1
    members = (await owned(OWNER, "GET", f"/api/projects/{THEIRS}/members")).json()["members"]
    assert [(one["userId"], one["role"], one["source"]) for one in members] == [(OWNER, "admin", "ownership_query")]
    for path in (f"/api/images/jobs/{made.json()['jobId']}", f"/api/projects/{THEIRS}"):
        assert (await owned(STRANGER, "GET", path)).status_code == 404
    assert (await owned(STRANGER, "POST", "/api/images/generate", {**JOB, "projectId": THEIRS})).status_code == 404
    assert await world.scalar("SELECT count(*) FROM imagejobs.projects") == 1


@pytest.mark.parametrize("path", ["/api/images/jobs?projectId={}", "/api/projects/{}"])
async def test_a12_naming_the_project_is_enough_to_be_let_in(world: World, owned: Any, path: str) -> None:
    await world.generate(projectId=THEIRS)
    assert (await owned(OWNER, "GET", path.format(THEIRS))).status_code == 200
    assert len((await owned(OWNER, "GET", "/api/images/jobs")).json()["jobs"]) == 1


@pytest.mark.parametrize("project_id", ["film", "x' OR true --", NOBODYS, THEIRS.upper(), f"{{{THEIRS}}}", " ", "é" * 200])
async def test_a12_an_id_that_is_none_of_the_tables_is_nobodys(world: World, owned: Any, project_id: str) -> None:
    answer = await owned(OWNER, "POST", "/api/images/generate", {**JOB, "projectId": project_id})
    assert answer.status_code == 404
    assert await world.scalar("SELECT count(*) FROM imagejobs.projects") == 0


async def test_a12_who_is_the_owner_no_more_is_out_within_a_minute(world: World, owned: Any) -> None:
    job_id = (await owned(OWNER, "POST", "/api/images/generate", {**JOB, "projectId": THEIRS})).json()["jobId"]
    async with world.deps.database.transaction() as tx:
        await tx.execute("UPDATE app.projects SET user_id = $1::text::uuid", STRANGER)
        await tx.execute("UPDATE imagejobs.members SET confirmed_at = now() - make_interval(secs => $1)", CONFIRMED_SECONDS)
    assert (await owned(OWNER, "GET", f"/api/images/jobs/{job_id}")).status_code == 404
    assert await world.scalar("SELECT count(*) FROM imagejobs.members") == 0
    assert (await owned(STRANGER, "GET", f"/api/projects/{THEIRS}")).status_code == 200
    assert (await owned(STRANGER, "GET", f"/api/images/jobs/{job_id}")).status_code == 200


async def test_a12_an_owner_is_confirmed_again_and_stays(world: World, owned: Any) -> None:
    job_id = (await owned(OWNER, "POST", "/api/images/generate", {**JOB, "projectId": THEIRS})).json()["jobId"]
    async with world.deps.database.transaction() as tx:
        await tx.execute("UPDATE imagejobs.members SET confirmed_at = now() - interval '1 hour'")
    assert (await owned(OWNER, "GET", f"/api/images/jobs/{job_id}")).status_code == 200
    assert await world.scalar("SELECT confirmed_at > now() - interval '1 minute' FROM imagejobs.members")
    by_world = await world.client.get(f"/api/images/jobs/{job_id}", headers=as_user(OWNER))
    assert by_world.status_code == 404, "without the query its memberships do not count"


async def test_a12_a_role_given_by_hand_goes_before_the_query(world: World, owned: Any) -> None:
    await world.generate(projectId=THEIRS)
    await make_member(world, OWNER, Role.VIEWER, THEIRS)
    assert (await owned(OWNER, "POST", "/api/images/generate", {**JOB, "projectId": THEIRS})).status_code == 403


USABLE = {
    "SELECT user_id FROM app.projects WHERE id = $1": True,
    "SELECT user_id FROM app.projects WHERE id::text = $1": True,
    "SELECT 'u' WHERE $1::text <> ''": True,
    "SELECT user_id FROM app.nothing WHERE id = $1": False,
    "SELECT * FROM app.projects WHERE id = $1": False,  # its first column is no user
    "SELECT user_id FROM app.projects": False,
    "SELECT user_id FROM app.projects WHERE id = $1 AND user_id = $2": False,
    "SELECT 1 WHERE now() > $1": False,
    "SELECT 'u' WHERE 'film'::char(8) = $1": False,  # 'film', 'film ', 'film  ' … would be projects of their owner
    "nonsense": False,
    "SELECT 1; SELECT 2": False,
    "DELETE FROM app.projects WHERE id = $1": False,
}


@pytest.mark.parametrize("query", USABLE)
async def test_an_ownership_query_that_cannot_work_is_refused_at_start(world: World, owned: Any, query: str) -> None:
    del owned
    if USABLE[query]:
        await require_usable(world.deps.database, query)
        return
    with pytest.raises(ConfigurationError, match="IMAGEJOBS_OWNERSHIP_QUERY"):
        await require_usable(world.deps.database, query)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("SELECT pg_sleep(30)::text WHERE $1::text <> ''", 503),
        ("DELETE FROM app.projects WHERE id = $1 RETURNING user_id", 503),
        ("SELECT user_id FROM app.projects WHERE id = $1::text::uuid", 404),
    ],
)
async def test_an_ownership_query_is_stopped_and_cannot_write(world: World, owned: Any, query: str, status: int) -> None:
    del owned
    deps = replace(world.deps, policy=replace(world.deps.policy, ownership_query=query))
    transport = httpx2.ASGITransport(create_app(deps, tokens=tokens_by_secret()), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x.test") as client:
        path = f"/api/projects/{'film' if status == 404 else THEIRS}"
        assert (await client.get(path, headers=as_user(OWNER))).status_code == status
    assert await world.scalar("SELECT count(*) FROM app.projects") == 1
