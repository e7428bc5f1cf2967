"""Check an archive: every document, every digest, and how its parts agree.

The result is a value; nothing here prints.
"""

from __future__ import annotations

from convert.commands.validate.archive import ValidateOptions, validate
from convert.reader.findings import RULES, Finding, Rule, Severity, Verdict

__all__ = ["RULES", "Finding", "Rule", "Severity", "ValidateOptions", "Verdict", "validate"]
