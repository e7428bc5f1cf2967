"""Apply the rules to an archive."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from convert.consumers import names
from convert.consumers.docker import many_layers, too_many
from convert.consumers.needs import NeedsAllText, NeedsText
from convert.consumers.rule import Repair, Verdict
from convert.consumers.rules import RULES
from convert.consumers.values import UnknownError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.consumers.consumer import Consumer, Version
    from convert.consumers.contents import Contents
    from convert.consumers.names import Known
    from convert.consumers.rule import Rule


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an archive is refused, what is lost, or what is unknown.

    `rule` is None where no rule says it, `helps` where nothing helps.
    """

    text: str
    rule: Rule | None = None
    helps: Repair | None = None

    @classmethod
    def of(cls, text: str, rule: Rule) -> Reason:
        """Return the reason that a rule gives."""
        if isinstance(text, NeedsText):
            return cls(text, rule, Repair.FILL if isinstance(text, NeedsAllText) else Repair.BASE)
        return cls(text, rule, rule.helps)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What becomes of an archive in one consumer.

    `way` is the transport of skopeo or podman, "" for others. `known` are the images that it then holds.
    """

    consumer: Consumer
    verdict: Verdict
    reasons: tuple[Reason, ...]
    known: tuple[Known, ...]
    way: str = ""


_REGISTRY: Final = "the storage of a registry is not an archive; --for writes one of what is selected in it"

#: The ways in which each consumer reads, and how it names what it read.
_WAYS: Final[dict[str, tuple[tuple[str, Callable[[Contents], Iterator[Known]]], ...]]] = {
    "docker": (("", names.by_config),),
    "docker-containerd": (("", names.by_manifest),),
    "containerd": (("", names.by_full_name),),
    "k3s": (("", names.by_full_name),),
    "podman": (
        ("oci", names.in_podman_layout),
        ("oci-archive", names.in_podman_layout),
        ("docker-archive", names.in_podman),
        ("dir", names.in_dir),
    ),
    "skopeo": (
        ("oci", names.in_layout),
        ("oci-archive", names.in_layout),
        ("docker-archive", names.in_docker_archive),
        ("dir", names.in_dir),
    ),
    "crane": (("", names.pushed),),
    "umoci": (("", names.by_ref_name),),
}


def diagnose(contents: Contents, consumers: Sequence[Consumer]) -> tuple[Diagnosis, ...]:
    """Return what becomes of an archive in each consumer.

    Raises:
        StorageError: the archive cannot be read.
    """
    return tuple(diagnose_one(contents, consumer) for consumer in consumers)


def diagnose_one(contents: Contents, consumer: Consumer) -> Diagnosis:
    """Return what becomes of an archive in one consumer, in the first way in which it loads.

    Where none does, the reason is that of the way that fits the form of the archive.
    """
    if contents.tree.is_registry:
        return Diagnosis(consumer, Verdict.REFUSES, (Reason(_REGISTRY),), (), "")
    name, version = consumer.reads_as
    found = [
        _in_one_way(contents, consumer, f"{name}/{way}" if way else name, version, way, namer)
        for way, namer in _WAYS[name]
    ]
    fitting = next((each for each in found if each.verdict.fits), None)
    if fitting is not None:
        return fitting
    unknown = next((each for each in found if each.verdict is Verdict.UNKNOWN), None)
    return unknown or next((each for each in found if each.way == _fitting_way(contents)), found[0])


def diagnose_way(contents: Contents, consumer: Consumer, way: str) -> Diagnosis:
    """Return what becomes of an archive in one consumer in one way."""
    name, version = consumer.reads_as
    namer = dict(_WAYS[name])[way]
    return _in_one_way(contents, consumer, f"{name}/{way}" if way else name, version, way, namer)


def refused_depth(consumers: Sequence[Consumer], counts: Sequence[int]) -> str:
    """Return why one of the consumers refuses images of so many layers each, "" if all load them.

    This is known before an archive is written, and no format helps.
    """
    for consumer in consumers:
        name, version = consumer.reads_as
        applies = any((rule.consumer, rule.check) == (name, many_layers) and version in rule.versions for rule in RULES)
        if applies and (text := too_many(counts)):
            return f"{consumer} refuses it: {text}"
    return ""


def _in_one_way(
    contents: Contents,
    consumer: Consumer,
    reader: str,
    version: Version,
    way: str,
    namer: Callable[[Contents], Iterator[Known]],
) -> Diagnosis:
    lost: list[Reason] = []
    try:
        for rule in RULES:
            if rule.consumer != reader or version not in rule.versions:
                continue
            if not (text := contents.ask(rule.check)):
                continue
            if rule.verdict is Verdict.REFUSES:
                return Diagnosis(consumer, Verdict.REFUSES, (Reason.of(text, rule),), (), way)
            lost.append(Reason.of(text, rule))
        known = contents.ask(_listed(namer))
    except UnknownError as error:
        return Diagnosis(consumer, Verdict.UNKNOWN, (Reason(str(error)),), (), way)
    return Diagnosis(consumer, Verdict.LOSS if lost else Verdict.LOADS, tuple(lost), known, way)


@cache
def _listed(namer: Callable[[Contents], Iterator[Known]]) -> Callable[[Contents], tuple[Known, ...]]:
    """Return what lists each image that a function names once."""
    return lambda contents: tuple(dict.fromkeys(namer(contents)))


def _fitting_way(contents: Contents) -> str:
    """Return the transport for the form of an archive."""
    if contents.tree.is_folder:
        return "dir" if _is_dir_folder(contents) else "oci"
    return "oci-archive" if contents.tree.find("index.json") is not None else "docker-archive"


def _is_dir_folder(contents: Contents) -> bool:
    """Return whether a folder is a `dir:` folder; not if its documents tell nothing."""
    try:
        return contents.find("index.json") is None and bool(contents.dir_folder.tops)
    except UnknownError:
        return False
