"""Is an archive what it says? Everything that schemas, digests and the formats' own rules ask of it.

Answers are values; nothing here prints.
"""

from __future__ import annotations

from convert.commands.validate.archive import validate
from convert.reader.findings import RULES, Finding, Rule, Severity, Verdict

__all__ = ["RULES", "Finding", "Rule", "Severity", "Verdict", "validate"]
