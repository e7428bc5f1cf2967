"""Image configs: a view of their bytes, which carry the image ID and never change.

Keys are read as tolerantly as Docker reads them (any letter case, null for missing; moby
image/image.go); the JSON is parsed as strictly as `convert.jsonio.strict` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

from convert.errors import FormatError, UnsafeInputError
from convert.jsonio import go_values, strict
from convert.limits import MAX_LAYERS
from convert.model.digest import Digest
from convert.model.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convert.diagnostics import Diagnostic
    from convert.jsonio.go_struct import Struct

# Builders write a few steps for each layer.
_MAX_HISTORY: Final = 10 * MAX_LAYERS
_HISTORY_KEYS: Final = frozenset({"created", "created_by", "author", "comment", "empty_layer"})


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One step of a build (image-spec config.md, "history"); absent fields are empty strings.

    `created` is the original text, which may not be a valid time.
    """

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


@dataclass(frozen=True, eq=False)
class Config:
    """An image config: its bytes, their digest, and the fields that imgconv uses.

    `digest` is the image ID. `diff_ids` are lowest first, empty if the config has no `rootfs`.
    `created` is the original text. `where` and `member` identify the config in errors; `warnings`
    are about what was accepted.
    """

    raw: bytes
    digest: Digest
    diff_ids: tuple[Digest, ...]
    platform: Platform
    created: str | None
    history: tuple[HistoryEntry, ...]
    where: str
    member: str
    warnings: tuple[Diagnostic, ...] = ()

    @classmethod
    def parse(cls, raw: bytes, *, where: str, member: str) -> Config:
        """Read a config's bytes.

        A platform that the config lacks stays empty. Docker uses that of its own machine; imgconv
        never depends on the machine.

        Raises:
            FormatError: not a JSON object, an invalid DiffID, or a field of a type that no engine
                accepts.
            UnsafeInputError: more layers or history entries than any image has.
        """
        view = strict.parse(raw, where=where, member=member)
        if not isinstance(view, Mapping):
            msg = "an image config must be a JSON object"
            raise FormatError(msg, code="wrong-json-type", file=where, member=member)
        warnings: list[Diagnostic] = []
        fields = _Fields(view, warnings)
        try:
            _check_keys(fields)
            return cls(
                raw=raw,
                digest=Digest.of(raw),
                diff_ids=_diff_ids(fields.inside("rootfs")),
                platform=Platform(
                    os=fields.text("os"),
                    architecture=fields.text("architecture"),
                    variant=fields.text("variant"),
                    os_version=fields.text("os.version"),
                ),
                created=fields.text_or_none("created"),
                history=_history(fields),
                where=where,
                member=member,
                warnings=tuple(warnings),
            )
        except FormatError as error:
            raise FormatError(error.message, code=error.code, file=where, member=member) from None
        except UnsafeInputError as error:
            raise UnsafeInputError(error.message, code=error.code, file=where, member=member) from None

    @property
    def view(self) -> Mapping[str, Any]:
        """The parsed document, to be read with `field`.

        It is parsed on demand and kept only for the last two configs, because the documents of one
        source may have more values than fit in memory.
        """
        return _view(self)

    def decode_error(self, struct: Struct, others: Iterable[Struct] = ()) -> str:
        """Return why a Go program does not decode the config into `struct`, "" if it does.

        Many images may share a config, and two versions of a tool a struct, so the answer is cached. `others` are
        asked about later: all answers come from one parsed document.
        """
        if struct not in self._decode_errors:
            view = self.view
            for each in (struct, *others):
                if each not in self._decode_errors:
                    self._decode_errors[each] = _decode_error(each, view)
        return self._decode_errors[struct]

    @cached_property
    def _decode_errors(self) -> dict[Struct, str]:
        return {}

    @cached_property
    def _read_fields(self) -> dict[tuple[str, ...], Any]:
        """Cached results of `field`, so that a config of many manifests is searched once."""
        return {}

    @cached_property
    def created_seconds(self) -> int:
        """Seconds since 1970, rounded down, for the members of a `docker save` archive.

        0 if the config has no time, or one that Docker does not set on a file
        (docs/formats-docker.md#members-and-order, time A).

        Raises:
            FormatError: `created` is not a time; Docker refuses such a config.
        """
        if self.created is None:
            return 0
        from convert.jsonio.go_time import Time  # noqa: PLC0415 - only docker save's members show it: start-up time

        try:
            return Time.parse(self.created).file_seconds
        except FormatError as error:
            msg = f"created: {error.message}"
            raise FormatError(msg, code=error.code, file=self.where, member=self.member) from None

    @cached_property
    def parent(self) -> Digest | None:
        """The image ID in `config.Image`, which Docker's classic builder sets to the parent.

        None if the field is absent or contains a name, as `docker commit` writes it. The config
        alone does not show whether that image really is the parent.
        """
        image = self.field("config", "Image")
        if not isinstance(image, str):
            return None
        try:
            return Digest.parse(image)
        except FormatError:
            return None

    def field(self, *names: str) -> Any:
        """Return the value under nested keys, matched in any letter case; None if absent.

        Raises:
            FormatError: a key occurs in two spellings.
        """
        if names not in self._read_fields:
            try:
                self._read_fields[names] = self._field(names)
            except FormatError as error:
                self._read_fields[names] = error.with_traceback(None)
        found = self._read_fields[names]
        if isinstance(found, FormatError):
            raise FormatError(found.message, code=found.code, file=found.file, member=found.member)
        return found

    def _field(self, names: tuple[str, ...]) -> Any:
        value: Any = self.view
        for name in names:
            if not isinstance(value, Mapping):
                return None
            value = strict.lookup(value, name, where=self.where, member=self.member)
        return value

    def history_for_layers(self) -> tuple[HistoryEntry, ...] | None:
        """Return the history entry of each layer, lowest first.

        None if the number of entries without `empty_layer` differs from that of the layers, as in
        images whose builder wrote no history.
        """
        made = tuple(entry for entry in self.history if not entry.empty_layer)
        return made if len(made) == len(self.diff_ids) else None


