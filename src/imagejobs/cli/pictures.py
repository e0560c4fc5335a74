"""Input pictures on the command line: files are uploaded, addresses and jobs are named."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import typer

from imagejobs.client import Client

_ROLES = ("identity", "style")


@dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """What the options say, as it was typed."""

    references: Sequence[str] = ()
    source: str | None = None
    mask: str | None = None
    mask_description: str | None = None

    def job_type(self) -> str:
        """The kind of job that these pictures make of one that names none."""
        if self.source is None:
            return "generate"
        return "edit" if self.mask is None and self.mask_description is None else "inpaint"

    def fields(self, client: Client, project: str) -> dict[str, Any]:
        """The members of the request; uploads the files, which a repeat does not keep twice."""
        found = {
            "referenceImages": [_reference(client, project, text) for text in self.references] or None,
            "sourceImage": self.source and _picture(client, project, self.source, "--source"),
            "mask": self.mask and _picture(client, project, self.mask, "--mask"),
            "maskDescription": self.mask_description,
        }
        return {name: value for name, value in found.items() if value is not None}


def _reference(client: Client, project: str, text: str) -> dict[str, str]:
    place, colon, role = text.rpartition(":")
    if not colon or role not in _ROLES:
        place, role = text, "identity"
    return {**_picture(client, project, place, "--reference"), "role": role}


def _picture(client: Client, project: str, text: str, option: str) -> dict[str, str]:
    if text.startswith(("http://", "https://")):
        return {"url": text}
    path = Path(text)
    if option == "--source" and _is_id(text) and not path.exists():
        return {"jobId": text}
    try:
        data = path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{text}: {error.strerror or error}", param_hint=option) from error
    return {"inputId": client.upload_input(project, data).id}


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
