"""`imagejobs keys`: API keys, on the database itself."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from imagejobs.app.keys import DEFAULT_SCOPES, create_key, list_keys, revoke_key
from imagejobs.cli.console import AsJson, Document, command_app, instant_of, print_json, print_rows, require_id
from imagejobs.cli.local import use_database
from imagejobs.db.access import ApiKey
from imagejobs.db.pool import Database
from imagejobs.domain.access import Scope

app = command_app(
    no_args_is_help=True,
    help="Make, list and revoke API keys. These commands need the database, not the service: DATABASE_URL, else the data "
    "directory's own.",
)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Who or what the key is for.", show_default=False)],
    projects: Annotated[
        list[str] | None,
        typer.Option("--project", help="Bind the key to this project; may be repeated.", show_default=False),
    ] = None,
    scopes: Annotated[
        list[Scope] | None,
        typer.Option("--scope", help="What it may do; may be repeated [read, write, create projects].", show_default=False),
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Let it do everything.")] = False,
    days: Annotated[int | None, typer.Option(help="Let it end after so many days [never].", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it.

    It is shown this once: the database keeps its hash only. A key that is bound to projects works in them and in no others.

    ```
    imagejobs keys create "film back end"
    imagejobs keys create partner --project film --project trailer --days 90
    ```
    """
    if not name.strip():
        raise typer.BadParameter("a key needs a name, to be told from others", param_hint="NAME")
    granted = sorted({*(scopes or DEFAULT_SCOPES), *({Scope.ADMIN} if admin else ())})
    bound = sorted(projects or ())
    for project_id in bound:
        require_id(project_id, "--project")

    async def make(database: Database) -> tuple[str, ApiKey]:
        made = await create_key(database, name, scopes=granted, project_ids=bound, days=days)
        return str(made), next(key for key in await list_keys(database) if key.id == made.id)

    text, key = use_database(make)
    if as_json:
        print_json({"key": text, **_document(key)})
        return
    print(text)
    print("Keep it: it is not shown again. Send it as `Authorization: Bearer …`.", file=sys.stderr)
    print(f"Its id is {key.id}; revoke it with: imagejobs keys revoke {key.id}", file=sys.stderr)


@app.command("ls")
def list_all(as_json: AsJson = False) -> None:
    """List every key, without its secret.

    ```
    imagejobs keys ls --json | jq 'select(.state == "good").name'
    ```
    """
    documents = [_document(key) for key in use_database(list_keys)]
    print_rows(documents, ("id", "name", "state", "projects", "scopes", "last used"), _cells, as_json=as_json)


@app.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(help="The key's id, as `ls` shows it.", show_default=False)]) -> None:
    """Make a key useless.

    It is refused everywhere within seconds. A repeat changes nothing.

    ```
    imagejobs keys revoke 5kOv85i3
    ```
    """
    use_database(lambda database: revoke_key(database, key_id))
    print(f"Revoked {key_id}.")


def _cells(found: Document) -> Sequence[object]:
    projects = "all" if found["projects"] is None else ", ".join(found["projects"])
    return found["id"], found["name"], found["state"], projects, ", ".join(found["scopes"]), found["lastUsedAt"] or "never"


def _document(key: ApiKey) -> Document:
    return {
        "id": key.id,
        "name": key.name,
        "state": "good" if key.is_good(datetime.now(UTC)) else "revoked" if key.revoked_at else "expired",
        "scopes": sorted(key.scopes),
        "projects": sorted(key.project_ids) if key.is_bound else None,
        "createdAt": instant_of(key.created_at),
        "expiresAt": key.expires_at and instant_of(key.expires_at),
        "lastUsedAt": key.last_used_at and instant_of(key.last_used_at),
    }
