"""Tables of settings: TOML text to dataclasses, checked field by field, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from spikeport.export.common.errors import InputError, nearest

T = TypeVar("T")


def to_toml(table: Mapping[str, Any]) -> str:
    """TOML text of settings; nested ones as tables, those within lists as inline tables."""
    return "\n".join(_toml_lines(table, "")).lstrip("\n") + "\n"


def _toml_lines(table: Mapping[str, Any], prefix: str) -> list[str]:
    lines = [f"{_toml_key(key)} = {_toml_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    for key, value in table.items():
        if isinstance(value, Mapping):
            name = f"{prefix}{_toml_key(key)}"
            lines += ["", f"[{name}]", *_toml_lines(value, f"{name}.")]
    return lines


def _toml_key(name: str) -> str:
    plain = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if plain else _toml_value(name)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # what JSON escapes, TOML escapes in the same way
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml_key(key)} = {_toml_value(item)}" for key, item in value.items()) + " }"
    return repr(value)


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """What lies at the ends of nested tables, by dotted name."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flat(item, f"{name}.{key}".strip("."))
    else:
        yield name, value


def parse_table(kind: type[T], table: dict[str, Any], where: str, *, hints: Mapping[str, type] | None = None, **made: Any) -> T:
    """Build a dataclass from a table, checking names and types. hints: overrule field types. made:
    fields that need no parsing.

    Raises:
        InputError: unknown fields, wrong types, values out of range; `where` names the table.
    """
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(table) - known):
        near = nearest(unknown[0], known)
        hint = f"did you mean {near}? " if near else ""
        raise InputError(f"{where}: unknown fields {', '.join(unknown)}; {hint}known are {', '.join(sorted(known))}")
    types = {**get_type_hints(kind), **(hints or {})}
    return kind(**made, **{name: _value(types[name], value, f"{where}: {name}") for name, value in table.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise InputError(f"{where} must be a table, got {value!r}")
        return parse_table(hint, value, where)
    if get_origin(hint) is list and isinstance(value, list):
        return [_value(get_args(hint)[0], item, where) for item in value]
    if get_origin(hint) is Literal:
        hint = type(get_args(hint)[0])
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise InputError(f"{where} must be {hint.__name__}, got {value!r}")
    return value
