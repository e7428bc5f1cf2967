"""Check documents against the JSON Schemas in `convert.schemas`; findings state the place and what is expected.

Importing jsonschema takes longer than reading most documents. Readers therefore
check a document only after they failed to read it, to explain why; `validate`
checks every document. A document comes from `strict.parse`, which bounds its size
and depth. A check takes time in proportion to the document and reports a bounded
number of findings.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from convert.errors import printable
from convert.jsonio.schema_accepts import Unsure, compile_schema
from convert.jsonio.strict import same_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

DOCKER_MANIFEST: Final = "docker-manifest"
REPOSITORIES: Final = "repositories"
V1_LAYER: Final = "v1-layer"
IMAGE_CONFIG: Final = "image-config"
OCI_CONFIG: Final = "oci-config"
OCI_LAYOUT: Final = "oci-layout"
OCI_INDEX: Final = "oci-index"
OCI_MANIFEST: Final = "oci-manifest"
DOCKER_MANIFEST_V2: Final = "docker-manifest-v2"
DOCKER_MANIFEST_LIST: Final = "docker-manifest-list"

#: Findings reported for one document.
MAX_FINDINGS: Final = 100

_LONGEST: Final = 60
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def explain(document: Any, schema_name: str) -> str | None:
    """Return the finding nearest to the root of a document, the first of several, or None."""
    errors = list(islice(_validator(schema_name).iter_errors(document), MAX_FINDINGS))
    return _line(min(errors, key=lambda error: len(error.absolute_path))) if errors else None


def findings(document: Any, schema_name: str) -> list[str]:
    """Return all findings, one printable line each: `[0].Layers: expected an array of strings`.

    After `MAX_FINDINGS` findings, one more line states that there are others.
    """
    try:
        if _check(schema_name)(document):
            return []
    except Unsure:
        pass
    errors = list(islice(_validator(schema_name).iter_errors(document), MAX_FINDINGS + 1))
    lines = [_line(error) for error in errors[:MAX_FINDINGS]]
    if len(errors) > MAX_FINDINGS:
        lines.append(f"more than {MAX_FINDINGS} findings in this document; the others are not listed")
    return lines


@cache
def load(schema_name: str) -> Mapping[str, Any]:
    """Return a schema of `convert.schemas` (`oci-index` for `oci-index.json`)."""
    text = resources.files("convert.schemas").joinpath(f"{schema_name}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _check(schema_name: str) -> Callable[[Any], bool]:
    return compile_schema(_inlined(load(schema_name)))


@cache
def _validator(schema_name: str) -> Validator:
    """Return a validator that reads keys and numbers as Go does.

    Go accepts keys in any letter case, and does not accept `2.0` for an integer. The
    other changes keep a check cheap: what is too long is not examined, and no message
    contains a value of megabytes.
    """
    from jsonschema import Draft202012Validator  # noqa: PLC0415  # slow to import; see the module's docstring
    from jsonschema.validators import extend  # noqa: PLC0415

    dialect: type[Validator] = extend(  # type: ignore[no-untyped-call]  # missing in types-jsonschema
        Draft202012Validator,
        {
            "additionalProperties": _every_value,
            "items": _every_item,
            "pattern": _pattern,
            "properties": _properties,
            "required": _required,
            "type": _type,
        },
        type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int),
    )
    return dialect(_inlined(load(schema_name)))


class _Part(dict[str, Any]):
    """A schema inside a schema, with its validator once it was created."""

    validator: Any = None


def _inlined(schema: Any) -> Any:
    """Return a schema with the definitions in place of the `$ref`s to them.

    Resolving a reference takes jsonschema longer than checking a descriptor, and it
    would resolve one for each item of an array.
    """
    match schema:
        case {"$ref": str(reference)}:
            urn, _, pointer = reference.partition("#")
            target: Any = load(urn.rpartition(":")[2])
            for step in filter(None, pointer.split("/")):
                target = target[step]
            return _inlined(target)
        case dict():
            # Without $schema, which would bring back jsonschema's own dialect below an allOf.
            return _Part((key, _inlined(value)) for key, value in schema.items() if key not in {"$schema", "$id"})
        case list():
            return [_inlined(value) for value in schema]
        case _:
            return schema


def _below(validator: Any, value: Any, schema: _Part, step: str | int) -> Iterator[ValidationError]:
    """Check a value inside another, as `Validator.descend`, which creates a validator for each value."""
    part = schema.validator
    if part is None:
        part = schema.validator = validator.evolve(schema=schema)
    for error in part.iter_errors(value):
        error.path.appendleft(step)
        yield error


def _error(message: str, *path: str) -> ValidationError:
    from jsonschema.exceptions import ValidationError  # noqa: PLC0415  # loaded by now

    return ValidationError(message, path=path)


def _type(
    validator: Any, types: str | list[str], instance: object, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not any(validator.is_type(instance, name) for name in ([types] if isinstance(types, str) else types)):
        yield _error(f"expected {schema['title']}")


def _pattern(_: Any, pattern: str, instance: object, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    # The keyword maxLength reports what is too long for a pattern that keeps track of groups.
    if not isinstance(instance, str) or len(instance) > schema.get("maxLength", len(instance)):
        return
    # Python's $ matches before a last line feed, that of JSON Schema does not.
    if not re.fullmatch(pattern, instance):
        yield _error(f"expected {schema['title']}, found {_shown(instance)}")


def _required(_: Any, names: list[str], instance: object, __: object) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for name in names:
            if name not in instance and not any(same_key(key, name) for key in instance):
                yield _error("missing", name)


def _properties(
    validator: Any, properties: Mapping[str, Any], instance: object, _: object
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for name, schema in properties.items():
        keys = [key for key in instance if same_key(key, name)]
        for key in keys:
            yield from _below(validator, instance[key], schema, key)
        for key in keys[1:]:
            yield _error(f"key in one object with {_shown(keys[0])}, which means the same", key)


def _every_item(validator: Any, schema: Any, instance: object, parent: Mapping[str, Any]) -> Iterator[ValidationError]:
    if isinstance(instance, list) and len(instance) <= parent["maxItems"]:
        for index, item in enumerate(instance):
            yield from _below(validator, item, schema, index)


def _every_value(validator: Any, schema: Any, instance: object, parent: Mapping[str, Any]) -> Iterator[ValidationError]:
    if isinstance(instance, dict) and len(instance) <= parent["maxProperties"]:
        for key, value in instance.items():
            yield from _below(validator, value, schema, key)


def _line(error: ValidationError) -> str:
    """Return place and message in one line without control characters."""
    location = _location(error)
    message = _message(error)
    return printable(f"{location}: {message}" if location else message)


def _location(error: ValidationError) -> str:
    """Return the place in a document as `manifests[0].platform["os.version"]`."""
    location = ""
    for step in error.absolute_path:
        if isinstance(step, int):
            location += f"[{step}]"
        elif not _PLAIN_KEY.fullmatch(step) or len(step) > _LONGEST:
            location += f"[{_shown(step)}]"
        else:
            location += f".{step}" if location else step
    return location


def _message(error: ValidationError) -> str:
    schema: Any = error.schema
    match error.validator:
        case "const":
            return f"expected {_shown(error.validator_value)}, found {_shown(error.instance)}"
        case "minimum" | "maximum" | "maxLength":
            return f"expected {schema['title']}, found {_shown(error.instance)}"
        case "maxItems" | "maxProperties":
            return f"more than {error.validator_value} entries"
        case "minLength" | "not":
            return f"expected {schema['title']}"
        case _:
            return error.message


def _shown(value: object) -> str:
    """Return a value from a document for a message: as JSON, and short."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, str) and len(value) > _LONGEST:
        value = value[:_LONGEST] + "…"
    return json.dumps(value, ensure_ascii=False)
