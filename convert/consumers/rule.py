"""What a rule is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.consumers.consumer import Versions
    from convert.consumers.contents import Contents

    Property = Callable[[Contents], str]


class Verdict(Enum):
    """What becomes of an archive in a consumer, the best first."""

    LOADS = "loads"
    LOSS = "loads with a loss"
    UNKNOWN = "unknown"
    REFUSES = "refuses"

    @property
    def fits(self) -> bool:
        """Whether the archive loads."""
        return self in {Verdict.LOADS, Verdict.LOSS}


class Repair(Enum):
    """What helps where an archive is refused, or something of it is lost."""

    CONVERT = "another format: --for"
    PRUNE = "--prune"
    NAMES = "--rename to a full name"
    TAG = "--tag a full name"
    FLATTEN = "--flatten"
    ATTESTATIONS = "--no-attestations"
    PLATFORM = "--platform"
    SPLIT = "one result for each image: --drop"
    SOURCE = "save or build the image again"
    BASE = "load what it needs there first, or fill it: --with OLD"
    FILL = "fill it: --with OLD"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: what a consumer makes of archives with a property.

    `consumer` is its name and the way in which it reads, as `podman/oci-archive`. `check` returns what an archive
    has of it, "" for nothing. `source` cites the place in the consumer's source, `case` is the archive of
    `tests/consumers/cases.py` that has the property, and `finding` the rule of `validate` that reports it, "" where
    none does.
    """

    consumer: str
    versions: Versions
    check: Property
    verdict: Verdict
    helps: Repair | None
    source: str
    case: str
    finding: str = ""

    @property
    def name(self) -> str:
        """What identifies the rule in output: the property, in words joined by hyphens."""
        return self.check.__name__.replace("_", "-")
