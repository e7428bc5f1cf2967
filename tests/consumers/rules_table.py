"""The tables of docs/doctor.md, from the rules: `python tests/consumers/rules_table.py` prints them."""

from __future__ import annotations

import sys

from convert.consumers.consumer import PROGRAMS
from convert.consumers.refusals import refusals
from convert.consumers.rule import Verdict
from convert.consumers.rules import RULES
from convert.reader.findings import RULES as FINDINGS


def consumers():
    """Return the table of consumers."""
    lines = ["| consumer | the verdict is about | versions with rules | tried with |", "|---|---|---|---|"]
    for program in PROGRAMS.values():
        known = ", ".join(map(str, program.known))
        lines.append(f"| `{program.name}` | `{program.call}` | {known} | {', '.join(program.tried)} |")
    return lines


def rules():
    """Return the table of rules: one row for each property, with the consumers that it concerns."""
    rows = {}
    for rule in RULES:
        text = (rule.check.__doc__ or "").partition("\n")[0].rstrip(".")
        row = rows.setdefault((rule.name, text), {"who": {}, "helps": {}, "finding": {}})
        verb = "refuses" if rule.verdict is Verdict.REFUSES else "loss"
        row["who"].setdefault(f"{rule.consumer} {rule.versions} ({verb})")
        if rule.helps is not None:
            row["helps"].setdefault(rule.helps.value)
        if rule.finding:
            row["finding"].setdefault(f"`{rule.finding}`")
    lines = ["| rule | what an archive has | consumers and versions | helps | `validate` |", "|---|---|---|---|---|"]
    for (name, text), row in rows.items():
        cells = (f"`{name}`", text, "; ".join(row["who"]), "; ".join(row["helps"]), ", ".join(row["finding"]))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def findings():
    """Return the table of the findings of `validate` that rules name."""
    rows = (
        f"| `{name}` | {'; '.join(f'{each.consumer} {each.versions}' for each in found)} |"
        for name in FINDINGS
        if (found := refusals(name))
    )
    return ["| finding | consumers that refuse archives with it, and their versions |", "|---|---|", *rows]


if __name__ == "__main__":
    sys.stdout.write("\n".join([*consumers(), "", *rules(), "", *findings()]) + "\n")
