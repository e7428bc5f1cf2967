"""The commands whose cost `scaling.py` measures.

`{source}` is the archive that grows, `{other}` a small one, `{copy}` one that a command may change, `{manifest}` a
registry's manifest for the source, `{layout}` a layout to append to, and `{out}` the start of a name for results.
"""

from __future__ import annotations

_TARGETS = ("oci", "oci-archive", "docker-oci", "docker-save", "docker-save@25", "docker-save@29", "crane")
_PAGES = {
    "inspect": ["inspect", "{source}"],
    "diff": ["diff", "{source}", "{other}"],
    "validate": ["validate", "{source}"],
    "doctor": ["doctor", "{source}"],
}
COMMANDS = {
    **{f"convert {to}": ["{source}", "--to", to, "{out}", "-q"] for to in _TARGETS},
    "convert --json": ["{source}", "--to", "oci", "{out}", "--json"],
    "convert --for": ["{source}", "--for", "docker", "{out}", "-q"],
    "convert --verify-output": ["{source}", "--to", "oci", "{out}", "--verify-output", "-q"],
    "convert two": ["{source}", "{other}", "--to", "oci", "{out}", "-q"],
    "convert to a template": ["{source}", "--to", "docker-save", "{out}-{{digest12}}.tar", "-q"],
    "--append": ["{source}", "--to", "oci", "{layout}", "--append", "-q"],
    "--add-repositories": ["--add-repositories", "{source}", "{out}"],
    "--without": ["{source}", "--to", "oci-archive", "{out}", "--without", "{other}", "-q"],
    "--without the source": ["{other}", "--to", "oci-archive", "{out}", "--without", "{source}", "-q"],
    "--with the source": ["{other}", "--to", "oci-archive", "{out}", "--with", "{source}", "-q"],
    "id": ["id", "{source}"],
    "id --json": ["id", "{source}", "--json"],
    "id REF": ["id", "{source}", "nosuch:9"],
    "inspect": ["inspect", "{source}"],
    "inspect --json": ["inspect", "{source}", "--json"],
    "inspect --verify": ["inspect", "{source}", "--verify"],
    "inspect --encoders": ["inspect", "{source}", "--encoders"],
    "inspect --files": ["inspect", "{source}", "--files"],
    "inspect --graph svg": ["inspect", "{source}", "--graph", "{out}.svg"],
    "inspect --graph dot": ["inspect", "{source}", "--graph", "{out}.dot"],
    "digest": ["digest", "{source}"],
    "digest --json": ["digest", "{source}", "--json"],
    "digest imgconv": ["digest", "{source}", "--as", "imgconv"],
    "match": ["match", "{source}", "{manifest}"],
    "diff": ["diff", "{source}", "{source}"],
    "diff other": ["diff", "{source}", "{other}"],
    "diff --json": ["diff", "{source}", "{other}", "--json"],
    "diff --files": ["diff", "--files", "{source}", "{other}"],
    "validate": ["validate", "{source}"],
    "validate --json": ["validate", "{source}", "--json"],
    "validate sarif": ["validate", "{source}", "--format", "sarif"],
    "doctor": ["doctor", "{source}"],
    "doctor --json": ["doctor", "{source}", "--json"],
    **{f"{name} --html": [*words, "--html", "{out}.html"] for name, words in _PAGES.items()},
    **{f"{name} markdown": [*words, "--format", "markdown"] for name, words in _PAGES.items()},
    "config": ["config", "{source}"],
    "manifest": ["manifest", "{source}"],
    "tag": ["tag", "{copy}", "example.com/new:1"],
    "untag": ["untag", "{copy}", "example.com/app:1"],
    "export": ["export", "{source}", "{out}"],
    "batch id": ["batch", "id", "{source}", "-q"],
    "batch validate": ["batch", "validate", "{source}", "-q", "--journal", "{out}.jsonl"],
    "batch inspect": ["batch", "inspect", "{source}", "-q", "--out", "{out}.json", "--journal", "{out}.jsonl"],
    "batch convert": ["batch", "convert", "{source}", "-q", "--out", "{out}.tar", "--", "--to", "oci-archive"],
}
