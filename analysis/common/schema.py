"""JSON Schema (draft 2020-12) of frozen dataclasses, from the same type hints that `from_json`
checks values against.

So a file is valid exactly where it can be read: the two cannot say different things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from inspect import getdoc
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

DRAFT = "https://json-schema.org/draft/2020-12/schema"
PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Any: {},
}


def json_schema(kind: type, extra: Mapping[str, dict[str, Any]] | None = None) -> dict[str, Any]:
    """Schema of a dataclass's JSON. extra: fields that its file has besides, and must have; or what
    is known of one of its own.
    """
    definitions: dict[str, Any] = {}
    whole = _record(kind, definitions)
    for name, schema in (extra or {}).items():
        whole["properties"][name] = {**whole["properties"].get(name, {}), **schema}
        whole["required"] = sorted({*whole["required"], name})
    return {"$schema": DRAFT, "title": kind.__name__, **whole, "$defs": dict(sorted(definitions.items()))}


def _schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if hint in PLAIN:
        return PLAIN[hint]
    if is_dataclass(hint):
        assert isinstance(hint, type)
        return _reference(hint, definitions)
    return _generic(get_origin(hint), get_args(hint), definitions)


def _generic(origin: Any, args: tuple, definitions: dict[str, Any]) -> dict[str, Any]:
    if origin in (Union, UnionType):
        return {"anyOf": [{"type": "null"} if arg is NoneType else _schema(arg, definitions) for arg in args]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin is tuple:
        return _tuple(args, definitions)
    assert issubclass(origin, Mapping), origin
    return {"type": "object", "additionalProperties": _schema(args[1], definitions)}


def _tuple(args: tuple, definitions: dict[str, Any]) -> dict[str, Any]:
    if args[-1] is Ellipsis:
        return {"type": "array", "items": _schema(args[0], definitions)}
    items = [_schema(arg, definitions) for arg in args]
    return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}


def _reference(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # known while its fields are looked at
        definitions[kind.__name__] = _record(kind, definitions)
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _record(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {
        "description": " ".join((getdoc(kind) or "").split()),
        "type": "object",
        "properties": {field.name: _schema(hints[field.name], definitions) for field in fields(kind)},
        "required": [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING],
        "additionalProperties": False,
    }