def _decode_error(struct: Struct, view: Mapping[str, Any]) -> str:
    try:
        struct.read(view, "")
    except FormatError as error:
        return error.message
    return ""


@lru_cache(maxsize=2)
def _view(config: Config) -> Mapping[str, Any]:
    view: Mapping[str, Any] = strict.parse(config.raw, where=config.where, member=config.member)
    return view


@dataclass(frozen=True)
class _Fields:
    """One object of the config, with the path to it."""

    values: Mapping[str, Any]
    warnings: list[Diagnostic]
    at: str = ""

    @cached_property
    def keys(self) -> strict.Keys:
        return strict.Keys(self.values)

    def get(self, name: str) -> Any:
        return self.keys.get(name, self.warnings)

    def text(self, name: str) -> str:
        return go_values.string(self.get(name), self.at + name)

    def text_or_none(self, name: str) -> str | None:
        value = self.get(name)
        return None if value is None else go_values.string(value, self.at + name)

    def inside(self, name: str) -> _Fields:
        return _as_fields(self.get(name), self.at + name, self.warnings)


def _check_keys(config: _Fields) -> None:
    """Refuse two keys for one field in the objects that only engines read.

    Raises:
        FormatError: there are two; Docker uses the last one, case-sensitive readers the exact one.
    """
    for name in ("config", "container_config"):
        settings = config.get(name)
        if isinstance(settings, Mapping):
            health = strict.Keys(settings).get("Healthcheck")
            if isinstance(health, Mapping):
                strict.Keys(health)


def _as_fields(value: Any, at: str, warnings: list[Diagnostic]) -> _Fields:
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        msg = f"{at}: expected an object"
        raise FormatError(msg, code="wrong-json-type")
    return _Fields(value, warnings, at + ".")


def _diff_ids(rootfs: _Fields) -> tuple[Digest, ...]:
    texts = go_values.strings(rootfs.get("diff_ids"), "rootfs.diff_ids") or []
    if len(texts) > MAX_LAYERS:
        msg = f"rootfs.diff_ids: {len(texts)} layers, more than the {MAX_LAYERS} allowed"
        raise UnsafeInputError(msg, code="too-many-layers")
    found: list[Digest] = []
    for index, text in enumerate(texts):
        try:
            found.append(Digest.parse(text))
        except FormatError as error:
            msg = f"rootfs.diff_ids[{index}]: {error.message}"
            raise FormatError(msg, code=error.code) from None
    return tuple(found)


def _history(fields: _Fields) -> tuple[HistoryEntry, ...]:
    values = fields.get("history")
    if values is None:
        return ()
    if not isinstance(values, list):
        msg = "history: expected an array"
        raise FormatError(msg, code="wrong-json-type")
    if len(values) > _MAX_HISTORY:
        msg = f"history: {len(values)} entries, more than the {_MAX_HISTORY} allowed"
        raise UnsafeInputError(msg, code="too-many-history-entries")
    return tuple(_step(value, f"history[{index}]", fields.warnings) for index, value in enumerate(values))


def _step(value: Any, at: str, warnings: list[Diagnostic]) -> HistoryEntry:
    step = _as_fields(value, at, warnings)
    if not step.values.keys() <= _HISTORY_KEYS:
        # The slower lookup is needed only if a key has another spelling.
        step = _Fields({name: step.get(name) for name in _HISTORY_KEYS}, warnings, step.at)
    created, empty_layer = step.values.get("created"), step.values.get("empty_layer")
    return HistoryEntry(
        created=None if created is None else go_values.string(created, step.at + "created"),
        created_by=go_values.string(step.values.get("created_by"), step.at + "created_by"),
        author=go_values.string(step.values.get("author"), step.at + "author"),
        comment=go_values.string(step.values.get("comment"), step.at + "comment"),
        empty_layer=go_values.boolean(empty_layer, step.at + "empty_layer"),
    )
