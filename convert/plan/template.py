"""DEST as a template: one result for each image (docs/contract.md#templates). Pure.

Names and platforms come from an archive, so that every field is reduced to characters that no
file system treats specially.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.errors import SelectionError, UsageError, suggestion
from convert.model.reference import is_tag

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from convert.model.image_set import Name
    from convert.model.platform import Platform

#: The fields of an image.
FIELDS: Final = ("name", "domain", "tag", "digest12", "os", "arch")
#: Those that an untagged image does not have.
_OF_NAMES: Final = frozenset({"name", "domain", "tag"})
_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([A-Za-z0-9_]*)\}|\{|\}")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]")
#: Bytes of one component of a path, on all usual file systems.
_MAX_COMPONENT: Final = 255


def is_template(text: str, fields: Container[str] = FIELDS) -> bool:
    """Return whether a DEST contains one of the fields, and so is a template."""
    return any(match[1] in fields for match in _TOKEN.finditer(text) if match[1])


@dataclass(frozen=True, slots=True)
class Template:
    """A path with fields in braces; `{{` and `}}` are braces."""

    text: str
    #: Components of literal text and field names, in turn: text, field, text, …
    components: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, text: str, fields: Iterable[str] = FIELDS) -> Template:
        """Read a template.

        Raises:
            UsageError: an unknown field, or a brace without its other half.
        """
        known = tuple(fields)
        components = []
        for component in text.split("/"):
            parts: list[str] = [""]
            place = 0
            for match in _TOKEN.finditer(component):
                parts[-1] += component[place : match.start()]
                place = match.end()
                if match[0] in {"{{", "}}"}:
                    parts[-1] += match[0][0]
                elif match[1] in known:
                    parts += [match[1], ""]
                else:
                    raise _malformed(text, match, known)
            parts[-1] += component[place:]
            components.append(tuple(parts))
        return cls(text, tuple(components))

    @property
    def fields(self) -> frozenset[str]:
        """The fields that occur."""
        return frozenset(field for component in self.components for field in component[1::2])

    def path(self, values: Mapping[str, str | None], untagged: str) -> str:
        """Return the path for one image.

        A component with a field never is `.` or `..`, nor starts with `-` or `.`. A field
        without a value becomes `untagged`, a run of them in one component a single one.

        Raises:
            UsageError: a component is too long.
        """
        return "/".join(_filled(component, values, untagged) for component in self.components)

    def bind(self, values: Mapping[str, str]) -> tuple[str, list[str]]:
        """Fill in some of the fields, with the rules of `path`.

        Return the text of the template that is left, a path if none is, and the folders that the
        values name and those inside them up to the next field, the outermost first.

        Raises:
            UsageError: a component is too long, or the path that is left would be read as a template.
        """
        components = [tuple(_bound(component, values)) for component in self.components]
        rest = [_filled(component, {}, "") if len(component) == 1 else "" for component in components]
        first = next((number for number, each in enumerate(self.components) if not values.keys().isdisjoint(each)), -1)
        folders: list[str] = []
        for number, component in enumerate(components[:-1]):
            if len(component) > 1:
                break
            if 0 <= first <= number:
                folders.append("/".join(rest[: number + 1]))
        if all(len(component) == 1 for component in components):
            text = "/".join(rest)
            if is_template(text):
                raise UsageError(f"braces around a field's name: {text!r}", code="invalid-template")
        else:
            text = "/".join(map(_spelled, components))
        return text, folders

    def folders(self, path: str) -> list[str]:
        """Return the folders of a filled path that a field names, and those inside them, the outermost first."""
        parts = path.split("/")
        first = next(number for number, component in enumerate(self.components) if len(component) > 1)
        return ["/".join(parts[: count + 1]) for count in range(first, len(parts) - 1)]


def values_of(name: Name | None, digest: str, platform: Platform | None) -> tuple[dict[str, str | None], str]:
    """Return the fields of an image and what stands for a name that it has not.

    Args:
        name: its first name.
        digest: its image ID or the digest of its index, in hex.
        platform: its platform, None for an index.
    """
    short = digest[:12]
    reference = name.reference if name is not None else None
    tag = reference.tag if reference is not None else None
    if reference is None and name is not None and is_tag(name.ref_name or ""):
        tag = name.ref_name
    values = {
        "name": reference.path if reference is not None else None,
        "domain": reference.domain or "unknown" if reference is not None else None,
        "tag": tag,
        "digest12": short,
        "os": (platform.os if platform is not None else "") or "unknown",
        "arch": _architecture(platform) if platform is not None else "unknown",
    }
    return values, f"untagged-{short}"


@dataclass(frozen=True, slots=True)
class Filled:
    """A result of a template: what messages call it, its path, and the values of all fields there are."""

    label: str
    path: str
    values: Mapping[str, str | None]


def refuse_collisions(results: Iterable[Filled], used: Container[str]) -> None:
    """Refuse results that are one file, also where a file system ignores letter case.

    `used` are the fields of the template.

    Raises:
        SelectionError: two results have one path; the hint names the fields that would tell them apart.
    """
    owners: dict[str, Filled] = {}
    for result in results:
        other = owners.setdefault(result.path.casefold(), result)
        if other is not result:
            raise SelectionError(
                f"{other.label} and {result.label} would both be written to {result.path}",
                code="template-collision",
                hint=_telling_apart(other.values, result.values, used),
            )


def _telling_apart(one: Mapping[str, str | None], other: Mapping[str, str | None], used: Container[str]) -> str:
    """Return how a template has to change so that two results have two paths."""
    differing = [field for field in one if _as_compared(one[field]) != _as_compared(other[field])]
    *first, last = [f"{{{field}}}" for field in differing if field not in used] or [""]
    if last:
        return f"add {', '.join(first)} or {last} to the template" if first else f"add {last} to the template"
    if differing:
        return "put a character such as - between the fields of the template"
    return "no field tells them apart: select one of them"


def _as_compared(value: str | None) -> str | None:
    return value if value is None else safe_value(value).casefold()


def safe_value(text: str) -> str:
    """Return a value as part of a file name: other characters than letters, digits and `_.-` are `_`."""
    return _UNSAFE.sub("_", text)


def _architecture(platform: Platform) -> str:
    """Return the architecture, with a variant that is not the default one."""
    os, architecture, variant = platform.normalised
    del os
    default = type(platform)("", architecture).normalised[2]
    base = architecture or "unknown"
    return base if not variant or variant == default else f"{base}_{variant}"


def _bound(component: tuple[str, ...], values: Mapping[str, str]) -> list[str]:
    """Return a component in which fields that have a value are text."""
    if values.keys().isdisjoint(component[1::2]):
        return list(component)
    parts = [component[0]]
    for field, literal in zip(component[1::2], component[2::2], strict=True):
        if field in values:
            parts[-1] += safe_value(values[field]) + literal
        else:
            parts += [field, literal]
    if len(parts) == 1:
        parts[0] = _checked(parts[0])
    return parts


def _spelled(component: tuple[str, ...]) -> str:
    """Return a component as a template spells it."""
    text = component[0].replace("{", "{{").replace("}", "}}")
    for field, literal in zip(component[1::2], component[2::2], strict=True):
        text += f"{{{field}}}" + literal.replace("{", "{{").replace("}", "}}")
    return text


def _filled(component: tuple[str, ...], values: Mapping[str, str | None], untagged: str) -> str:
    if len(component) == 1:
        return component[0]
    text, absent_end = component[0], None
    for field, literal in zip(component[1::2], component[2::2], strict=True):
        value = values[field]
        if value is None and field in _OF_NAMES:
            # What lies between two fields without a value joins nothing.
            text = text[:absent_end] if absent_end is not None else text + untagged
            absent_end = len(text)
        else:
            text += safe_value(value or "")
            absent_end = None
        text += literal
    return _checked(text)


def _checked(text: str) -> str:
    """Return a component that values are part of, without a start that has a meaning.

    Raises:
        UsageError: it is too long.
    """
    count = len(text) - len(text.lstrip("-."))
    text = "_" * count + text[count:]
    if len(text.encode()) > _MAX_COMPONENT:
        raise UsageError(
            f"the template makes a name of more than {_MAX_COMPONENT} bytes: {text[:40]}…", code="invalid-template"
        )
    return text


def _malformed(text: str, match: re.Match[str], known: tuple[str, ...]) -> UsageError:
    listed = "fields: " + ", ".join(f"{{{field}}}" for field in known)
    if match[1] is None:
        what = f"has a single {match[0]!r} (write {match[0] * 2} for a brace)"
    else:
        what = f"has an unknown field {match[0]!r}"
    hint = (suggestion(match[1], known) if match[1] else "") + listed
    return UsageError(f"the template {text!r} {what}", code="invalid-template", hint=hint)
