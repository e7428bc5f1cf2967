"""What helps against a finding of `validate`, or where a consumer refuses an archive: words, and the command.

tests/report/test_helps.py runs the commands on archives with these findings.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convert.consumers.rule import Repair

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Help:
    """What a person can do.

    `text` says it in words. `command` are the words behind `imgconv`, with `{source}` for the source, `{consumer}` for
    the consumer that has to load it, and capitals for what only the person knows; "" where no command helps.
    """

    text: str
    command: str = ""

    def line(self, source: str, consumer: str = "docker") -> str:
        """Return the whole command line for a source, "" where there is none."""
        return f"imgconv {self.command.format(source=shlex.quote(source), consumer=consumer)}" if self.command else ""


_AGAIN: Final = Help(
    "Copy the archive again from where it was made, and compare the checksums of both (sha256sum). If they are the "
    "same, save or build the image again."
)
_BUILD: Final = Help("Build the image again with a tool that writes this correctly.")
_CONVERT: Final = Help("A conversion writes this correctly.", "{source} --to docker-oci DEST.tar")
_RECOMPRESS: Final = Help(
    "A conversion that compresses the layers again writes this correctly; the manifest digest changes.",
    "{source} --recompress --to oci-archive DEST.tar",
)
_PUSH: Final = Help("Push the images that are named again: the registry then writes the link.")
_NOTHING: Final = Help("Nothing has to be done.")

#: Rule of `validate` -> what helps.
FOR_FINDING: Final[dict[str, Help]] = {
    "not-an-image": Help("Check that the file is what docker save, podman save, skopeo, crane or an OCI tool wrote."),
    "damaged": _AGAIN,
    "json": _AGAIN,
    "duplicate-key": _BUILD,
    "schema": _BUILD,
    "ambiguous": Help("Do not trust the archive: it shows different images to different tools. Build the image again."),
    "digest": _AGAIN,
    "size": _AGAIN,
    "diff-id": _AGAIN,
    "layer-damaged": _AGAIN,
    "layer-tar": _AGAIN,
    "layer-count": _BUILD,
    "missing": Help(
        "Leave out the images that lack a blob, or give the archive that has it: --with OLD.",
        "{source} --prune --to docker-oci DEST.tar",
    ),
    "inline-only": _CONVERT,
    "unsafe": Help("Do not trust the archive: names or links lead out of it. Get it from where it was made."),
    "media-type": _BUILD,
    "repo-tag": Help(
        "A conversion leaves out such a name, with a warning; one with --tag NAME gives a valid one.",
        "{source} --tag NAME --to docker-save DEST.tar",
    ),
    "layout-version": _BUILD,
    "index-manifest": Help(
        "Decide which names are right; a conversion writes those of one document into both.",
        "{source} --to docker-oci DEST.tar",
    ),
    "layout-blobs": _AGAIN,
    "run-config": _BUILD,
    "history-too-long": _BUILD,
    "registry-link": _PUSH,
    "registry-tag": _PUSH,
    "registry-revision": _PUSH,
    "registry-layer": _PUSH,
    "v1-id": Help(
        "A conversion to docker-save writes the IDs that Docker gives.", "{source} --to docker-save DEST.tar"
    ),
    "unreadable": _AGAIN,
    "duplicate-member": Help(
        "A conversion writes each member once; members of one name with different content have to be told apart first.",
        "{source} --to docker-oci DEST.tar",
    ),
    "tar": _CONVERT,
    "history": _BUILD,
    "layer-type": _RECOMPRESS,
    "layer-path-twice": _BUILD,
    "layer-header": _BUILD,
    "layer-trailing": _RECOMPRESS,
    "docker-zstd": _RECOMPRESS,
    "many-layers": Help("Build the image with fewer layers, or load it into Docker's containerd store."),
    "run-env": _BUILD,
    "empty-json": _BUILD,
    "duplicate-name": Help(
        "Decide which image keeps the name: --untag takes it from both, --drop leaves an image out.",
        "{source} --untag NAME --to docker-oci DEST.tar",
    ),
    "ref-name": Help(
        "A conversion leaves out such a name, with a warning; one with --tag NAME gives a valid one.",
        "{source} --tag NAME --to docker-save DEST.tar",
    ),
    "repositories": Help("A conversion writes it correctly.", "{source} --to docker-save DEST.tar"),
    "v1-chain": Help("A conversion writes the v1 documents correctly.", "{source} --to docker-save DEST.tar"),
    "v1-version": Help("A conversion writes the v1 documents correctly.", "{source} --to docker-save DEST.tar"),
    "layer-sources": _CONVERT,
    "needs-mark": Help("A conversion of the full archive drops the mark.", "{source} --to docker-oci DEST.tar"),
    "registry-name": Help("Find out who made the folder, and remove it: the registry does not serve it."),
    "registry-tag-index": Help("Push the tag again."),
    "referrers": Help("Attach the artifact again: its client then writes the list."),
    "platform": Help("Build the index again; the platform in the config is the one that counts."),
    "no-images": Help("Save the image again together with its blobs: nothing in the source is an image."),
    "absent-child": Help(
        "Nothing has to be done where one platform is enough; this removes absent platforms from the index.",
        "{source} --prune --to docker-oci DEST.tar",
    ),
    "left-out": Help(
        "The receiver needs the layers; with them it is complete.", "{source} --with OLD --to docker-oci DEST.tar"
    ),
    "filled": _NOTHING,
    "absent-layer": Help("The layer has to be fetched from where its descriptor states; push and load may do so."),
    "layer-not-compared": _NOTHING,
    "registry-stale-link": _NOTHING,
    "absent-subject": _NOTHING,
    "unreferenced": Help("A conversion leaves it out.", "{source} --to docker-oci DEST.tar"),
    "config-name": _NOTHING,
    "letter-case": _CONVERT,
    "no-repositories": Help("Nothing has to be done; this adds it.", "--add-repositories {source} DEST.tar"),
    "v1-scheme": _NOTHING,
    "parent": _NOTHING,
    "no-diff-ids": _NOTHING,
    "no-architecture": _BUILD,
    "docker-type": Help(
        "A conversion to one family of types; the manifest digest changes.",
        "{source} --manifest-type oci --to oci-archive DEST.tar",
    ),
}

#: Rules whose errors do not make a conversion fail.
_CONVERTIBLE: Final = frozenset({"repo-tag", "index-manifest", "inline-only", "run-config", "history-too-long"})


def stopping_rules(findings: Iterable[dict[str, Any]]) -> frozenset[str]:
    """Return the rules of those findings of a source, from the document of `validate`, that may stop a conversion."""
    return frozenset(each["rule"] for each in findings if each["severity"] == "error") - _CONVERTIBLE


def help_for(rule: str, source: str, stops: frozenset[str]) -> tuple[str, str]:
    """Return what helps against a finding, in words and as a command line; each is "" where there is none.

    No conversion is offered while another error stands that may make it fail; `stops` are the rules of these errors.
    """
    helps = FOR_FINDING.get(rule)
    if helps is None:
        return "", ""
    others = stops - {rule} - ({"missing"} if "--prune" in helps.command else set())
    if helps.command and others:
        return f"{helps.text} First mend {' and '.join(sorted(others))}: until then a conversion may fail.", ""
    return helps.text, helps.line(source)


_FOR: Final = "{source} --for {consumer} DEST"
#: What helps in `doctor`.
FOR_REPAIR: Final[dict[Repair, Help]] = {
    Repair.CONVERT: Help("Another format.", _FOR),
    Repair.PRUNE: Help("Leave out what is absent.", "{source} --prune --for {consumer} DEST"),
    Repair.NAMES: Help("Replace the name by a full one.", "{source} --rename OLD=NEW --for {consumer} DEST"),
    Repair.TAG: Help(
        "Give the image a full name; of several, --image selects one.", "{source} --tag NAME --for {consumer} DEST"
    ),
    Repair.FLATTEN: Help("Replace nested indexes by one list.", "{source} --flatten --for {consumer} DEST"),
    Repair.ATTESTATIONS: Help("Leave out attestations.", "{source} --no-attestations --for {consumer} DEST"),
    Repair.PLATFORM: Help("Select a platform.", "{source} --platform OS/ARCH --for {consumer} DEST"),
    Repair.SPLIT: Help("Write one result for each image.", "{source} --for {consumer} 'DEST/{{name}}_{{tag}}.tar'"),
    Repair.SOURCE: Help("Copy the archive again if it is damaged; else save or build the image again."),
    Repair.BASE: Help("Load what it needs there first, or fill it.", "{source} --with OLD --to docker-oci DEST.tar"),
    Repair.FILL: Help("Fill it with the layers that it leaves out.", "{source} --with OLD --to docker-oci DEST.tar"),
}
