"""The tools whose push is computed, each built with one generation of Go.

Each tool reads and compresses in its own way, so one archive has one digest for each of them
(docs/contract.md#the-digest-that-a-push-gives).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.errors import UsageError, shortened, suggestion
from convert.identity.push.crane import Crane
from convert.identity.push.docker import Docker
from convert.identity.push.imgconv import Imgconv

if TYPE_CHECKING:
    from convert.identity.push.tool import PushTool

CRANE: Final = Crane()
DOCKER: Final = Docker()
IMGCONV: Final = Imgconv()

_GO_RELEASES: Final = {"go1.26": "Go up to 1.26", "go1.27": "Go 1.27"}


@dataclass(frozen=True, slots=True)
class Pusher:
    """A tool built with one generation of Go.

    `go` is the generation of its encoder ("" for imgconv itself), `profile` the profile
    that compresses uncompressed layers.
    """

    name: str
    tool: PushTool
    go: str
    profile: str
    aliases: tuple[str, ...] = ()

    @property
    def go_releases(self) -> str:
        """The Go releases of the generation, in words; for imgconv the option that writes its layout."""
        return _GO_RELEASES.get(self.go, "--to oci")


PUSHERS: Final = (
    Pusher("crane@go1.26", CRANE, "go1.26", "go1.26-1", ("crane",)),
    Pusher("crane@go1.27", CRANE, "go1.27", "go1.27-1"),
    Pusher("docker@go1.26", DOCKER, "go1.26", "go1.26-6", ("docker",)),
    Pusher("docker@go1.27", DOCKER, "go1.27", "go1.27-6"),
    Pusher("imgconv", IMGCONV, "", "go1.26-1"),
)


def get(name: str) -> Pusher:
    """Return the pusher with this name or alias.

    Raises:
        UsageError: unknown pusher.
    """
    for pusher in PUSHERS:
        if name == pusher.name or name in pusher.aliases:
            return pusher
    names = [text for pusher in PUSHERS for text in (*pusher.aliases, pusher.name)]
    hint = suggestion(name, names) + "pushers: " + ", ".join(names)
    raise UsageError(f"unknown pusher {shortened(name)!r}", code="unknown-pusher", hint=hint)
