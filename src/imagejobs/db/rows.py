"""Rows as dataclasses whose fields are named like the columns, and dataclasses as a statement's parameters."""

import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import asyncpg

Value = TypeVar("Value", bound=Hashable)
Reader = Callable[[Any], Any]

_READERS: Mapping[Any, Reader] = {tuple: tuple, frozenset: frozenset, Mapping: json.loads}


def value_from(kind: type[Value], row: asyncpg.Record | None, **given: Any) -> Value:  # noqa: ANN401 - each field has its own type
    """What the row says, as a `kind`: words become enums, arrays tuples or sets, JSON mappings; `given` fields win.

    Whoever may find no row asks that before.
    """
    assert row is not None
    for name, read in _readers(kind):
        if name not in given:
            found = row[name]
            given[name] = found if read is None or found is None else read(found)
    return kind(**given)


def parameters(value: object) -> list[Any]:
    """The fields in their order, which is that of the statement's `$n`; mappings as JSON."""
    return [json.dumps(dict(field)) if isinstance(field, Mapping) else field for field in vars(value).values()]


@cache
def _readers(kind: type[Any]) -> list[tuple[str, Reader | None]]:
    """Each field, and how a column becomes what it holds; None where it is that already."""
    hints = get_type_hints(kind)
    return [(field.name, _reader(hints[field.name])) for field in fields(kind)]


def _reader(hint: Any) -> Reader | None:  # noqa: ANN401 - a type, or a union of some
    for kind in (get_origin(hint) or hint, *get_args(hint)):
        if kind in _READERS:
            return _READERS[kind]
        if isinstance(kind, type) and issubclass(kind, Enum):
            return kind
    return None
