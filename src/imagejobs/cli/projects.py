"""`imagejobs projects`: projects and their members, on the database itself."""

from collections.abc import Sequence
from typing import Annotated

import typer

from imagejobs.app.projects import ProjectWords, all_projects, end_member, members_of, write_member, write_project
from imagejobs.cli.console import AsJson, Document, command_app, instant_of, print_rows, require_id
from imagejobs.cli.local import document_of, use_database
from imagejobs.domain.access import Role

_HINT = "`imagejobs projects ls` and `member ls` show what there is."

app = command_app(
    no_args_is_help=True,
    help="Make and list projects, and say who may do what in them. These commands need the database, not the service.",
)
member = command_app(no_args_is_help=True, help="Who has which role in a project: users, by the `sub` of their tokens.")
app.add_typer(member, name="member")

ProjectId = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's id.", show_default=False)]
UserId = Annotated[str, typer.Argument(metavar="USER", help="The user's id.", show_default=False)]


@app.command("ls")
def list_all(as_json: AsJson = False) -> None:
    """List every project, oldest first.

    ```
    imagejobs projects ls
    ```
    """
    rows = [document_of(project) for project in use_database(all_projects)]
    print_rows(rows, ("id", "name", "on unknown outcome", "made by", "made at"), _cells, as_json=as_json)


@app.command("create")
def create(
    project_id: ProjectId,
    name: Annotated[str | None, typer.Option(help="What people call it.", show_default=False)] = None,
    retry_once: Annotated[
        bool, typer.Option("--retry-once", help="Buy once more where nobody knows whether a purchase took place.")
    ] = False,
) -> None:
    """Make a project, or replace its name and policy.

    ```
    imagejobs projects create film --name "The film"
    ```
    """
    require_id(project_id, "PROJECT")
    words = ProjectWords(name=name, on_unknown_outcome="retry_once" if retry_once else "fail")
    _, is_new = use_database(lambda database: write_project(database, project_id, words, "operator"))
    print(f"{'Made' if is_new else 'Changed'} {project_id}.")


@member.command("set")
def set_member(
    project_id: ProjectId,
    user_id: UserId,
    role: Annotated[Role, typer.Option(help="What they may do: see the page on access.")] = Role.EDITOR,
) -> None:
    """Give a user a role in a project.

    ```
    imagejobs projects member set film 5f0c3bb2-4a4e-4b47-9d0a-0c3a1c1f6a55 --role viewer
    ```
    """
    require_id(user_id, "USER")
    use_database(lambda database: write_member(database, project_id, user_id, role), if_not_found=_HINT)
    print(f"{user_id} is now {role.value} of {project_id}.")


@member.command("rm")
def remove_member(project_id: ProjectId, user_id: UserId) -> None:
    """End a user's membership.

    ```
    imagejobs projects member rm film 5f0c3bb2-4a4e-4b47-9d0a-0c3a1c1f6a55
    ```
    """
    use_database(lambda database: end_member(database, project_id, user_id), if_not_found=_HINT)
    print(f"{user_id} has no role in {project_id} any more.")


@member.command("ls")
def list_members(project_id: ProjectId, as_json: AsJson = False) -> None:
    """List a project's members.

    ```
    imagejobs projects member ls film
    ```
    """
    found = use_database(lambda database: members_of(database, project_id), if_not_found=_HINT)
    rows = [
        {"userId": one.user_id, "role": one.role.value, "source": one.source, "createdAt": instant_of(one.created_at)}
        for one in found
    ]
    print_rows(rows, ("user", "role", "by", "since"), _cells, as_json=as_json)


def _cells(row: Document) -> Sequence[object]:
    return [value or "" for value in row.values()]
