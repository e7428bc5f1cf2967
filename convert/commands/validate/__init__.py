"""Is an archive what it says? Everything that schemas, digests and the formats' own rules ask of it.

Answers are values; nothing here prints.
"""

from __future__ import annotations

from convert.commands.validate.archive import Verdict, validate
from convert.commands.validate.findings import RULES, Finding, Rule, Severity

__all__ = ["RULES", "Finding", "Rule", "Severity", "Verdict", "validate"]
