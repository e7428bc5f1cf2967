"""Which consumers refuse archives with a finding of `validate`, by the rules that name it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from convert.consumers.rule import Verdict
from convert.consumers.rules import RULES

if TYPE_CHECKING:
    from convert.consumers.consumer import Versions


@dataclass(frozen=True, slots=True)
class Refusal:
    """A consumer, with the transport behind a slash, and the versions that refuse archives with a finding."""

    consumer: str
    versions: Versions


@cache
def refusals(finding: str) -> tuple[Refusal, ...]:
    """Return who refuses archives with this finding, in the order of the rules.

    A rule may fit only some of these archives: `imgconv doctor` tells for one archive.
    """
    found = (
        Refusal(rule.consumer, rule.versions)
        for rule in RULES
        if rule.finding == finding and rule.verdict is Verdict.REFUSES
    )
    return tuple(dict.fromkeys(found))
