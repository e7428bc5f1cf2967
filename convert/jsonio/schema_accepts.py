"""Whether a document follows a schema, by functions compiled from it.

Most documents follow theirs, and this takes a tenth of the time of jsonschema, which is left to
explain the others. `Unsure` is raised where only jsonschema decides: keys in another letter case,
numbers of other types, keywords that are not known here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from convert.jsonio.strict import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Any], bool]

_TYPES: Final = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
    type(None): "null",
}
#: Keywords that check nothing by themselves.
_SILENT: Final = frozenset({"title", "description", "$comment", "$defs", "then", "maxItems", "maxProperties"})


class Unsure(Exception):  # noqa: N818 - no error: somebody else decides
    """These functions do not decide whether the document follows the schema."""


def compile_schema(schema: Mapping[str, Any]) -> Check:
    """Return a function that returns whether a value follows a schema without references.

    The function raises `Unsure`.
    """
    checks = [_COMPILERS[keyword](value, schema) for keyword, value in schema.items() if keyword in _COMPILERS]
    if not schema.keys() <= _COMPILERS.keys() | _SILENT:
        return _unsure
    if len(checks) == 1:
        return checks[0]
    return lambda value: all([check(value) for check in checks])  # noqa: C419 - each may be unsure


def _unsure(_: Any) -> bool:
    raise Unsure


def _type(types: str | list[str], _: Mapping[str, Any]) -> Check:
    names = {types} if isinstance(types, str) else set(types)

    def check(value: Any) -> bool:
        name = _TYPES.get(type(value))
        if name is None:
            raise Unsure
        return name in names or (name == "integer" and "number" in names)

    return check


def _properties(properties: Mapping[str, Any], _: Mapping[str, Any]) -> Check:
    below = {name: compile_schema(schema) for name, schema in properties.items()}
    folded = {fold(name) for name in properties}

    def check(value: Any) -> bool:
        if type(value) is not dict:
            return True
        sound = True
        for key, item in value.items():
            known = below.get(key)
            if known is not None:
                sound &= known(item)
            elif fold(key) in folded:
                raise Unsure
        return sound

    return check


def _required(names: list[str], _: Mapping[str, Any]) -> Check:
    def check(value: Any) -> bool:
        if type(value) is not dict:
            return True
        missing = [name for name in names if name not in value]
        if missing and {fold(key) for key in value} & {fold(name) for name in missing}:
            raise Unsure
        return not missing

    return check


def _items(schema: Any, parent: Mapping[str, Any]) -> Check:
    below, most = compile_schema(schema), parent["maxItems"]
    return lambda value: type(value) is not list or (len(value) <= most and all([below(item) for item in value]))  # noqa: C419


def _values(schema: Any, parent: Mapping[str, Any]) -> Check:
    below, most = compile_schema(schema), parent["maxProperties"]
    return lambda value: (
        type(value) is not dict or (len(value) <= most and all([below(item) for item in value.values()]))  # noqa: C419
    )


def _const(wanted: Any, _: Mapping[str, Any]) -> Check:
    return _enum([wanted], {})


def _enum(wanted: list[Any], _: Mapping[str, Any]) -> Check:
    def check(value: Any) -> bool:
        if any(type(each) is type(value) and each == value for each in wanted):
            return True
        if any(each == value for each in wanted) or type(value) in {dict, list}:
            raise Unsure
        return False

    return check


def _pattern(pattern: str, schema: Mapping[str, Any]) -> Check:
    match, most = re.compile(pattern).fullmatch, schema.get("maxLength")
    return lambda value: type(value) is not str or (most is not None and len(value) > most) or match(value) is not None


def _length(compare: Callable[[int, int], bool]) -> Callable[[int, Mapping[str, Any]], Check]:
    return lambda bound, _: lambda value: type(value) is not str or compare(len(value), bound)


def _bound(compare: Callable[[float, float], bool]) -> Callable[[float, Mapping[str, Any]], Check]:
    return lambda bound, _: lambda value: type(value) not in {int, float} or compare(value, bound)


def _not(schema: Any, _: Mapping[str, Any]) -> Check:
    below = compile_schema(schema)
    return lambda value: not below(value)


def _all_of(schemas: list[Any], _: Mapping[str, Any]) -> Check:
    checks = [compile_schema(schema) for schema in schemas]
    return lambda value: all([check(value) for check in checks])  # noqa: C419


def _if(schema: Any, parent: Mapping[str, Any]) -> Check:
    condition, then = compile_schema(schema), compile_schema(parent["then"])
    return lambda value: not condition(value) or then(value)


_COMPILERS: Final[dict[str, Callable[[Any, Mapping[str, Any]], Check]]] = {
    "type": _type,
    "properties": _properties,
    "required": _required,
    "items": _items,
    "additionalProperties": _values,
    "const": _const,
    "enum": _enum,
    "pattern": _pattern,
    "maxLength": _length(lambda length, bound: length <= bound),
    "minLength": _length(lambda length, bound: length >= bound),
    "minimum": _bound(lambda value, bound: value >= bound),
    "maximum": _bound(lambda value, bound: value <= bound),
    "not": _not,
    "allOf": _all_of,
    "if": _if,
}
