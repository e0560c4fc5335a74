"""A group whose commands are imported when they are called, so that help and completion stay fast."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the list of commands says of one."""

    panel: str
    summary: str

    def load(self, name: str) -> TyperCommand | TyperGroup:
        """The command itself: the `app` of the module of its name, a group where it has several commands."""
        app: typer.Typer = import_module(f"imagejobs.cli.{name.replace('-', '_')}").app
        command = get_command(app)
        assert isinstance(command, TyperCommand | TyperGroup)
        command.name = name
        return command


class LazyGroup(TyperGroup):
    """Lists its `entries`, and imports only the one that is called."""

    entries: ClassVar[Mapping[str, Entry]] = {}

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - typer's own arguments
        super().__init__(**attributes)
        for name, entry in self.entries.items():
            self.add_command(TyperCommand(name, help=entry.summary, rich_help_panel=entry.panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401 - typer's types are private
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and command is not None:
            command = self.entries[name].load(name)
        return name, command, rest
