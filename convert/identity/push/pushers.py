"""The tools whose push is computed, each with one generation of its encoder.

Each tool reads and compresses in its own way, so one archive has one digest for each of them
(docs/contract.md#the-digest-that-a-push-gives).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.errors import UsageError, shortened, suggestion
from convert.identity.push.containerd import Containerd
from convert.identity.push.containers_image import Buildah, Podman, Skopeo
from convert.identity.push.crane import Crane
from convert.identity.push.docker import Docker
from convert.identity.push.imgconv import Imgconv

if TYPE_CHECKING:
    from convert.identity.push.tool import PushTool

CRANE: Final = Crane()
DOCKER: Final = Docker()
CONTAINERD: Final = Containerd()
PODMAN: Final = Podman()
SKOPEO: Final = Skopeo()
BUILDAH: Final = Buildah()
IMGCONV: Final = Imgconv()

_GO_RELEASES: Final = {"go1.26": "Go up to 1.26", "go1.27": "Go 1.27"}


@dataclass(frozen=True, slots=True)
class Pusher:
    """A tool, as far as its releases write the same bytes.

    `go` is the generation of Go that built it, "" if the bytes do not depend on that; `profile` the
    profile that compresses uncompressed layers. `versions` are the releases of the tool, in words;
    if they do not matter, the Go releases are shown.
    """

    name: str
    tool: PushTool
    go: str
    profile: str
    aliases: tuple[str, ...] = ()
    versions: str = ""

    @property
    def releases(self) -> str:
        """The releases that push so, in words: of the tool, or of the Go that built it."""
        return self.versions or _GO_RELEASES[self.go]


#: Debian's and Ubuntu's builds use their own klauspost/compress, so theirs belong to the older releases too.
_PGZIP_OLD: Final = "pgzip1.15.10-5"
_PGZIP_NEW: Final = "pgzip1.18.2-5"

#: imgconv comes last: it can read every source.
PUSHERS: Final = (
    Pusher("crane@go1.26", CRANE, "go1.26", "go1.26-1", ("crane",)),
    Pusher("crane@go1.27", CRANE, "go1.27", "go1.27-1"),
    Pusher("docker@go1.26", DOCKER, "go1.26", "go1.26-6", ("docker",)),
    Pusher("docker@go1.27", DOCKER, "go1.27", "go1.27-6"),
    Pusher("docker-containerd", CONTAINERD, "", "none", ("nerdctl", "ctr"), "29 (default)"),
    Pusher("podman", PODMAN, "", _PGZIP_OLD, versions="4.3 to 5"),
    Pusher("podman@6", PODMAN, "", _PGZIP_NEW, versions="6"),
    Pusher("skopeo", SKOPEO, "", _PGZIP_OLD, versions="1.10 to 1.22"),
    Pusher("buildah", BUILDAH, "", _PGZIP_OLD, versions="1.28 to 1.43"),
    Pusher("buildah@1.44", BUILDAH, "", _PGZIP_NEW, versions="1.44"),
    Pusher("imgconv", IMGCONV, "", "go1.26-1", versions="--to oci"),
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
