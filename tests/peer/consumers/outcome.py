"""What a real program made of an archive."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import asdict, dataclass, field


@dataclass(slots=True)
class Outcome:
    """Whether a program took an archive, and what it then holds.

    `loads`: it reported success and holds at least one image. `images`: what it holds, each name (or a
    digest, for an image without one) with the ID that it shows. `unusable`: names that it holds and cannot
    unpack for this platform. `error`: its last words.
    """

    loads: bool
    images: dict[str, str] = field(default_factory=dict)
    unusable: list[str] = field(default_factory=list)
    error: str = ""
    calls: list[str] = field(default_factory=list)

    def document(self):
        """Return it for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Call:
    """A finished program: its status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def last_words(self):
        """The end of what it printed."""
        text = (self.err.strip() or self.out.strip()).replace("\r", "\n")
        return " | ".join(line.strip() for line in text.splitlines()[-3:])[-700:]


def call(*arguments, env=None, timeout=300, cwd=None):
    """Run a program to its end; one that does not end counts as failed."""
    process = subprocess.Popen(
        [str(one) for one in arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", **(env or {})},
        cwd=cwd,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Call(-1, "", f"did not end within {timeout} s")
    return Call(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
