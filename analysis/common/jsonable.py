"""Frozen dataclasses to JSON values and back, checked against their type hints.

Results of the analysis are plain: numbers, strings, tuples, mappings with string keys and further
dataclasses. So a file read back equals what was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from spikeport.export.common.errors import InputError
from spikeport.export.common.files import read_json
from spikeport.export.common.guard import reading
from spikeport.export.common.printable import brief

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """Dictionaries, lists, strings, numbers, booleans and None."""
    if is_dataclass(value):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    return [to_json(item) for item in value] if isinstance(value, (tuple, list)) else value


def from_json(kind: type[T], value: Any, where: str = "") -> T:
    """Build a `kind` (a type hint as our dataclasses use them) from JSON values.

    Raises:
        InputError: a field is missing, unknown or of another type; `where` names it.
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin is not None:
        return _generic(origin, args, value, where)
    if is_dataclass(kind):
        return _record(kind, value, where)
    if kind is float:
        return float(_expect((int, float), value, where))  # type: ignore[return-value]
    return value if kind is Any else _expect(kind, value, where)


def read_as(kind: type[T], path: Path) -> T:
    """A `kind` from a JSON file: the way that every result comes back.

    Raises:
        InputError: missing, no JSON, or not such a value; names the file.
    """
    value = read_json(path)
    with reading(path, kind.__name__, "make the file again with this version of spikeport"):
        try:
            return from_json(kind, value)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def _generic(origin: Any, args: tuple, value: Any, where: str) -> Any:
    if origin in (Union, UnionType):
        return _optional(args, value, where)
    if origin is Literal:
        return value if value in args else _refuse(where, f"one of {', '.join(map(str, args))}", value)
    if origin is tuple:
        return _tuple(args, value, where)
    assert issubclass(origin, Mapping)
    return {key: from_json(args[1], item, f"{where}.{key}") for key, item in _expect(dict, value, where).items()}


def _record(kind: type, value: Any, where: str) -> Any:
    hints, known = _hints(kind), {f.name: f for f in fields(kind)}
    given = _expect(dict, value, where)
    missing = [n for n, f in known.items() if n not in given and f.default is MISSING and f.default_factory is MISSING]
    if missing or set(given) - set(known):
        _refuse(where, f"the fields of {kind.__name__}", f"missing {missing}, unknown {sorted(set(given) - set(known))}")
    return kind(**{name: from_json(hints[name], item, f"{where}.{name}".strip(".")) for name, item in given.items()})


def _tuple(args: tuple, value: Any, where: str) -> Any:
    items = _expect(list, value, where)
    kinds = [args[0]] * len(items) if args[-1] is Ellipsis else args
    if len(kinds) != len(items):
        _refuse(where, f"{len(kinds)} items", items)
    return tuple(from_json(kind, item, f"{where}.{i}") for i, (kind, item) in enumerate(zip(kinds, items)))


def _optional(args: tuple, value: Any, where: str) -> Any:
    if value is None and NoneType in args:
        return None
    (kind,) = (a for a in args if a is not NoneType)
    return from_json(kind, value, where)


def _expect(kind: Any, value: Any, where: str) -> Any:
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return value
    return _refuse(where, getattr(kind, "__name__", "number"), value)


def _refuse(where: str, expected: str, value: Any) -> Any:
    raise InputError(f"{where or 'JSON'} should be {expected}, found {brief(value)}; make the file again with this version of spikeport")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
