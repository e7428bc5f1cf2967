"""The programs that load archives, and the versions for which the rules were tried (docs/doctor.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from convert.errors import UsageError, shortened, suggestion

Version = tuple[int, ...]

_VERSION: Final = re.compile(r"v?(\d{1,4}(?:\.\d{1,6}){0,3})(?:[-+~].*)?\Z")


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions from `first` to before `end`; each a text such as "20.10", and `end` "" for no end."""

    first: str
    end: str = ""

    def __contains__(self, version: Version) -> bool:
        """Return whether a version is among them."""
        return parse_version(self.first) <= version and (not self.end or version < parse_version(self.end))

    def __str__(self) -> str:
        """Return it for people."""
        first = "all" if self.first == "1" else f"from {self.first}"
        return f"{first} to before {self.end}" if self.end else first


@dataclass(frozen=True, slots=True)
class Program:
    """A program that loads archives.

    `call` is what a verdict is about. `tried` are the versions that loaded the archives of the matrix
    (tests/peer/matrix.py), newest last. `known` are those that read archives as a tried one does; there are no rules
    for others. `inside` maps versions to those of the containerd that does the reading, where it is inside.
    """

    name: str
    call: str
    known: tuple[Versions, ...]
    tried: tuple[str, ...]
    inside: tuple[tuple[Versions, str], ...] = ()


#: Every consumer, in the order in which they are shown.
PROGRAMS: Final = {
    program.name: program
    for program in (
        Program("docker", "docker load with a graph driver", (Versions("20.10", "30"),), ("20.10.24", "29.7")),
        Program("docker-containerd", "docker load with the containerd store", (Versions("29", "30"),), ("29.7",)),
        Program(
            "containerd",
            "ctr images import --all-platforms --digests",
            (Versions("1.6", "1.8"), Versions("2.1", "2.4")),
            ("1.6.20", "2.2.7", "2.3.4"),
        ),
        # It calls containerd's transfer service (pkg/imgutil/load/load.go), as ctr does.
        Program(
            "nerdctl",
            "nerdctl load --all-platforms",
            (Versions("2.3", "2.4"),),
            ("2.3",),
            ((Versions("2.3"), "2.3.4"),),
        ),
        # It calls ctr in its node image (pkg/cluster/nodeutils/util.go; CONTAINERD_VERSION in images/base/Dockerfile).
        Program(
            "kind",
            "kind load image-archive",
            (Versions("0.20", "0.27"), Versions("0.28", "0.33")),
            ("0.26", "0.31", "0.32"),
            (
                (Versions("0.20", "0.27"), "1.7"),
                (Versions("0.28", "0.31"), "2.1"),
                (Versions("0.31", "0.32"), "2.2"),
                (Versions("0.32"), "2.3.4"),
            ),
        ),
        Program("k3s", "an archive in the agent's folder of images", (Versions("1.30.2", "1.37"),), ("1.36",)),
        Program("podman", "podman load", (Versions("4.3", "4.4"),), ("4.3.1",)),
        Program("skopeo", "skopeo copy", (Versions("1.9", "1.23"),), ("1.9.3", "1.22")),
        Program("crane", "crane push", (Versions("0.20", "0.22"),), ("0.21",)),
        Program("umoci", "umoci unpack", (Versions("0.4.7", "0.7"),), ("0.4.7", "0.6")),
    )
}


@dataclass(frozen=True, slots=True)
class Consumer:
    """A program in one version."""

    program: Program
    version: Version

    @property
    def name(self) -> str:
        """Its name without the version."""
        return self.program.name

    @property
    def reads_as(self) -> tuple[str, Version]:
        """The name and version whose rules hold: those of the containerd inside, or its own."""
        for versions, inside in self.program.inside:
            if self.version in versions:
                return "containerd", parse_version(inside)
        return self.name, self.version

    def __str__(self) -> str:
        """Return `name@version`."""
        return f"{self.name}@{'.'.join(map(str, self.version))}"


def parse_version(text: str) -> Version:
    """Return a version as numbers.

    Raises:
        UsageError: it is none.
    """
    match = _VERSION.match(text)
    if match is None:
        raise UsageError(f"'{text}' is not a version", code="unknown-consumer", hint="give it as 29, 20.10 or 1.9.3")
    return tuple(int(number) for number in match[1].split("."))


def parse_consumer(text: str) -> Consumer:
    """Return the consumer that `NAME` or `NAME@VERSION` names.

    Without a version it is the newest that was tried. A version with fewer numbers stands for the newest tried
    one that begins with them, or for its own first.

    Raises:
        UsageError: there are no rules for it.
    """
    name, at, version_text = text.partition("@")
    program = PROGRAMS.get(name)
    if program is None:
        hint = suggestion(name, PROGRAMS) + "consumers: " + ", ".join(PROGRAMS)
        raise UsageError(f"unknown consumer {shortened(text)!r}", code="unknown-consumer", hint=hint)
    if not at:
        return Consumer(program, parse_version(program.tried[-1]))
    version = parse_version(version_text)
    for tried in reversed(program.tried):
        exact = parse_version(tried)
        if exact[: len(version)] == version:
            return Consumer(program, exact)
    if not any(version in versions for versions in program.known):
        known = " and ".join(map(str, program.known))
        raise UsageError(f"there are no rules for {text}", code="unknown-consumer", hint=f"they know {name} {known}")
    return Consumer(program, version)


def parse_consumers(text: str) -> tuple[Consumer, ...]:
    """Return the consumers of `CONSUMER[,…]`, each once.

    Raises:
        UsageError: there are no rules for one.
    """
    return tuple(dict.fromkeys(parse_consumer(part.strip()) for part in text.split(",")))


def newest() -> tuple[Consumer, ...]:
    """Return every program in the newest version that was tried."""
    return tuple(map(parse_consumer, PROGRAMS))
